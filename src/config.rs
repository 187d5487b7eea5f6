//! Configuration: plain structs, one file per concern. Every field says its unit, its default,
//! and what zero means; an unknown key is an error. Durations are in milliseconds.
//!
//! ```
//! use transom::config::{Config, Limits};
//!
//! let config = Config { limits: Limits { body_limit_bytes: 1 << 20, ..Limits::default() }, ..Config::default() };
//! assert_eq!(config.check(), Ok(()));
//! ```

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

mod auth;
mod cors;
mod database;
mod deadlines;
mod drain;
mod limits;
mod listener;
mod pages;
mod upstream;

pub use auth::{Auth, AuthMode};
pub use cors::Cors;
pub use database::{Database, PostgresUrl};
pub use deadlines::Deadlines;
pub use drain::Drain;
pub use limits::Limits;
pub use listener::{Http2, Listener};
pub use pages::Pages;
pub use upstream::Upstream;

/// Everything that can be configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen. Default: 127.0.0.1:8080. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether to listen on an address that is not loopback although callers are not
    /// authenticated. Default: false.
    pub allow_unauthenticated: bool,
    /// Logins and tokens of the bundled user service.
    pub auth: Auth,
    /// The store of the bundled user service: `sqlite:FILE` or `sqlite::memory:`. Default:
    /// `sqlite:transom.db`.
    pub database: Database,
    /// Remote services. Default: none, the bundled service is served.
    pub upstreams: Vec<Upstream>,
    /// Which pages of other origins may call.
    pub cors: Cors,
    /// Where the server's own pages are.
    pub pages: Pages,
    /// Sizes and counts.
    pub limits: Limits,
    /// How long a call may take.
    pub deadlines: Deadlines,
    /// Connections.
    pub listener: Listener,
    /// How the process stops.
    pub drain: Drain,
}

impl Config {
    /// What follows from other keys: in front of other people's services there are no keys of
    /// ours to be shown.
    pub fn settle(&mut self) {
        if !self.upstreams.is_empty() {
            self.pages.jwks.clear();
        }
    }

    /// What cannot work, by key.
    pub fn check(&self) -> Result<(), String> {
        let Listener { max_connections, first_byte_ms, head_ms, stall_ms, keep_alive_ms, .. } =
            self.listener;
        let http2 = &self.listener.http2;
        let needed = [
            ("listener.max_connections", max_connections as u64),
            ("listener.first_byte_ms", first_byte_ms),
            ("listener.head_ms", head_ms),
            ("listener.stall_ms", stall_ms),
            ("listener.keep_alive_ms", keep_alive_ms),
            ("listener.http2.max_streams", http2.max_streams.into()),
            ("listener.http2.idle_ms", http2.idle_ms),
            ("listener.http2.ping_ms", http2.ping_ms),
            ("listener.http2.ping_timeout_ms", http2.ping_timeout_ms),
            ("deadlines.sse_heartbeat_ms", self.deadlines.sse_heartbeat_ms),
            ("deadlines.websocket_ping_ms", self.deadlines.websocket_ping_ms),
        ];
        if let Some((key, _)) = needed.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{key} cannot be 0"));
        }
        if self.auth.mode == AuthMode::Jwt && !self.upstreams.is_empty() {
            return Err(
                "auth.mode: the bundled service has tokens, an upstream has its own; with \
                        one, `authorization` is passed on to it"
                    .to_owned(),
            );
        }
        self.auth.check()?;
        self.pages.check()?;
        self.cors.check()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            allow_unauthenticated: false,
            auth: Auth::default(),
            database: Database::default(),
            upstreams: Vec::new(),
            cors: Cors::default(),
            pages: Pages::default(),
            limits: Limits::default(),
            deadlines: Deadlines::default(),
            listener: Listener::default(),
            drain: Drain::default(),
        }
    }
}
