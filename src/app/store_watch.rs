//! Whether the user store can be read, told by the readiness: a replica that lost its database is
//! sent no more work, and is not restarted for it either.

use std::time::Duration;

use crate::{server::Readiness, users::Store};

/// How often the store is asked.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Holds the readiness back whenever the store cannot be read, for as long as it is polled.
pub(super) async fn watch(store: &dyn Store, readiness: &Readiness) {
    let mut hold = None;
    loop {
        match (store.probe().await, &hold) {
            (Err(error), None) => {
                tracing::warn!(%error, "not ready: the user store cannot be read");
                hold = Some(readiness.hold());
            }
            (Ok(()), Some(_)) => {
                tracing::info!("the user store can be read again");
                hold = None;
            }
            _ => {}
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
}
