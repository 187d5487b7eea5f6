//! Hints that another process may have made a change: notifications, and every time a connection
//! that listens was lost or made. They say nothing of what changed, so that one too many does no
//! harm, and what was notified while nobody listened is found by the hint that comes after.

use std::{convert::Infallible, sync::Arc, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::changes::CHANNEL;

/// How long a connection may take, and an answer on it.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// How long to wait before connecting again.
const PAUSE: Duration = Duration::from_secs(1);

/// After so much silence the connection is asked whether it is still there: a machine that
/// vanished says nothing either.
const SILENCE: Duration = Duration::from_secs(20);

/// A connection that listens, as long as this lives.
#[derive(Debug)]
pub(super) struct Hints {
    heard: Arc<Notify>,
    listening: AbortHandle,
}

impl Hints {
    /// Listens from soon on, on this runtime.
    pub(super) fn listen(options: PgConnectOptions) -> Self {
        let heard = Arc::new(Notify::new());
        let listening = tokio::spawn(keep_listening(options, Arc::clone(&heard))).abort_handle();
        Self { heard, listening }
    }

    /// Waits for the next; one that nobody waited for is kept.
    pub(super) async fn next(&self) {
        self.heard.notified().await;
    }

    pub(super) fn stop(&self) {
        self.listening.abort();
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.stop();
    }
}

/// To all who wait, and to the next who will.
fn hint(heard: &Notify) {
    heard.notify_waiters();
    heard.notify_one();
}

async fn keep_listening(options: PgConnectOptions, heard: Arc<Notify>) {
    loop {
        let Err(error) = match connect(&options).await {
            Ok(listener) => {
                hint(&heard);
                let lost = listen(listener, &heard).await;
                hint(&heard);
                lost
            }
            Err(error) => Err(error),
        };
        tracing::debug!(%error, "not listening for changes of other replicas");
        sleep(PAUSE).await;
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    let only = PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER_LIMIT);
    let pool = only.idle_timeout(None).max_lifetime(None).connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    in_time(listener.listen(CHANNEL)).await?;
    Ok(listener)
}

/// Until the connection is lost.
async fn listen(mut listener: PgListener, heard: &Notify) -> Result<Infallible, sqlx::Error> {
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => hint(heard),
            Ok(Ok(None)) => return Err(sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                in_time(sqlx::query("SELECT 1").execute(&mut listener)).await?;
            }
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    timeout(ANSWER_LIMIT, work).await.unwrap_or_else(late)
}
