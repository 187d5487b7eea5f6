//! A call's deadline, kept over the whole call: request body, upstream and reply.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use tokio::{
    task::unconstrained,
    time::{Instant, sleep_until},
};

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

    /// What `work` answers, unless the deadline comes first.
    pub(super) fn within<T>(
        self,
        work: impl Future<Output = Result<T, Refusal>> + Unpin,
    ) -> impl Future<Output = Result<T, Refusal>> {
        self.within_or(passed, work)
    }

    /// The same, with another refusal. The clock is set when the work first has to wait: what is
    /// called in process rarely does.
    pub(super) fn within_or<T>(
        self,
        late: impl Fn() -> Refusal,
        mut work: impl Future<Output = Result<T, Refusal>> + Unpin,
    ) -> impl Future<Output = Result<T, Refusal>> {
        let mut clock = None;
        poll_fn(move |cx| match (Pin::new(&mut work).poll(cx), self.0) {
            (Poll::Pending, Some(at)) => {
                // Not of the task's budget: the work may have used that up.
                let clock = clock.get_or_insert_with(|| Box::pin(unconstrained(sleep_until(at))));
                clock.as_mut().poll(cx).map(|()| Err(late()))
            }
            (answer, _) => answer,
        })
    }
}

/// The refusal of a call that took too long.
pub(super) fn passed() -> Refusal {
    Refusal::new(Cause::DeadlinePassed, "the deadline has passed")
}
