//! A caller's messages on their way to the upstream, at its pace: a short queue, and the request
//! body that takes from it.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use crate::upstream::{BoxError, RequestBody};

/// Once this much waits, nothing more is read from the caller.
const WAITING_BYTES: usize = 64 << 10;

/// What a message takes beside its bytes, so that many empty ones are not for free.
const OVERHEAD_BYTES: usize = 64;

#[derive(Default)]
pub(super) struct RequestQueue {
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// None where the upstream takes no stream, or no more of it.
    sender: Option<PollSender<Bytes>>,
    is_ended: bool,
    /// Set before the body ends as it should.
    is_complete: Arc<AtomicBool>,
}

impl RequestQueue {
    /// An empty queue, and the body that takes from it.
    pub(super) fn new() -> (Self, RequestBody) {
        let (sender, receiver) = mpsc::channel(1);
        let queue = Self { sender: Some(PollSender::new(sender)), ..Self::default() };
        let is_complete = Arc::clone(&queue.is_complete);
        (queue, RequestBody::Stream(Box::pin(Messages { receiver, is_complete })))
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting_bytes < WAITING_BYTES
    }

    /// Adds an envelope. What an upstream does not want is dropped, as gRPC has it.
    pub(super) fn push(&mut self, message: Bytes) {
        if self.sender.is_some() {
            self.waiting_bytes += message.len() + OVERHEAD_BYTES;
            self.waiting.push_back(message);
        }
    }

    /// The body ends behind what waits.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
    }

    /// Hands on as much as the upstream takes.
    pub(super) fn poll_forward(&mut self, cx: &mut Context<'_>) {
        while let (Some(sender), false) = (&mut self.sender, self.waiting.is_empty()) {
            let is_sent = match sender.poll_reserve(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => self.waiting.pop_front().is_none_or(|message| {
                    self.waiting_bytes -= message.len() + OVERHEAD_BYTES;
                    sender.send_item(message).is_ok()
                }),
                Poll::Ready(Err(_)) => false,
            };
            if !is_sent {
                *self = Self::default();
            }
        }
        if self.is_ended {
            // Before the sender goes: who sees the end has to see this.
            self.is_complete.store(true, Ordering::Release);
            self.sender = None;
        }
    }
}

struct Messages {
    receiver: mpsc::Receiver<Bytes>,
    /// Whether the caller has said its last message: if not, it is gone.
    is_complete: Arc<AtomicBool>,
}

impl Body for Messages {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match ready!(self.receiver.poll_recv(cx)) {
            Some(message) => Some(Ok(Frame::data(message))),
            None if self.is_complete.load(Ordering::Acquire) => None,
            None => Some(Err("the caller is gone".into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn what_waits_is_bounded_whatever_its_size() {
        for length in [0, 10, 100_000] {
            let (mut queue, body) = RequestQueue::new();
            let mut count = 0;
            while queue.has_room() {
                queue.push(vec![0; length].into());
                count += 1;
            }
            assert!(count <= 1 + WAITING_BYTES / (length + OVERHEAD_BYTES));
            let mut cx = Context::from_waker(Waker::noop());
            queue.poll_forward(&mut cx);
            assert_eq!(queue.waiting.len(), count - 1);
            // An upstream that wants no more keeps nobody waiting.
            drop(body);
            queue.poll_forward(&mut cx);
            assert!(queue.has_room() && queue.waiting.is_empty());
        }
    }

    #[test]
    fn a_caller_that_goes_away_has_not_said_its_last() {
        let mut cx = Context::from_waker(Waker::noop());
        for is_ended in [true, false] {
            let (mut queue, mut body) = RequestQueue::new();
            if is_ended {
                queue.end();
                queue.poll_forward(&mut cx);
            }
            drop(queue);
            let end = Pin::new(&mut body).poll_frame(&mut cx);
            assert!(matches!(end, Poll::Ready(None)) == is_ended, "{is_ended}");
            assert!(matches!(end, Poll::Ready(Some(Err(_)))) != is_ended, "{is_ended}");
        }
    }
}
