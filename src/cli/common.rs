//! What every command that serves is told.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::Error;
use crate::{
    config::{AuthMode, Config, Database},
    schema::{Position, Problem},
};

#[derive(Args)]
pub(super) struct Common {
    /// The user service's store: sqlite:FILE, sqlite::memory: or postgres://USER@HOST/NAME
    /// [default: sqlite:transom.db]
    #[arg(long, value_name = "STORE", env = "TRANSOM_DATABASE", hide_env_values = true)]
    database: Option<Database>,

    /// Whether callers show a token: jwt, or off [default: off]
    #[arg(long, value_name = "MODE", env = "TRANSOM_AUTH")]
    auth: Option<AuthMode>,

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

/// What is wrong with a configuration file.
pub(super) struct ConfigFault {
    /// In short, at its place.
    pub(super) problem: Problem,
    /// As a person is told who waits for the gateway to start.
    text: String,
}

impl From<ConfigFault> for Error {
    fn from(fault: ConfigFault) -> Self {
        Self::Config(fault.text)
    }
}

/// The configuration in `file`; the default where there is none.
pub(super) fn read_config(file: Option<&Path>) -> Result<Config, ConfigFault> {
    let Some(file) = file else { return Ok(Config::default()) };
    let name = file.display().to_string();
    let fault = |line_column, message: &str, text: &dyn std::fmt::Display| ConfigFault {
        problem: Problem {
            position: Some(Position { file: name.clone(), line_column }),
            message: message.to_owned(),
        },
        text: format!("the configuration {name}: {text}"),
    };
    let text =
        std::fs::read_to_string(file).map_err(|error| fault(None, &error.to_string(), &error))?;
    toml::from_str(&text).map_err(|error| {
        let place = error.span().map(|span| line_column(&text, span.start));
        fault(place, error.message(), &error)
    })
}

/// Line and column of a byte, from 1.
fn line_column(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (1 + before.matches('\n').count() as u32, 1 + line.chars().count() as u32)
}

impl Common {
    /// The file's configuration, with what the flags say over it; `listen` is one of them, with a
    /// default of each command.
    pub(super) fn config(&self, listen: Option<SocketAddr>) -> Result<Config, Error> {
        let mut config = read_config(self.config.as_deref())?;
        config.listen = listen.unwrap_or(config.listen);
        if let Some(database) = &self.database {
            config.database = database.clone();
        }
        config.auth.mode = self.auth.unwrap_or(config.auth.mode);
        config.allow_unauthenticated |= self.allow_unauthenticated;
        Ok(config)
    }
}
