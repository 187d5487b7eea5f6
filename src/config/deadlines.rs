//! How long a call may take.

use std::time::Duration;

use serde::Deserialize;

/// Time limits of a call, in milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// The deadline of a call without streams that asks for none. Default: 15 s. Zero: no deadline.
    pub unary_ms: u64,
    /// The longest deadline a caller can ask for; longer ones are cut. Default: 1 h.
    pub max_ms: u64,
    /// How long a stream may go without a message before it is ended. Default: 1 h.
    pub stream_idle_ms: u64,
    /// How long a stream's answer waits for the upstream's first word, so that an early failure
    /// has its real HTTP status. Default: 1 s. Zero does not wait.
    pub stream_commit_ms: u64,
    /// How often a quiet event stream sends a comment. Default: 15 s.
    pub sse_heartbeat_ms: u64,
    /// How often the caller of a WebSocket is pinged. One that is not heard of for two of these is
    /// taken for gone. Default: 15 s.
    pub websocket_ping_ms: u64,
    /// How long a WebSocket may take to close: what is still to be sent, and the caller's own
    /// close frame. Default: 10 s. Zero closes without a word.
    pub websocket_close_ms: u64,
    /// How long the body of a request of one message may be on its way. Default: 15 s. Zero refuses
    /// every body that is not there at once.
    pub body_ms: u64,
    /// How long a request body may pause. Default: 15 s.
    pub body_idle_ms: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            unary_ms: 15_000,
            max_ms: 3_600_000,
            stream_idle_ms: 3_600_000,
            stream_commit_ms: 1_000,
            sse_heartbeat_ms: 15_000,
            websocket_ping_ms: 15_000,
            websocket_close_ms: 10_000,
            body_ms: 15_000,
            body_idle_ms: 15_000,
        }
    }
}

impl Deadlines {
    /// How long a call may take, given what its caller asks for; None is without end.
    pub fn of_call(&self, requested: Option<Duration>, is_stream: bool) -> Option<Duration> {
        let has_default = !is_stream && self.unary_ms > 0;
        let default = has_default.then_some(Duration::from_millis(self.unary_ms));
        requested.or(default).map(|timeout| timeout.min(Duration::from_millis(self.max_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_gets_what_it_asks_for_up_to_the_maximum() {
        let deadlines = Deadlines { unary_ms: 10, max_ms: 100, ..Deadlines::default() };
        let asked = |millis| Some(Duration::from_millis(millis));
        assert_eq!(deadlines.of_call(None, false), asked(10));
        assert_eq!(deadlines.of_call(None, true), None);
        assert_eq!(deadlines.of_call(asked(50), true), asked(50));
        assert_eq!(deadlines.of_call(asked(5_000), false), asked(100));
        let deadlines = Deadlines { unary_ms: 0, ..deadlines };
        assert_eq!(deadlines.of_call(None, false), None);
        assert_eq!(deadlines.of_call(asked(0), false), asked(0));
    }
}
