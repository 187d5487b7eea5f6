//! How an upstream fails when it does not say so itself, as a status.

use std::borrow::Cow;

use super::BoxError;
use crate::status::Code;

/// An upstream could not be asked, or its answer broke off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UpstreamError {
    /// What a caller may conclude.
    pub code: Code,
    /// What happened, without what only the operator should know.
    pub message: Cow<'static, str>,
}

/// There is no connection; the operator's log has the reason.
const UNREACHED: [&str; 2] =
    ["the upstream cannot be reached", "the upstream cannot be reached in time"];

impl UpstreamError {
    /// No connection could be made, or not in time.
    pub(super) fn unreached(is_late: bool) -> Self {
        Self::unavailable(UNREACHED[usize::from(is_late)])
    }

    /// Whether there was no connection, which has been logged.
    pub fn is_unreached(&self) -> bool {
        UNREACHED.contains(&self.message.as_ref())
    }

    pub(super) fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Code::Unavailable, message: message.into() }
    }

    /// A tower service's error: the call did not get through.
    pub(super) fn from_service(error: &BoxError) -> Self {
        tracing::warn!(%error, "the upstream could not be asked");
        Self::unavailable("the upstream is unavailable")
    }

    /// By gRPC's table of HTTP/2 error codes; a connection that ended is UNAVAILABLE.
    pub(super) fn from_h2(error: &h2::Error) -> Self {
        tracing::debug!(%error, "an upstream call broke off");
        let Some(reason) = error.reason().filter(|_| error.is_reset()) else {
            return Self::unavailable("the connection to the upstream ended");
        };
        let (code, message) = match reason {
            h2::Reason::REFUSED_STREAM => (Code::Unavailable, "the upstream refused the call"),
            h2::Reason::CANCEL => (Code::Cancelled, "the upstream cancelled the call"),
            h2::Reason::ENHANCE_YOUR_CALM => {
                (Code::ResourceExhausted, "the upstream asks to be called less")
            }
            h2::Reason::INADEQUATE_SECURITY => {
                (Code::PermissionDenied, "the upstream asks for better security")
            }
            _ => (Code::Internal, "the upstream reset the call"),
        };
        Self { code, message: message.into() }
    }

    /// A body of a tonic service broke off.
    pub(super) fn from_tonic(status: &tonic::Status) -> Self {
        let code = Code::from_number(i64::from(i32::from(status.code())));
        Self { code, message: status.message().to_owned().into() }
    }
}
