//! The server: one listening socket, connections handed to the least loaded worker, and a stop
//! that loses nothing.
//!
//! A worker is a thread with a runtime of its own, so that what belongs to one connection runs
//! in one place and its writes come together.

use std::{
    future::{Future, poll_fn},
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

mod caller_io;
mod connection;
mod docs;
mod front;
mod head_timer;
mod linger;
mod pages;
mod readiness;
mod worker;

pub use connection::CallService;
pub use docs::Docs;
pub use front::front;
pub use pages::{Jwks, router};
pub use readiness::{Hold, Readiness};

use crate::config::{Drain, Listener};
use worker::Workers;

/// Why the server is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody is about to take over (SIGTERM): give load balancers time to notice.
    Graceful,
    /// Somebody waits at the terminal (Ctrl-C): end streams at once.
    Prompt,
}

/// Binds the listening socket. It does not share its port: a second process is told so.
pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the process before it to time out.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// How far a stop has come.
#[derive(Clone, Debug, Default)]
struct Phase {
    /// Connections are still taken, but callers are asked to come back on another.
    leaving: Arc<AtomicBool>,
    /// No more connections; open ones end with the calls on them.
    closing: CancellationToken,
}

impl Phase {
    /// Waits until open connections have to end. A connection waits for that each time it is
    /// looked at, and until a stop has begun there is nothing to take a lock for.
    async fn closing(&self) {
        let mut closing = pin!(self.closing.cancelled());
        let mut told: Option<Waker> = None;
        poll_fn(|cx| {
            let is_told = told.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
            if is_told && !self.leaving.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
            told = Some(cx.waker().clone());
            closing.as_mut().poll(cx)
        })
        .await;
    }
}

/// What the server tells and asks the rest of the process while it stops.
pub struct Hooks<F> {
    /// Set while new work is welcome.
    pub readiness: Readiness,
    /// Ends every open stream.
    pub end_streams: Box<dyn Fn() + Send>,
    /// Whether requests have the caller's `SocketAddr` in their extensions. It costs each some
    /// memory, so that only who looks at it should ask for it.
    pub tells_caller_address: bool,
    /// Runs when the last call is over, before any worker stops.
    pub before_workers_stop: F,
}

/// Serves until told to stop, then drains. A second stop ends the draining.
pub async fn run<S: CallService>(
    listener: TcpListener,
    config: &Listener,
    drain: &Drain,
    service: S,
    mut stops: mpsc::Receiver<Stop>,
    hooks: Hooks<impl Future<Output = ()>>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
    let phase = Phase::default();
    let workers = Workers::start(config, service, &phase, hooks.tells_caller_address)?;
    hooks.readiness.set(true);

    let stop = accept_until(&listener, &slots, &workers, stops.recv()).await;
    let stop = stop.flatten().unwrap_or(Stop::Prompt);
    match stop {
        Stop::Prompt => tracing::info!("stopping: once more stops at once"),
        Stop::Graceful => tracing::info!("stopping: a second signal stops at once"),
    }
    hooks.readiness.set(false);
    phase.leaving.store(true, Ordering::Relaxed);
    let (wait, streams) = match stop {
        Stop::Graceful => (drain.ready_wait_ms, drain.stream_end_ms),
        Stop::Prompt => (0, 0),
    };
    let began = tokio::time::Instant::now();
    let at = |millis: u64| tokio::time::sleep_until(began + Duration::from_millis(millis));
    let again = accept_until(&listener, &slots, &workers, async {
        tokio::select! {
            () = at(wait) => false,
            again = stops.recv() => again.is_some(),
        }
    })
    .await
    .unwrap_or(false);
    // Closing the listener resets what still waits in its backlog.
    while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
        if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            workers.hand_over(stream, slot);
        }
    }
    drop(listener);
    phase.closing.cancel();

    let mut drained = Box::pin(workers.drained());
    if !again {
        tokio::select! {
            () = &mut drained => {}
            () = at(streams) => {
                (hooks.end_streams)();
                tokio::select! {
                    () = &mut drained => {}
                    () = at(drain.hard_stop_ms) => tracing::warn!("calls were still open"),
                    Some(_) = stops.recv() => tracing::warn!("told to stop at once"),
                }
            }
            Some(_) = stops.recv() => tracing::warn!("told to stop at once"),
        }
    }
    drop(drained);
    hooks.before_workers_stop.await;
    workers.stop();
    Ok(())
}

/// Accepts connections until `until` is over, and answers what it answers.
async fn accept_until<T>(
    listener: &tokio::net::TcpListener,
    slots: &Arc<Semaphore>,
    workers: &Workers,
    until: impl Future<Output = T>,
) -> Option<T> {
    let accepting = async {
        loop {
            // Never closed; and no slot, no accept: the rest waits in the backlog.
            let Ok(slot) = Arc::clone(slots).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => workers.hand_over(stream, slot),
                // Out of files, or gone before it was accepted: the next may do better.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => None,
        answer = until => Some(answer),
    }
}
