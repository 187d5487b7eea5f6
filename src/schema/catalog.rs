//! Services and methods: what can be called.

use super::{HttpBinding, MessageIndex, problem::Position};

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Full name: `user.v1.UserService`.
    pub name: String,
    /// What its proto says of it.
    pub comment: String,
    /// Where it is declared.
    pub position: Position,
    /// In order of declaration.
    pub methods: Vec<Method>,
}

/// A method of a service.
#[derive(Debug)]
pub struct Method {
    /// Short name: `GetUser`.
    pub name: String,
    /// What its proto says of it.
    pub comment: String,
    /// The path of gRPC calls: `/user.v1.UserService/GetUser`.
    pub path: String,
    /// The same, ready to be asked for.
    pub uri: http::Uri,
    /// The type of each request message.
    pub input: MessageIndex,
    /// The type of each response message.
    pub output: MessageIndex,
    /// Whether the caller sends any number of messages.
    pub client_streaming: bool,
    /// Whether the upstream sends any number of messages.
    pub server_streaming: bool,
    /// What is known of calling it twice.
    pub idempotency: Idempotency,
    /// Whether there is an HTTP rule for it.
    pub has_rule: bool,
    /// Its HTTP rule, additional bindings after it: of the service configuration, else its
    /// `google.api.http` option.
    pub bindings: Vec<HttpBinding>,
    /// How it resumes over server-sent events.
    pub sse: Option<SseResume>,
    /// Where it is declared.
    pub position: Position,
}

impl Method {
    /// `user.v1.UserService/GetUser`.
    pub fn full_name(&self) -> &str {
        &self.path[1..]
    }

    /// As a service configuration selects it: `user.v1.UserService.GetUser`.
    pub fn selector(&self) -> String {
        self.full_name().replace('/', ".")
    }
}

/// The `idempotency_level` option of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing is promised.
    Unknown,
    /// `NO_SIDE_EFFECTS`: it only reads.
    NoSideEffects,
    /// `IDEMPOTENT`: twice is the same as once.
    Idempotent,
}

/// The `transom.v1.sse` option of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseResume {
    /// Number of the response field whose text is the event's id.
    pub event_id_field: Option<u32>,
    /// Name of the request field that takes `Last-Event-ID`.
    pub resume_field: Option<String>,
}
