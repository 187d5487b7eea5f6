//! An upstream that writes down what it is asked, and answers nothing.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use tower::service_fn;

use crate::{
    protocol::envelope::{EnvelopeReader, HEADER_BYTES},
    upstream::{BoxError, Upstream},
};

/// What the last call was.
#[derive(Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<Call>>);

/// A call, as the upstream saw it.
#[derive(Default)]
pub(super) struct Call {
    /// Its messages.
    pub(super) messages: Vec<Bytes>,
    /// Whether it came to its end: a request may break off.
    pub(super) is_complete: bool,
}

impl Recorder {
    pub(super) fn upstream(&self) -> Upstream {
        let recorder = self.clone();
        Upstream::service(service_fn(move |request: Request<tonic::body::Body>| {
            let recorder = recorder.clone();
            async move {
                recorder.record(request.into_body()).await?;
                Ok::<_, BoxError>(empty_message())
            }
        }))
    }

    /// What was recorded since it was asked last.
    pub(super) fn take(&self) -> Call {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn record(&self, mut body: tonic::body::Body) -> Result<(), BoxError> {
        let mut reader = EnvelopeReader::new(u32::MAX as usize);
        let mut call = Call::default();
        while let Some(frame) = body.frame().await {
            reader.push(frame?.into_data().unwrap_or_default());
            while let Some(envelope) = reader.next_envelope()? {
                call.messages.push(envelope.payload);
            }
        }
        call.is_complete = true;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = call;
        Ok(())
    }
}

/// OK, with one message without fields.
fn empty_message() -> Response<impl http_body::Body<Data = Bytes, Error = std::convert::Infallible>>
{
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let message = Full::new(Bytes::from_static(&[0; HEADER_BYTES]));
    let mut response = Response::new(message.with_trailers(async move { Some(Ok(trailers)) }));
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    response
}
