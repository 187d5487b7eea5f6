//! Codes and refusals: what an ending is called in each protocol's terms.
//!
//! One table of codes, one table of refusals, read by everybody: the REST body, gRPC trailers
//! and the OpenAPI document all take their numbers from here. Rendering is not done here; see
//! `protocol::refusal`. Codes follow `google/rpc/code.proto` with its HTTP mapping.

use std::{borrow::Cow, sync::LazyLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use prost::Message;

/// A canonical status code of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // named and described by google/rpc/code.proto
#[repr(u8)]
pub enum Code {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

/// Row `n` is code `n`: the code, its HTTP status, its name.
const CODES: [(Code, u16, &str); 17] = [
    (Code::Ok, 200, "OK"),
    (Code::Cancelled, 499, "CANCELLED"),
    (Code::Unknown, 500, "UNKNOWN"),
    (Code::InvalidArgument, 400, "INVALID_ARGUMENT"),
    (Code::DeadlineExceeded, 504, "DEADLINE_EXCEEDED"),
    (Code::NotFound, 404, "NOT_FOUND"),
    (Code::AlreadyExists, 409, "ALREADY_EXISTS"),
    (Code::PermissionDenied, 403, "PERMISSION_DENIED"),
    (Code::ResourceExhausted, 429, "RESOURCE_EXHAUSTED"),
    (Code::FailedPrecondition, 400, "FAILED_PRECONDITION"),
    (Code::Aborted, 409, "ABORTED"),
    (Code::OutOfRange, 400, "OUT_OF_RANGE"),
    (Code::Unimplemented, 501, "UNIMPLEMENTED"),
    (Code::Internal, 500, "INTERNAL"),
    (Code::Unavailable, 503, "UNAVAILABLE"),
    (Code::DataLoss, 500, "DATA_LOSS"),
    (Code::Unauthenticated, 401, "UNAUTHENTICATED"),
];

impl Code {
    /// The code with this number; one that nobody defined is [`Code::Unknown`].
    pub fn from_number(number: i64) -> Self {
        usize::try_from(number).ok().and_then(|n| CODES.get(n)).map_or(Self::Unknown, |row| row.0)
    }

    /// The code a non-gRPC answer stands for, by gRPC's `http-grpc-status-mapping.md`.
    pub fn from_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// 0 to 16.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// `NOT_FOUND` and its like.
    pub fn name(self) -> &'static str {
        CODES[self as usize].2
    }

    /// The HTTP status a REST caller sees.
    pub fn http_status(self) -> StatusCode {
        StatusCode::from_u16(CODES[self as usize].1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether the same call may well succeed a little later: what a stream's reader should know.
    pub fn is_worth_retrying(self) -> bool {
        matches!(
            self,
            Self::Unavailable | Self::ResourceExhausted | Self::Aborted | Self::DeadlineExceeded
        )
    }
}

/// Violations that a refusal tells one by one: an answer must not be many times its request. One
/// more than these says that there are more, so nobody needs to look for others.
pub const VIOLATION_LIMIT: usize = 32;

/// What is quoted of a request is cut to this.
const MAX_QUOTED_BYTES: usize = 512;

fn cut(text: &mut String) {
    if text.len() > MAX_QUOTED_BYTES {
        let end = (0..=MAX_QUOTED_BYTES).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
}

/// How a call ended: a code, a text for the caller, and `google.rpc` details.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// What kind of ending.
    pub code: Code,
    /// For the caller to read; never holds what the caller may not see.
    pub message: Cow<'static, str>,
    /// Typed details, as sent in `google.rpc.Status.details`.
    pub details: Vec<Any>,
}

impl Status {
    /// A status without details.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: Vec::new() }
    }

    /// The bytes of the `google.rpc.Status` this is, for `grpc-status-details-bin`.
    pub fn to_bytes(&self) -> Vec<u8> {
        RpcStatus {
            code: i32::from(self.code.number()),
            message: self.message.to_string(),
            details: self.details.clone(),
        }
        .encode_to_vec()
    }
}

/// `google.protobuf.Any`: a message behind its type's URL.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    /// `type.googleapis.com/` and the full name of the message.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message, encoded.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// `google.rpc.Status` as it travels in `grpc-status-details-bin`.
#[derive(Clone, PartialEq, Message)]
pub struct RpcStatus {
    /// The code's number.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The text.
    #[prost(string, tag = "2")]
    pub message: String,
    /// The details.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// One field of a request that was refused, and why: a `google.rpc.BadRequest.FieldViolation`.
#[derive(Clone, PartialEq, Message)]
pub struct FieldViolation {
    /// A query parameter's name or a JSON path.
    #[prost(string, tag = "1")]
    pub field: String,
    /// What is wrong with it.
    #[prost(string, tag = "2")]
    pub description: String,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct BadRequest {
    /// Every violation that was found.
    #[prost(message, repeated, tag = "1")]
    pub field_violations: Vec<FieldViolation>,
}

impl BadRequest {
    /// This message, packed as a detail.
    pub fn to_detail(&self) -> Any {
        Any {
            type_url: "type.googleapis.com/google.rpc.BadRequest".to_owned(),
            value: self.encode_to_vec().into(),
        }
    }
}

/// Why a call was not answered as asked. Each cause is a row of the refusal table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // described by the table below
pub enum Cause {
    UnknownPath,
    UnknownRpc,
    WrongMethod,
    NotAcceptable,
    UnknownContentType,
    UnknownEncoding,
    /// A page of an origin that may not call.
    UnknownOrigin,
    /// A WebSocket of another version.
    UnknownVersion,
    RequestTooSlow,
    RequestTooLarge,
    TargetTooLong,
    MessageCount,
    HeadersTooLarge,
    Malformed,
    Overload,
    DeadlinePassed,
    UpstreamMessageTooLarge,
    UpstreamWithoutStatus,
    UpstreamFraming,
    CallerGone,
    NotServed,
    UnnamedEncoding,
    Internal,
    /// An ending that the upstream gave, under its own code.
    Upstream(Code),
}

/// Who has to change something for the call to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is wrong.
    Caller,
    /// The gateway refuses to take on more, or has a bug.
    Gateway,
    /// The service behind the gateway.
    Upstream,
}

impl Cause {
    /// The row of the refusal table: HTTP status, code, and who is at fault.
    pub fn row(self) -> (StatusCode, Code, Fault) {
        let (http, code, fault) = match self {
            Self::UnknownPath => (404, Code::NotFound, Fault::Caller),
            Self::UnknownRpc => (404, Code::Unimplemented, Fault::Caller),
            Self::WrongMethod => (405, Code::Unimplemented, Fault::Caller),
            Self::NotAcceptable => (406, Code::InvalidArgument, Fault::Caller),
            Self::UnknownContentType => (415, Code::InvalidArgument, Fault::Caller),
            Self::UnknownEncoding => (415, Code::Unimplemented, Fault::Caller),
            Self::UnknownOrigin => (403, Code::PermissionDenied, Fault::Caller),
            Self::UnknownVersion => (426, Code::Unimplemented, Fault::Caller),
            Self::RequestTooSlow => (408, Code::DeadlineExceeded, Fault::Caller),
            Self::RequestTooLarge => (413, Code::ResourceExhausted, Fault::Caller),
            Self::TargetTooLong => (414, Code::InvalidArgument, Fault::Caller),
            Self::MessageCount => (400, Code::Unimplemented, Fault::Caller),
            Self::HeadersTooLarge => (431, Code::ResourceExhausted, Fault::Caller),
            Self::Malformed => (400, Code::InvalidArgument, Fault::Caller),
            Self::Overload => (503, Code::Unavailable, Fault::Gateway),
            Self::DeadlinePassed => (504, Code::DeadlineExceeded, Fault::Upstream),
            Self::UpstreamMessageTooLarge => (500, Code::ResourceExhausted, Fault::Upstream),
            Self::UpstreamWithoutStatus => (500, Code::Unknown, Fault::Upstream),
            Self::UpstreamFraming => (500, Code::Internal, Fault::Upstream),
            Self::CallerGone => (499, Code::Cancelled, Fault::Caller),
            Self::NotServed => (501, Code::Unimplemented, Fault::Gateway),
            Self::UnnamedEncoding => (400, Code::Internal, Fault::Caller),
            Self::Internal => (500, Code::Internal, Fault::Gateway),
            Self::Upstream(code) => return (code.http_status(), code, Fault::Upstream),
        };
        (StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), code, fault)
    }
}

/// A call that is not answered as asked: the cause, the status, and what else the answer says.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Why.
    pub cause: Cause,
    /// What the caller is told. Its code is the cause's.
    pub status: Status,
    /// Boxed, because most refusals have none.
    headers: Option<Box<HeaderMap>>,
}

impl Refusal {
    /// A refusal for `cause`, told in `message`.
    pub fn new(cause: Cause, message: impl Into<Cow<'static, str>>) -> Self {
        let (_, code, _) = cause.row();
        Self { cause, status: Status::new(code, message), headers: None }
    }

    /// What the upstream itself answered.
    pub fn upstream(status: Status) -> Self {
        Self { cause: Cause::Upstream(status.code), status, headers: None }
    }

    /// A malformed request with every violation found.
    pub fn bad_request(violations: Vec<FieldViolation>) -> Self {
        let mut violations = violations;
        let count = violations.len();
        violations.truncate(VIOLATION_LIMIT);
        for violation in &mut violations {
            cut(&mut violation.field);
            cut(&mut violation.description);
        }
        let message = match violations.as_slice() {
            [] => "malformed request".to_owned(),
            [one] if one.field.is_empty() => one.description.clone(),
            [one] => format!("{}: {}", one.field, one.description),
            [first, ..] => {
                let at_least = if count > VIOLATION_LIMIT { "at least " } else { "" };
                let others = count - 1;
                let separator = if first.field.is_empty() { "" } else { ": " };
                let (field, description) = (&first.field, &first.description);
                format!("{field}{separator}{description} (and {at_least}{others} more)")
            }
        };
        if count > VIOLATION_LIMIT {
            let description = format!("there are more: these are the first {VIOLATION_LIMIT}");
            violations.push(FieldViolation { field: String::new(), description });
        }
        let mut refusal = Self::new(Cause::Malformed, message);
        refusal.status.details.push(BadRequest { field_violations: violations }.to_detail());
        refusal
    }

    /// The same, with a header on the answer.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// The same, with what the upstream said beside its status.
    pub fn with_metadata(mut self, metadata: HeaderMap) -> Self {
        self.headers = (!metadata.is_empty()).then(|| Box::new(metadata));
        self
    }

    /// Headers of the answer: `allow`, `retry-after`, the upstream's metadata.
    pub fn headers(&self) -> &HeaderMap {
        static NONE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        self.headers.as_deref().unwrap_or(&NONE)
    }

    /// The HTTP status for callers that read one.
    pub fn http_status(&self) -> StatusCode {
        self.cause.row().0
    }

    /// Who has to change something.
    pub fn fault(&self) -> Fault {
        self.cause.row().2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_at_their_numbers() {
        for (number, row) in CODES.iter().enumerate() {
            assert_eq!(usize::from(row.0.number()), number);
            assert_eq!(Code::from_number(number as i64), row.0);
        }
        assert_eq!(Code::from_number(17), Code::Unknown);
        assert_eq!(Code::from_number(-1), Code::Unknown);
        assert_eq!(Code::Cancelled.http_status().as_u16(), 499);
    }

    #[test]
    fn one_violation_is_the_message_and_many_are_counted() {
        let violation = |field: &str| FieldViolation {
            field: field.to_owned(),
            description: "is unknown".to_owned(),
        };
        let one = Refusal::bad_request(vec![violation("a")]);
        assert_eq!(one.status.message, "a: is unknown");
        let three = Refusal::bad_request(vec![violation("a"), violation("b"), violation("c")]);
        assert_eq!(three.status.message, "a: is unknown (and 2 more)");
        assert_eq!(three.http_status(), 400);
        let unnamed = Refusal::bad_request(vec![violation(""), violation("b")]);
        assert_eq!(unnamed.status.message, "is unknown (and 1 more)");
    }

    #[test]
    fn of_many_violations_the_first_are_told() {
        let violation = FieldViolation { field: "a".into(), description: "is unknown".into() };
        for (count, told, message) in [
            (32, 32, "a: is unknown (and 31 more)"),
            (33, 33, "a: is unknown (and at least 32 more)"),
            (1_000, 33, "a: is unknown (and at least 999 more)"),
        ] {
            let refusal = Refusal::bad_request(vec![violation.clone(); count]);
            assert_eq!(refusal.status.message, message);
            let detail = BadRequest::decode(&refusal.status.details[0].value[..]).unwrap();
            assert_eq!(detail.field_violations.len(), told);
            let last = &detail.field_violations[told - 1].description;
            assert_eq!(last == "there are more: these are the first 32", told == 33);
        }
    }
}
