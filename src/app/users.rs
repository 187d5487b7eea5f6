//! The bundled service, as both commands run it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::Error;
use crate::{
    config::{Auth, AuthMode, Config, Database},
    users::{AuthOptions, Bundle, BundleOptions, SqliteStore, Store},
};

/// The service that `config` describes, on its store.
pub(super) async fn open(config: &Config) -> Result<Bundle, Error> {
    let database = &config.database;
    let failed = |error| Error::Store(database.clone(), error);
    let store: Arc<dyn Store> = match database {
        Database::SqliteFile(file) => Arc::new(SqliteStore::open(file).await.map_err(failed)?),
        Database::SqliteMemory => Arc::new(SqliteStore::in_memory().await.map_err(failed)?),
    };
    #[expect(clippy::disallowed_methods, reason = "this is where the clock comes from")]
    Bundle::open(store, options(&config.auth), SystemTime::now).await.map_err(failed)
}

fn options(auth: &Auth) -> BundleOptions {
    BundleOptions {
        requires_token: auth.mode == AuthMode::Jwt,
        hides_existing_email: auth.hide_existing_email,
        password_queue_limit: auth.password_queue_limit,
        auth: AuthOptions {
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            access_token_lifetime: Duration::from_secs(auth.access_token_s),
            refresh_token_lifetime: Duration::from_secs(auth.refresh_token_s),
            key_lifetime: Duration::from_secs(auth.key_s),
            account_attempts_per_minute: auth.account_attempts_per_minute,
            address_attempts_per_minute: auth.address_attempts_per_minute,
        },
        ..BundleOptions::default()
    }
}
