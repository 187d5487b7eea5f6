//! Being asked to stop: Ctrl-C and SIGTERM.

use tokio::sync::mpsc;

/// What has been asked since it was made.
pub(super) struct Stop(mpsc::UnboundedReceiver<()>);

impl Stop {
    /// From now on, these signals end nothing by themselves.
    pub(super) fn listen() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
                let Ok(mut signals) = signal(kind) else { continue };
                let sender = sender.clone();
                tokio::spawn(async move {
                    while signals.recv().await.is_some() && sender.send(()).is_ok() {}
                });
            }
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && sender.send(()).is_ok() {}
        });
        Self(receiver)
    }

    /// The next time that somebody asks.
    pub(super) async fn asked(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}
