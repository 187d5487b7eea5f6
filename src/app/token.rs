//! `transom token`: an access token for a user, signed with the key of the store.

use std::time::Duration;

use super::{Error, on_main_runtime, users};
use crate::config::Config;

/// A token that is good for `lifetime`, of the user with the id `subject`.
pub fn token(config: Config, subject: &str, lifetime: Duration) -> Result<String, Error> {
    on_main_runtime(async {
        let mut options = users::options(&config.auth);
        options.auth.access_token_lifetime = lifetime;
        let bundle = users::open_with(&config.database, options).await?;
        let signed = bundle.auth().access_token(subject);
        bundle.store().close().await;
        Ok(signed.map_err(std::io::Error::other)?)
    })
}
