//! `transom serve`: where its configuration comes from.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{Action, Error};
use crate::config::{Config, Database};

#[derive(Args)]
pub(super) struct Serve {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
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
    log_format: LogFormat,
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

impl Serve {
    pub(super) fn action(self) -> Result<Action, Error> {
        let mut config = match &self.config {
            None => Config::default(),
            Some(file) => {
                let refuse = |error: &dyn std::fmt::Display| {
                    Error::Config(format!("the configuration {}: {error}", file.display()))
                };
                let text = std::fs::read_to_string(file).map_err(|error| refuse(&error))?;
                toml::from_str(&text).map_err(|error| refuse(&error))?
            }
        };
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if let Some(database) = self.database {
            config.database = database;
        }
        config.allow_unauthenticated |= self.allow_unauthenticated;
        Ok(Action::Serve(Box::new(config), self.log_format))
    }
}
