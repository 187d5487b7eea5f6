//! Sizes and counts that a call may not exceed.

use serde::Deserialize;

/// What a call may hold. Each limit has its own refusal.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Longest HTTP request body of a REST call, in bytes. Default: 4 MiB. Zero refuses every
    /// body.
    pub body_limit_bytes: usize,
    /// Longest message of a request, in bytes of protobuf. Default: 4 MiB. Zero refuses every message
    /// but the empty one.
    pub message_limit_bytes: usize,
    /// Longest message of an upstream's answer, in bytes of protobuf. Default: 4 MiB. Zero refuses
    /// every message but the empty one.
    pub reply_message_limit_bytes: usize,
    /// Longest JSON that a response message may become, in bytes: few bytes of protobuf can stand
    /// for many. Default: 64 MiB. Zero refuses every message.
    pub json_limit_bytes: usize,
    /// Deepest nesting of JSON objects and arrays; never more than 200, which is what the stack of
    /// a worker has room for. Default: 100. Zero refuses both.
    pub json_depth_limit: usize,
    /// Longest request target, in bytes. Default: 8 KiB. Zero refuses every call.
    pub target_limit_bytes: usize,
    /// Most header fields of a request; over HTTP/1.1 never more than 100. Default: 100. Zero
    /// refuses every call.
    pub header_count_limit: usize,
    /// Most calls at once, each until its answer is committed. Default: 1,024. Zero refuses every
    /// call.
    pub calls_limit: usize,
    /// Most open streams of responses at once. Default: 10,000. Zero refuses every stream.
    pub streams_limit: usize,
    /// Most parameters of a query. Default: 256. Zero refuses every parameter.
    pub query_parameter_limit: usize,
}

impl Limits {
    /// The longest message that a caller may send in whatever form.
    pub(crate) fn longest_frame_bytes(&self) -> usize {
        self.body_limit_bytes.max(self.message_limit_bytes)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_limit_bytes: 4 << 20,
            message_limit_bytes: 4 << 20,
            reply_message_limit_bytes: 4 << 20,
            json_limit_bytes: 64 << 20,
            json_depth_limit: 100,
            target_limit_bytes: 8 << 10,
            header_count_limit: 100,
            calls_limit: 1_024,
            streams_limit: 10_000,
            query_parameter_limit: 256,
        }
    }
}
