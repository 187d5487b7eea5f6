//! Reading a request body whole, up to a limit and not at any pace.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::deadline::Deadline;
use crate::{
    config::Deadlines,
    protocol::{compression::NotGzip, grpc_web::NotBase64},
    status::{Cause, Refusal},
    upstream::BoxError,
};

/// What is wrong with a stream of requests, once that is found.
pub(super) type Refused = Arc<OnceLock<Refusal>>;

/// Leaves what is wrong with a stream of requests for the caller; the upstream only sees it break
/// off, with the error that this answers.
pub(super) fn break_off(refused: &Refused, refusal: Refusal) -> BoxError {
    let error = refusal.status.message.clone();
    let _ = refused.set(refusal);
    error.into()
}

/// Room is made for this much of what a body announces; whoever announces more has to send it.
const RESERVED_BYTES: u64 = 1 << 20;

/// Reads `body`. A body in one piece is not copied. One that announces more than
/// `limit_bytes` is refused before any of it is read; one that is longer on its way than `body_ms`
/// is too slow, whatever the deadline.
pub(super) async fn collect(
    body: Body,
    limit_bytes: usize,
    deadlines: &Deadlines,
) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let idle = Duration::from_millis(deadlines.body_idle_ms);
    let whole = Duration::from_millis(deadlines.body_ms);
    let too_slow = || {
        let message = format!("the body took more than {whole:?}");
        Refusal::new(Cause::RequestTooSlow, message)
    };
    // Boxed: a call without a body has no room for the reading of one.
    let reading = Box::pin(read(body, limit_bytes, idle));
    Deadline::after(Some(whole)).within_or(too_slow, reading).await
}

async fn read(mut body: Body, limit_bytes: usize, idle: Duration) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("the body is over the limit of {limit_bytes} bytes");
        Refusal::new(Cause::RequestTooLarge, message)
    };
    if body.size_hint().lower() > limit_bytes as u64 {
        return Err(too_large());
    }
    let announced = body.size_hint().lower().min(RESERVED_BYTES) as usize;
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    loop {
        let arrived = body.frame().now_or_never();
        // What is there already needs no clock.
        let frame = match arrived {
            Some(frame) => Ok(frame),
            None => tokio::time::timeout(idle, body.frame()).await,
        };
        let Ok(frame) = frame else {
            let message = format!("the body paused for more than {idle:?}");
            return Err(Refusal::new(Cause::RequestTooSlow, message));
        };
        let data = match frame {
            None => break,
            Some(Err(error)) => return Err(broken_off(&error)),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        if first.len() + whole.len() + data.len() > limit_bytes {
            return Err(too_large());
        }
        if whole.is_empty() && first.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(announced.max(first.len() + data.len()));
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&data);
    }
    if whole.is_empty() { Ok(first) } else { Ok(whole.freeze()) }
}

/// What came of a request's body is no body: the connection ended in it, or its text is none.
pub(super) fn broken_off(error: &(dyn std::error::Error + 'static)) -> Refusal {
    let mut source = Some(error);
    while let Some(error) = source {
        if error.is::<NotBase64>() || error.is::<NotGzip>() {
            return Refusal::new(Cause::Malformed, error.to_string());
        }
        source = error.source();
    }
    tracing::debug!(%error, "the request body broke off");
    Refusal::new(Cause::CallerGone, "the request body broke off")
}
