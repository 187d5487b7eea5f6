//! `transom token`: an access token without a login, for development.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::Args;

use super::{
    Action, Error,
    common::{self, read_config},
};
use crate::{
    config::Database,
    jwt::{Claims, SigningKey},
};

#[derive(Args)]
pub(super) struct Token {
    /// Whom the token speaks of: a user's id
    #[arg(long, value_name = "USER_ID", default_value = "developer")]
    subject: String,

    /// How long it is good, in seconds; at most a day
    #[arg(long, value_name = "SECONDS", default_value_t = 900,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    lifetime_s: u64,

    /// Sign with the key of this store [default: sqlite:transom.db]
    #[arg(long, value_name = "STORE", env = "TRANSOM_DATABASE", hide_env_values = true)]
    database: Option<Database>,

    /// Sign with this Ed25519 key instead: a PEM file, as `openssl genpkey -algorithm ed25519`
    /// writes it
    #[arg(long, value_name = "FILE", conflicts_with = "database")]
    key: Option<PathBuf>,

    /// A TOML file with further configuration: auth.issuer, auth.audience, database
    #[arg(long, value_name = "FILE", env = "TRANSOM_CONFIG")]
    config: Option<PathBuf>,
}

impl Token {
    pub(super) fn action(self) -> Result<Action, Error> {
        let mut config = read_config(self.config.as_deref())?;
        common::check(&config)?;
        if let Some(file) = &self.key {
            let token = self.signed_with(file, &config.auth.issuer, &config.auth.audience)?;
            return Ok(Action::Print(token + "\n"));
        }
        if let Some(database) = self.database {
            config.database = database;
        }
        match &config.database {
            Database::SqliteMemory => {
                let error = "sqlite::memory: has no key to share: name the store of the server";
                Err(Error::Request(error.to_owned()))
            }
            Database::SqliteFile(file) if !file.exists() => {
                let file = file.display();
                Err(Error::Request(format!("there is no store {file}: start the server first")))
            }
            _ => {
                let lifetime = Duration::from_secs(self.lifetime_s);
                Ok(Action::Token { config: Box::new(config), subject: self.subject, lifetime })
            }
        }
    }

    fn signed_with(
        &self,
        file: &std::path::Path,
        issuer: &str,
        audience: &str,
    ) -> Result<String, Error> {
        let named = |error: &dyn std::fmt::Display| {
            Error::Request(format!("--key {}: {error}", file.display()))
        };
        let pem = std::fs::read_to_string(file).map_err(|error| named(&error))?;
        let key = SigningKey::from_pem(&pem).map_err(|error| named(&error))?;
        #[expect(clippy::disallowed_methods, reason = "a token says when it was signed")]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let claims = Claims::new(issuer, audience, &self.subject, now.as_secs(), self.lifetime_s);
        key.sign(&claims).map_err(|error| named(&error))
    }
}
