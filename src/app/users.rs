//! The bundled service, as both commands run it.

use std::{sync::Arc, time::SystemTime};

use super::Error;
use crate::{
    config::Database,
    users::{PasswordHasher, PostgresStore, SqliteStore, Store, UserService, UserServiceServer},
};

pub(super) async fn open_store(database: &Database) -> Result<Arc<dyn Store>, Error> {
    let opened: Result<Arc<dyn Store>, _> = match database {
        Database::SqliteFile(file) => SqliteStore::open(file).await.map(|s| Arc::new(s) as _),
        Database::SqliteMemory => SqliteStore::in_memory().await.map(|s| Arc::new(s) as _),
        Database::Postgres(url) => {
            PostgresStore::open(url.expose()).await.map(|s| Arc::new(s) as _)
        }
    };
    opened.map_err(|error| Error::Store(database.clone(), error))
}

pub(super) fn service(store: Arc<dyn Store>) -> UserServiceServer<UserService> {
    let hasher = PasswordHasher::new(std::thread::available_parallelism().map_or(1, Into::into));
    #[expect(clippy::disallowed_methods, reason = "this is where the clock comes from")]
    UserServiceServer::new(UserService::new(store, hasher, SystemTime::now))
}
