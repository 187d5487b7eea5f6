//! A call on a connection: its answer's head, then its body.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::Response;
use http_body::{Body, Frame};

use super::connection::{OpenCall, Sent};
use crate::upstream::{ResponseBody, UpstreamError};

/// An answer on its way. Dropping it resets the call.
pub struct RemoteCall(Stage);

enum Stage {
    /// There is no connection yet.
    Connecting(Pin<Box<dyn Future<Output = Result<Sent, UpstreamError>> + Send>>),
    Sent(Sent),
    Failed(UpstreamError),
    Over,
}

impl RemoteCall {
    pub(super) fn sent(sent: Result<Sent, UpstreamError>) -> Self {
        Self(sent.map_or_else(Stage::Failed, Stage::Sent))
    }

    pub(super) fn connecting(
        connecting: impl Future<Output = Result<Sent, UpstreamError>> + Send + 'static,
    ) -> Self {
        Self(Stage::Connecting(Box::pin(connecting)))
    }
}

impl Future for RemoteCall {
    type Output = Result<Response<ResponseBody>, UpstreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.0 {
                Stage::Connecting(connecting) => {
                    let sent = ready!(connecting.as_mut().poll(cx));
                    *self = Self::sent(sent);
                }
                Stage::Sent(sent) => {
                    let response = ready!(Pin::new(&mut sent.response).poll(cx));
                    let Stage::Sent(sent) = std::mem::replace(&mut self.0, Stage::Over) else {
                        continue;
                    };
                    sent.open.note_heard();
                    return Poll::Ready(match response {
                        Ok(response) => Ok(response.map(|stream| {
                            ResponseBody::Remote(RemoteBody { stream, open: sent.open })
                        })),
                        Err(error) => Err(UpstreamError::from_h2(&error)),
                    });
                }
                Stage::Failed(error) => {
                    let error = error.clone();
                    self.0 = Stage::Over;
                    return Poll::Ready(Err(error));
                }
                // Asked again after its answer, which no future may be.
                Stage::Over => return Poll::Pending,
            }
        }
    }
}

/// The messages of an answer, and its trailers. Dropping it resets the call.
pub struct RemoteBody {
    stream: RecvStream,
    open: OpenCall,
}

impl Body for RemoteBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = &mut *self;
        let data = ready!(this.stream.poll_data(cx));
        this.open.note_heard();
        Poll::Ready(match data {
            Some(Ok(data)) => {
                // The upstream may send as much again, now that somebody has taken this.
                let _ = this.stream.flow_control().release_capacity(data.len());
                Some(Ok(Frame::data(data)))
            }
            Some(Err(error)) => failed(&error),
            None => match ready!(this.stream.poll_trailers(cx)) {
                Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
                Err(error) => failed(&error),
            },
        })
    }
}

/// A reset that only says "no more of your request" is an end.
fn failed(error: &h2::Error) -> Option<Result<Frame<Bytes>, UpstreamError>> {
    let is_end = error.is_reset() && error.reason() == Some(Reason::NO_ERROR);
    (!is_end).then(|| Err(UpstreamError::from_h2(error)))
}
