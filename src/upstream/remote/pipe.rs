//! The body of a call, as fast as the upstream takes it.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;

use crate::upstream::BoxError;

/// Sends `body` until it ends, or the upstream wants no more. One that breaks off resets the call.
pub(super) fn pipe(
    mut body: Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>,
    mut stream: SendStream<Bytes>,
) -> impl Future<Output = ()> + Send {
    poll_fn(move |cx| {
        loop {
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(());
            }
            // Room before bytes: whoever makes them waits for the upstream too.
            stream.reserve_capacity(1);
            if stream.capacity() == 0 {
                match stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let sent = match body.as_mut().poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    // A call that is over already takes nothing more.
                    let _ = stream.send_data(Bytes::new(), true);
                    return Poll::Ready(());
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => stream.send_data(data, false),
                    Err(_) => Ok(()),
                },
                Poll::Ready(Some(Err(_))) => {
                    stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(());
                }
            };
            if sent.is_err() {
                return Poll::Ready(());
            }
        }
    })
}
