//! What every command that serves is told.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::Error;
use crate::config::{Config, Database};

#[derive(Args)]
pub(super) struct Common {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1, port 8080 or 50051]
    #[arg(long, value_name = "ADDRESS", env = "TRANSOM_LISTEN")]
    listen: Option<SocketAddr>,

    /// The user service's store: sqlite:FILE or sqlite::memory: [default: sqlite:transom.db]
    #[arg(long, value_name = "STORE", env = "TRANSOM_DATABASE")]
    database: Option<Database>,

    /// Listen on an address that is not loopback although callers are not authenticated
    #[arg(long, env = "TRANSOM_ALLOW_UNAUTHENTICATED")]
    allow_unauthenticated: bool,

    /// A TOML file with further configuration
    #[arg(long, value_name = "FILE", env = "TRANSOM_CONFIG")]
    config: Option<PathBuf>,

    /// How log lines look
    #[arg(long, value_enum, default_value_t, env = "TRANSOM_LOG_FORMAT")]
    pub(super) log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Refuses what cannot work.
pub(super) fn check(config: &Config) -> Result<(), Error> {
    config.check().map_err(|error| Error::Config(format!("the configuration: {error}")))
}

/// The configuration in `file`; the default where there is none.
pub(super) fn read_config(file: Option<&Path>) -> Result<Config, Error> {
    let Some(file) = file else { return Ok(Config::default()) };
    let refuse = |error: &dyn std::fmt::Display| {
        Error::Config(format!("the configuration {}: {error}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|error| refuse(&error))?;
    toml::from_str(&text).map_err(|error| refuse(&error))
}

impl Common {
    /// The file's configuration, with what the flags say over it.
    pub(super) fn config(&self) -> Result<Config, Error> {
        let mut config = read_config(self.config.as_deref())?;
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if let Some(database) = &self.database {
            config.database = database.clone();
        }
        config.allow_unauthenticated |= self.allow_unauthenticated;
        Ok(config)
    }

    pub(super) fn says_where_to_listen(&self) -> bool {
        self.listen.is_some()
    }
}
