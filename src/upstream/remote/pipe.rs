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
    stream: SendStream<Bytes>,
) -> impl Future<Output = ()> + Send {
    let mut half = Half { stream, is_over: false };
    poll_fn(move |cx| {
        loop {
            let Half { stream, is_over } = &mut half;
            if stream.poll_reset(cx).is_ready() {
                *is_over = true;
                return Poll::Ready(());
            }
            // Room before bytes: whoever makes them waits for the upstream too.
            stream.reserve_capacity(1);
            if stream.capacity() == 0 {
                match stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(_) => {
                        *is_over = true;
                        return Poll::Ready(());
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
            let sent = match body.as_mut().poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    // A call that is over already takes nothing more.
                    let _ = stream.send_data(Bytes::new(), true);
                    *is_over = true;
                    return Poll::Ready(());
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => stream.send_data(data, false),
                    Err(_) => Ok(()),
                },
                Poll::Ready(Some(Err(_))) => return Poll::Ready(()),
            };
            if sent.is_err() {
                return Poll::Ready(());
            }
        }
    })
}

/// The sending half of a call. Dropped before its end, by an error or a panic in what makes the
/// body too, it resets the call: the other half would wait for ever.
struct Half {
    stream: SendStream<Bytes>,
    is_over: bool,
}

impl Drop for Half {
    fn drop(&mut self) {
        if !self.is_over {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}
