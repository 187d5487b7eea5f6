//! One HTTP/2 connection: what drives it, and what its calls share.
//!
//! Spoken with `h2` itself. hyper's client hands each call to a task of its own, through two
//! channels; here a call writes its frames from where it is, which is a fifth of what a small call
//! costs.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping, PingPong,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

use super::pipe::pipe;
use crate::upstream::{RequestBody, UpstreamError};

/// A connection that calls can be made on. Clones share it.
#[derive(Clone)]
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    has_ended: AtomicBool,
    /// Calls that are not over.
    open: AtomicUsize,
    /// Changes whenever a call hears something.
    heard: AtomicUsize,
}

/// When a connection with open calls is taken to be dead.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepAlive {
    pub(super) every: Duration,
    pub(super) timeout: Duration,
}

/// A call whose head is on its way.
pub(super) struct Sent {
    pub(super) response: ResponseFuture,
    pub(super) open: OpenCall,
}

/// Held for as long as a call is open; sends its body, if that is a stream.
pub(super) struct OpenCall {
    shared: Arc<Shared>,
    _pipe: Option<AbortOnDropHandle<()>>,
}

impl Connection {
    /// Speaks HTTP/2 on `io`. Driven on the runtime this is called on; ends when the last clone
    /// and the last call are gone.
    pub(super) async fn open<I>(
        builder: &Builder,
        keep_alive: KeepAlive,
        io: I,
    ) -> Result<Self, h2::Error>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, mut connection) = builder.handshake(io).await?;
        let shared = Arc::new(Shared::default());
        let pings = connection.ping_pong();
        let alive = Arc::clone(&shared);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                result = connection => if let Err(error) = result {
                    tracing::debug!(%error, "an upstream connection ended");
                },
                () = unanswered(pings, keep_alive, &alive) => {
                    tracing::warn!("an upstream connection is dead: no answer to a ping");
                }
            }
            alive.has_ended.store(true, Ordering::Relaxed);
        });
        Ok(Self { sender, shared })
    }

    /// Whether calls can still be made on it.
    pub(super) fn is_usable(&self) -> bool {
        if self.shared.has_ended.load(Ordering::Relaxed) {
            return false;
        }
        // Waits for nothing: a sender that has sent nothing is ready, or its connection is over.
        let ready = self.sender.clone().poll_ready(&mut Context::from_waker(Waker::noop()));
        !matches!(ready, Poll::Ready(Err(_)))
    }

    /// Whether this is the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Sends a call's head, and its body as it comes.
    pub(super) fn send(&self, request: Request<RequestBody>) -> Result<Sent, UpstreamError> {
        let failed = |error: h2::Error| UpstreamError::from_h2(&error);
        let (head, body) = request.into_parts();
        let head = Request::from_parts(head, ());
        let mut sender = self.sender.clone();
        let (response, pipe) = match body {
            RequestBody::Full(None) => (sender.send_request(head, true).map_err(failed)?.0, None),
            RequestBody::Full(Some(bytes)) => {
                let (response, mut stream) = sender.send_request(head, false).map_err(failed)?;
                // Kept by the connection until the upstream has room for it.
                stream.send_data(bytes, true).map_err(failed)?;
                (response, None)
            }
            RequestBody::Stream(body) => {
                let (response, stream) = sender.send_request(head, false).map_err(failed)?;
                let task = tokio::spawn(pipe(body, stream));
                (response, Some(AbortOnDropHandle::new(task)))
            }
        };
        self.shared.open.fetch_add(1, Ordering::Relaxed);
        let open = OpenCall { shared: Arc::clone(&self.shared), _pipe: pipe };
        Ok(Sent { response, open })
    }
}

impl OpenCall {
    pub(super) fn note_heard(&self) {
        self.shared.heard.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends when a ping is not answered. Pings only when calls are open and have heard nothing since
/// the last look.
async fn unanswered(pings: Option<PingPong>, keep_alive: KeepAlive, shared: &Shared) {
    let Some(mut pings) = pings.filter(|_| !keep_alive.every.is_zero()) else {
        return std::future::pending().await;
    };
    let mut heard = 0;
    loop {
        tokio::time::sleep(keep_alive.every).await;
        let before = std::mem::replace(&mut heard, shared.heard.load(Ordering::Relaxed));
        if before != heard || shared.open.load(Ordering::Relaxed) == 0 {
            continue;
        }
        if pings.send_ping(Ping::opaque()).is_err() {
            return;
        }
        let answer = poll_fn(|cx| pings.poll_pong(cx));
        if !matches!(tokio::time::timeout(keep_alive.timeout, answer).await, Ok(Ok(_))) {
            return;
        }
    }
}
