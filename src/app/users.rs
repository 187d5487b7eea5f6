//! The bundled service, as both commands run it.

use std::time::SystemTime;

use super::Error;
use crate::{
    config::Database,
    users::{PasswordHasher, SqliteStore, UserService, UserServiceServer},
};

pub(super) async fn open_store(database: &Database) -> Result<SqliteStore, Error> {
    match database {
        Database::SqliteFile(file) => SqliteStore::open(file).await,
        Database::SqliteMemory => SqliteStore::in_memory().await,
    }
    .map_err(|error| Error::Store(database.clone(), error))
}

pub(super) fn service(store: SqliteStore) -> UserServiceServer<UserService> {
    let hasher = PasswordHasher::new(std::thread::available_parallelism().map_or(1, Into::into));
    #[expect(clippy::disallowed_methods, reason = "this is where the clock comes from")]
    UserServiceServer::new(UserService::new(std::sync::Arc::new(store), hasher, SystemTime::now))
}
