//! How long a caller of HTTP/1 may take for its next request: to begin its head, and to end it.
//!
//! hyper's timer makes no difference between the two, and is set and cleared for each request.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    task::unconstrained,
    time::{Instant, Sleep},
};

use super::caller_io::HeadClock;

pub(super) struct HeadTimer {
    clock: HeadClock,
    /// Until the head begins.
    keep_alive: Duration,
    /// From there to its end.
    head: Duration,
    has_begun: bool,
    /// The calls behind whose last one it waits.
    calls: usize,
    /// When what is waited for must have come; None between two waits.
    due: Option<Instant>,
    /// Stays set from one request to the next: to wake in vain once in a while costs less than to
    /// set and clear it for each.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl HeadTimer {
    /// Of a connection whose first head has begun: its first bytes are what was sniffed.
    pub(super) fn new(clock: HeadClock, keep_alive: Duration, head: Duration) -> Self {
        let due = Some(Instant::now() + head);
        let has_begun = true;
        Self { clock, keep_alive, head, has_begun, calls: 0, due, sleep: None, waker: None }
    }

    /// Looks at what came of a read: whether there were bytes, or nothing yet. An error closes the
    /// connection.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        read: &Poll<io::Result<bool>>,
    ) -> io::Result<()> {
        if self.clock.begun() != self.calls {
            self.calls = self.clock.begun();
            (self.has_begun, self.due) = (false, None);
        }
        if !self.clock.is_idle() || self.clock.is_writing() {
            // An answer is on its way for longer than its call: it waits in buffers.
            if !self.has_begun {
                self.due = None;
            }
            return Ok(());
        }
        if read.is_ready() {
            if matches!(read, Poll::Ready(Ok(true))) && !self.has_begun {
                (self.has_begun, self.due) = (true, None);
            }
            return Ok(());
        }
        let (limit, message) = match self.has_begun {
            true => (self.head, "the head took too long"),
            false => (self.keep_alive, "no further request came"),
        };
        let due = *self.due.get_or_insert_with(|| Instant::now() + limit);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        let is_told = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_told && sleep.deadline() <= due && !sleep.is_elapsed() {
            return Ok(());
        }
        self.waker = Some(cx.waker().clone());
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        // Outside the task's budget: without any left, the sleep would not take the waker.
        while Pin::new(&mut unconstrained(sleep.as_mut())).poll(cx).is_ready() {
            if sleep.deadline() >= due {
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            sleep.as_mut().reset(due);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How long nothing has to come for the connection to be closed.
    async fn patience(timer: &mut HeadTimer) -> Duration {
        let began = Instant::now();
        poll_fn(|cx| match timer.poll(cx, &Poll::Pending) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(Duration::from_secs(began.elapsed().as_secs())),
        })
        .await
    }

    async fn waits(timer: &mut HeadTimer, wait: Duration) {
        assert!(tokio::time::timeout(wait, patience(timer)).await.is_err());
    }

    async fn sees(timer: &mut HeadTimer, read: Poll<io::Result<bool>>) {
        let seen = poll_fn(|cx| Poll::Ready(timer.poll(cx, &read))).await;
        seen.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_begins_with_the_end_of_a_call_and_a_head_with_its_first_byte() {
        let clock = HeadClock::new();
        let timer = || HeadTimer::new(clock.clone(), 60 * SECOND, 10 * SECOND);
        assert_eq!(patience(&mut timer()).await, 10 * SECOND);

        let mut timer = timer();
        for _ in 0..3 {
            let call = clock.begin_call();
            sees(&mut timer, Poll::Pending).await;
            drop(call);
            waits(&mut timer, 50 * SECOND).await;
        }
        sees(&mut timer, Poll::Ready(Ok(true))).await;
        waits(&mut timer, 5 * SECOND).await;
        // Another byte is not another head.
        sees(&mut timer, Poll::Ready(Ok(true))).await;
        assert_eq!(patience(&mut timer).await, 5 * SECOND);

        // Not looked at while the call lasts.
        drop(clock.begin_call());
        assert_eq!(patience(&mut timer).await, 60 * SECOND);
    }
}
