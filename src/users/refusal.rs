//! How the service says no: gRPC statuses with the details that `google.rpc` has for them.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::{StoreError, password::HashError};

/// What is wrong with one field.
pub(super) struct Violation {
    /// In short, for the status's message.
    pub(super) message: &'static str,
    pub(super) field: String,
    pub(super) description: &'static str,
}

impl Violation {
    pub(super) fn new(
        message: &'static str,
        field: impl Into<String>,
        description: &'static str,
    ) -> Self {
        Self { message, field: field.into(), description }
    }
}

impl From<Violation> for Status {
    fn from(violation: Violation) -> Self {
        invalid(vec![violation])
    }
}

/// INVALID_ARGUMENT with every violation among its details, and the first as its message.
pub(super) fn invalid(violations: Vec<Violation>) -> Status {
    let message = violations.first().map_or("Invalid request", |first| first.message);
    let violations = violations.into_iter();
    let details = ErrorDetails::with_bad_request(
        violations
            .map(|violation| FieldViolation::new(violation.field, violation.description))
            .collect::<Vec<_>>(),
    );
    Status::with_error_details(Code::InvalidArgument, message, details)
}

pub(super) fn not_found(id: &str) -> Status {
    Status::not_found(format!("User {id} not found"))
}

/// RESOURCE_EXHAUSTED: whoever asks again should wait for so long.
pub(super) fn too_many(message: &str, wait: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(wait));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// An attempt too many; the next may be made after `wait`.
pub(super) fn too_often(wait: Duration) -> Status {
    // In whole seconds, and not too early.
    too_many("Too many attempts", Duration::from_secs(wait.as_secs() + 1))
}

/// The store's errors: what is wrong in there is logged, and not told.
pub(super) fn store(error: StoreError) -> Status {
    match error {
        StoreError::EmailTaken => Status::already_exists("Email already registered"),
        StoreError::Full => {
            tracing::error!("the user store is full");
            Status::resource_exhausted("The user store is full")
        }
        StoreError::Unavailable(error) => {
            tracing::error!(%error, "the user store is unavailable");
            Status::unavailable("The user store is unavailable")
        }
    }
}

pub(super) fn hash(error: HashError) -> Status {
    match error {
        HashError::Busy => too_many("Too many passwords are being checked", Duration::from_secs(1)),
        HashError::Failed => {
            tracing::error!("a password could not be hashed");
            Status::internal("The password could not be hashed")
        }
    }
}
