//! How a call failed: a status that holds for connections too, and whether the call may have been
//! seen.

use std::{error::Error as StdError, fmt, time::Duration};

use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt as _;

use crate::status;

/// A call that failed.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    message: String,
    /// Field and description of each violation of a BadRequest.
    violations: Vec<[String; 2]>,
    /// Whether the service has seen nothing of the call.
    is_unsent: bool,
}

impl Failure {
    /// What `status` means for a call to `url`: tonic tells connections that break in many codes.
    pub(super) fn of(status: Status, url: &str) -> Self {
        let mut failure = Self {
            code: status.code(),
            message: status.message().to_owned(),
            violations: Vec::new(),
            is_unsent: false,
        };
        if let Some(violations) = status.get_details_bad_request() {
            let violations = violations.field_violations.into_iter();
            failure.violations = violations.map(|v| [v.field, v.description]).collect();
        }
        let Some(error) = status.source() else { return failure };
        let deepest = chain(error).last().map(ToString::to_string).unwrap_or_default();
        if any(error, |_: &TimeoutExpired| true) {
            failure.code = Code::DeadlineExceeded;
        } else if any(error, |_: &ConnectError| true) {
            failure.code = Code::Unavailable;
            failure.message = format!("no connection to {url}: {deepest}");
            failure.is_unsent = true;
        } else if any(error, |error: &h2::Error| error.reason() == Some(h2::Reason::REFUSED_STREAM))
        {
            failure.code = Code::Unavailable;
            failure.is_unsent = true;
        } else if any(error, |error: &h2::Error| error.is_io() || error.is_go_away())
            || any(error, |error: &hyper::Error| error.is_canceled() || error.is_closed())
            || any(error, |_: &std::io::Error| true)
        {
            failure.code = Code::Unavailable;
            failure.message = format!("the connection to {url} was lost: {deepest}");
        }
        failure
    }

    /// A call that took longer than `limit`.
    pub(super) fn deadline(what: &str, limit: Duration) -> Self {
        let seconds = limit.as_secs_f64();
        Self {
            code: Code::DeadlineExceeded,
            message: format!("no {what} within {seconds} s"),
            violations: Vec::new(),
            is_unsent: false,
        }
    }

    /// Whether another attempt may well succeed.
    pub(super) fn is_transient(&self) -> bool {
        self.is_unavailable() || self.is_deadline()
    }

    pub(super) fn is_deadline(&self) -> bool {
        self.code == Code::DeadlineExceeded
    }

    /// Whether the service may have done a part of what it was asked.
    pub(super) fn may_have_done(&self) -> bool {
        let is_refusal = matches!(
            self.code,
            Code::Unimplemented | Code::Unauthenticated | Code::PermissionDenied
        );
        !self.is_unsent && !is_refusal
    }

    pub(super) fn is_unavailable(&self) -> bool {
        self.code == Code::Unavailable
    }

    /// Whether another attempt does no harm whatever the method does.
    pub(super) fn is_unsent(&self) -> bool {
        self.is_unsent
    }
}

/// As it is printed: `NOT_FOUND: User x not found`, and a line for each violation.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = status::Code::from_number(self.code as i64).name();
        write!(f, "{name}: {}", printable(&self.message))?;
        for [field, description] in &self.violations {
            write!(f, "\n  {}: {}", printable(field), printable(description))?;
        }
        Ok(())
    }
}

/// Text from elsewhere, without what would steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn chain<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether an error of type `E` that is so is among the causes.
fn any<E: StdError + 'static>(
    error: &(dyn StdError + 'static),
    is_so: impl Fn(&E) -> bool,
) -> bool {
    chain(error).filter_map(|error| error.downcast_ref()).any(is_so)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_failure_is_told_with_its_violations() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("email", "must hold an @");
        details.add_bad_request_violation("name", "is\u{1b}[2J long");
        let status = Status::with_error_details(Code::InvalidArgument, "Invalid user", details);
        assert_eq!(
            Failure::of(status, "http://a").to_string(),
            "INVALID_ARGUMENT: Invalid user\n  email: must hold an @\n  name: is\u{fffd}[2J long"
        );
    }

    #[test]
    fn only_what_was_not_sent_may_be_sent_again_whatever_it_does() {
        let of = |source: Arc<dyn StdError + Send + Sync>| {
            let mut status = Status::unknown("?");
            status.set_source(source);
            Failure::of(status, "http://a:1")
        };
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let failure = of(Arc::new(ConnectError(refused.into())));
        assert!(failure.is_unsent() && failure.is_transient());
        let told = failure.to_string();
        assert_eq!(told, "UNAVAILABLE: no connection to http://a:1: connection refused");
        let failure = of(Arc::new(h2::Error::from(h2::Reason::REFUSED_STREAM)));
        assert!(failure.is_unsent() && failure.is_unavailable());
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let failure = of(Arc::new(broken));
        assert!(!failure.is_unsent() && failure.is_unavailable());
        let failure = of(Arc::new(TimeoutExpired(())));
        assert!(failure.is_transient() && !failure.is_unavailable());
        assert!(!Failure::of(Status::unavailable("a service's own"), "http://a").is_unsent());
    }
}
