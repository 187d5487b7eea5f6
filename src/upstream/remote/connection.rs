//! One HTTP/2 connection: what drives it, and what its calls share.
//!
//! Spoken with `h2` itself. hyper's client hands each call to a task of its own, through two
//! channels; here a call writes its frames from where it is, which saves an eighth of what a small call
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
    /// Calls so far.
    begun: AtomicUsize,
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
        self.shared.begun.fetch_add(1, Ordering::Relaxed);
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

/// Ends when a ping is not answered. Pings only when there were calls since the last look, over by
/// now or not, and none has heard anything.
async fn unanswered(pings: Option<PingPong>, keep_alive: KeepAlive, shared: &Shared) {
    let Some(mut pings) = pings.filter(|_| !keep_alive.every.is_zero()) else {
        return std::future::pending().await;
    };
    let (mut heard, mut begun) = (0, 0);
    loop {
        tokio::time::sleep(keep_alive.every).await;
        let changed = |seen: &mut usize, now: &AtomicUsize| {
            let now = now.load(Ordering::Relaxed);
            std::mem::replace(seen, now) != now
        };
        let has_heard = changed(&mut heard, &shared.heard);
        let has_begun = changed(&mut begun, &shared.begun);
        if has_heard || !(has_begun || shared.open.load(Ordering::Relaxed) > 0) {
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

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    const KEEP_ALIVE: KeepAlive =
        KeepAlive { every: Duration::from_secs(30), timeout: Duration::from_secs(10) };

    /// An upstream that answers no call; and reads nothing any more after so many.
    async fn upstream(io: DuplexStream, calls: usize) {
        let mut connection = h2::server::handshake(io).await.unwrap();
        let mut held = Vec::new();
        while held.len() < calls {
            held.push(connection.accept().await);
        }
        std::future::pending::<()>().await;
    }

    async fn connected(calls: usize) -> Connection {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(upstream(theirs, calls));
        Connection::open(&Builder::new(), KEEP_ALIVE, ours).await.unwrap()
    }

    fn call(connection: &Connection) -> Sent {
        let request = Request::get("http://localhost/").body(RequestBody::Full(None)).unwrap();
        connection.send(request).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_connection_is_found_by_calls_that_are_over_too() {
        let connection = connected(1).await;
        let _open = call(&connection);
        tokio::time::sleep(Duration::from_secs(20)).await;
        drop(call(&connection));
        assert!(connection.is_usable());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!connection.is_usable());

        let connection = connected(1).await;
        drop(call(&connection));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!connection.is_usable());
    }

    #[tokio::test]
    async fn calls_that_are_given_up_leave_the_connection_to_others() {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(theirs).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                // Much that nobody waits for any more when it arrives.
                tokio::spawn(async move {
                    while body.send_data(Bytes::from_static(b"late"), false).is_ok() {
                        tokio::task::yield_now().await;
                    }
                });
            }
        });
        let builder = super::super::connect::builder(64 << 10);
        let connection = Connection::open(&builder, KEEP_ALIVE, ours).await.unwrap();
        for _ in 0..20 {
            let calls: Vec<_> = (0..100).map(|_| call(&connection)).collect();
            for call in calls {
                // Its head is on its way, and so is what follows.
                assert!(call.response.await.is_ok());
            }
        }
        assert!(connection.is_usable());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_connection_is_none_that_is_dead() {
        // Nobody calls, and nobody is asked whether he lives.
        let connection = connected(0).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(connection.is_usable());
        // A call that hears nothing, of an upstream that answers pings.
        let connection = connected(usize::MAX).await;
        let _open = call(&connection);
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(connection.is_usable());
    }
}
