//! The bodies of a call to an upstream.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{BoxError, RemoteBody, UpstreamError};

/// The messages of a call, framed.
pub enum RequestBody {
    /// All of them, in one piece.
    Full(Option<Bytes>),
    /// As they come from the caller.
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            // The bytes are counted as they pass; what was announced binds nobody.
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// The messages of an answer, framed, and its trailers.
pub enum ResponseBody {
    /// From a service in this process.
    Service(tonic::body::Body),
    /// From a connection.
    Remote(RemoteBody),
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        Poll::Ready(match self.get_mut() {
            Self::Service(body) => ready!(Pin::new(body).poll_frame(cx))
                .map(|frame| frame.map_err(|status| UpstreamError::from_tonic(&status))),
            Self::Remote(body) => ready!(Pin::new(body).poll_frame(cx)),
        })
    }
}
