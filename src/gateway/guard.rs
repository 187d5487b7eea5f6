//! What ends a stream that would go on: its deadline, silence, and the end of the process.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{admission::Admitted, call::Call, deadline};
use crate::status::{Cause, Refusal};

pub(super) struct StreamGuard {
    deadline: Option<Pin<Box<Sleep>>>,
    idle: Pin<Box<Sleep>>,
    idle_after: Duration,
    /// What the caller has sent: its messages break the silence too.
    sent: Sent,
    /// As it was when the silence was last looked at.
    seen: usize,
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
    /// One of the streams that may be open.
    _place: Admitted,
}

/// Counts what a caller sends.
#[derive(Clone, Default)]
pub(super) struct Sent(Arc<AtomicUsize>);

impl Sent {
    pub(super) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl StreamGuard {
    pub(super) fn new(call: &Call) -> Result<Self, Refusal> {
        let place = call.shared.streams.admit()?;
        let idle_after = Duration::from_millis(call.shared.deadlines.stream_idle_ms);
        Ok(Self {
            _place: place,
            deadline: call.deadline.at().map(|at| Box::pin(tokio::time::sleep_until(at))),
            idle: Box::pin(tokio::time::sleep(idle_after)),
            idle_after,
            sent: Sent::default(),
            seen: 0,
            drain: Box::pin(call.shared.drain.clone().cancelled_owned()),
        })
    }

    /// Where to note what the caller sends.
    pub(super) fn sent(&self) -> Sent {
        self.sent.clone()
    }

    /// What `work` answers, unless the stream has to end before.
    pub(super) async fn within<T>(
        &mut self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Pending => self.poll(cx).map(Err),
            ready => ready,
        })
        .await
    }

    /// Something came: the silence is over.
    pub(super) fn touch(&mut self) {
        self.idle.as_mut().reset(Instant::now() + self.idle_after);
    }

    /// Why the stream has to end now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(deadline::passed());
        }
        while self.idle.as_mut().poll(cx).is_ready() {
            let sent = self.sent.0.load(Ordering::Relaxed);
            if sent != std::mem::replace(&mut self.seen, sent) {
                self.touch();
                continue;
            }
            let message = format!("no message came for {:?}", self.idle_after);
            return Poll::Ready(Refusal::new(Cause::DeadlinePassed, message));
        }
        if self.drain.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Refusal::new(Cause::Overload, "the gateway is shutting down"));
        }
        Poll::Pending
    }
}
