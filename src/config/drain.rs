//! How the process stops.

use serde::Deserialize;

/// The steps of a stop, in milliseconds from the signal. A second signal skips them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drain {
    /// How long to go on accepting while `/readyz` says 503, so that load balancers notice.
    /// Default: 5 s. Ctrl-C does not wait.
    pub ready_wait_ms: u64,
    /// When open streams are ended. Default: 20 s. Ctrl-C ends them at once.
    pub stream_end_ms: u64,
    /// When the process exits whatever is still open. Default: 30 s.
    pub hard_stop_ms: u64,
}

impl Default for Drain {
    fn default() -> Self {
        Self { ready_wait_ms: 5_000, stream_end_ms: 20_000, hard_stop_ms: 30_000 }
    }
}
