//! Workers: threads with a current-thread runtime each, and who gets the next connection.

use std::{
    io,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Phase,
    connection::{CallService, Connections},
};
use crate::config::Listener;

pub(super) struct Workers {
    workers: Vec<Worker>,
    /// Cancelled when the workers may end.
    release: CancellationToken,
}

struct Worker {
    sender: mpsc::UnboundedSender<Accepted>,
    open: Arc<AtomicUsize>,
    drained: watch::Receiver<bool>,
    thread: thread::JoinHandle<()>,
}

/// A connection on its way to its worker.
struct Accepted {
    stream: TcpStream,
    held: Held,
}

/// What a connection holds while it is open.
pub(super) struct Held {
    _slot: OwnedSemaphorePermit,
    open: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    pub(super) fn start<S: CallService>(
        config: &Listener,
        service: S,
        phase: &Phase,
        tells_caller_address: bool,
    ) -> io::Result<Self> {
        let count = match config.workers {
            0 => thread::available_parallelism().map_or(1, |cores| cores.get()),
            count => count,
        };
        let release = CancellationToken::new();
        let start = |number| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let connections =
                Connections::new(config, service.clone(), phase.clone(), tells_caller_address);
            let (sender, accepted) = mpsc::unbounded_channel();
            let (drained_sender, drained) = watch::channel(false);
            let (closing, release) = (phase.closing.clone(), release.clone());
            let thread =
                thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                    runtime.block_on(async {
                        serve(accepted, connections, closing, drained_sender).await;
                        release.cancelled().await;
                    });
                    // Whatever is still open after a hard stop is dropped here, with the runtime.
                    runtime.shutdown_background();
                })?;
            Ok(Worker { sender, open: Arc::default(), drained, thread })
        };
        let workers = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Self { workers, release })
    }

    /// Gives a connection to the worker with the fewest.
    pub(super) fn hand_over(&self, stream: tokio::net::TcpStream, slot: OwnedSemaphorePermit) {
        // The socket leaves the acceptor's runtime and joins the worker's.
        let Ok(stream) = stream.into_std() else { return };
        let open = |worker: &&Worker| worker.open.load(Ordering::Relaxed);
        let Some(worker) = self.workers.iter().min_by_key(open) else { return };
        worker.open.fetch_add(1, Ordering::Relaxed);
        let held = Held { _slot: slot, open: Arc::clone(&worker.open) };
        // A worker ends only after the last hand-over.
        let _ = worker.sender.send(Accepted { stream, held });
    }

    /// Waits until no worker has an open connection, once closing has begun.
    pub(super) async fn drained(&self) {
        for worker in &self.workers {
            let _ = worker.drained.clone().wait_for(|drained| *drained).await;
        }
    }

    /// Ends the workers, and whatever they still have open.
    pub(super) fn stop(self) {
        self.release.cancel();
        for worker in self.workers {
            drop(worker.sender);
            if !*worker.drained.borrow() {
                continue;
            }
            if worker.thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

async fn serve<S: CallService>(
    mut accepted: mpsc::UnboundedReceiver<Accepted>,
    connections: Connections<S>,
    closing: CancellationToken,
    drained: watch::Sender<bool>,
) {
    let tasks = TaskTracker::new();
    loop {
        tokio::select! {
            biased;
            next = accepted.recv() => match next {
                Some(Accepted { stream, held }) => {
                    tasks.spawn(connections.clone().serve(stream, held));
                }
                None => break,
            },
            () = closing.cancelled() => break,
        }
    }
    tasks.close();
    tasks.wait().await;
    drained.send_replace(true);
}
