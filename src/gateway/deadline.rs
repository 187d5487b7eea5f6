//! A call's deadline, kept over the whole call: request body, upstream and reply.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use crate::status::{Cause, Refusal};

/// When a call has to be over; or never.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    pub(super) fn at(self) -> Option<Instant> {
        self.0
    }

    pub(super) fn remaining(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it has come, as exactly as two processes can agree on it.
    pub(super) fn is_here(self) -> bool {
        const TIMERS_DIFFER: Duration = Duration::from_millis(5);
        self.remaining().is_some_and(|remaining| remaining <= TIMERS_DIFFER)
    }

    /// What `work` answers, unless the deadline comes first; then `work` is dropped.
    pub(super) async fn within<T>(
        self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        match self.0 {
            Some(at) => tokio::time::timeout_at(at, work).await.unwrap_or_else(|_| Err(passed())),
            None => work.await,
        }
    }
}

/// The refusal of a call that took too long.
pub(super) fn passed() -> Refusal {
    Refusal::new(Cause::DeadlinePassed, "the deadline has passed")
}
