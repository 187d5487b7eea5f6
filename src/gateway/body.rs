//! The body of an answer.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::upstream::BoxError;

/// The bytes that go back to the caller.
pub struct ReplyBody(Kind);

enum Kind {
    None,
    /// One piece, until it is handed on.
    Full(Bytes),
    /// Known whole: the pieces in order, then the trailers of gRPC.
    Whole {
        pieces: VecDeque<Bytes>,
        trailers: Option<HeaderMap>,
    },
    /// Made while the caller reads.
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>),
}

impl ReplyBody {
    /// Nothing, without saying how long it is: an answer to HEAD, or 204.
    pub(super) fn none() -> Self {
        Self(Kind::None)
    }

    pub(super) fn full(bytes: Bytes) -> Self {
        Self(Kind::Full(bytes))
    }

    pub(super) fn whole(pieces: VecDeque<Bytes>, trailers: Option<HeaderMap>) -> Self {
        Self(Kind::Whole { pieces, trailers })
    }

    pub(super) fn stream(body: impl Body<Data = Bytes, Error = BoxError> + Send + 'static) -> Self {
        Self(Kind::Stream(Box::pin(body)))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::None => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Kind::Whole { pieces, trailers } => Poll::Ready(match pieces.pop_front() {
                Some(piece) => Some(Ok(Frame::data(piece))),
                None => trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
            }),
            Kind::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::None => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Whole { pieces, trailers } => {
                trailers.is_none() && pieces.iter().all(Bytes::is_empty)
            }
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::None => SizeHint::default(),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Whole { pieces, .. } => {
                SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            Kind::Stream(body) => body.size_hint(),
        }
    }
}
