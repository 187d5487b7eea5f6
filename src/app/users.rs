//! The bundled service, as both commands run it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::Error;
use crate::{
    config::{Auth, AuthMode, Config, Database},
    server::Jwks,
    users::{AuthOptions, Bundle, BundleOptions, PostgresStore, SqliteStore, Store},
};

/// The service that `config` describes, on its store.
pub(super) async fn open(config: &Config) -> Result<Bundle, Error> {
    open_with(&config.database, options(&config.auth)).await
}

/// The service on a store.
pub(super) async fn open_with(
    database: &Database,
    options: BundleOptions,
) -> Result<Bundle, Error> {
    let failed = |error| Error::Store(database.clone(), error);
    let store: Arc<dyn Store> = match database {
        Database::SqliteFile(file) => Arc::new(SqliteStore::open(file).await.map_err(failed)?),
        Database::SqliteMemory => Arc::new(SqliteStore::in_memory().await.map_err(failed)?),
        Database::Postgres(url) => {
            Arc::new(PostgresStore::open(url.expose()).await.map_err(failed)?)
        }
    };
    #[expect(clippy::disallowed_methods, reason = "this is where the clock comes from")]
    Bundle::open(store, options, SystemTime::now).await.map_err(failed)
}

/// The keys that tokens are signed with.
pub(super) fn jwks(bundle: &Bundle) -> Jwks {
    let auth = bundle.auth().clone();
    Arc::new(move || auth.jwks())
}

pub(super) fn options(auth: &Auth) -> BundleOptions {
    BundleOptions {
        requires_token: auth.mode == AuthMode::Jwt,
        hides_existing_email: auth.hide_existing_email,
        sign_ups_per_minute: auth.sign_ups_per_minute,
        password_concurrency: match auth.password_concurrency {
            0 => BundleOptions::default().password_concurrency,
            concurrency => concurrency,
        },
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
    }
}
