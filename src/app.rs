//! The composition root: the one place that knows every part, and puts them together.

use std::{io, net::SocketAddr};

use tokio::sync::mpsc;

use crate::{
    Gateway, GatewayBuilder,
    config::{AuthMode, Config, Database},
    schema,
    server::{self, Stop},
    upstream::{RemoteError, schema_source::SourceError},
    users::StoreError,
};

mod banner;
mod rpc_services;
mod serve;
mod store_watch;
mod token;
mod user_service;
mod users;

use rpc_services::RpcServices;
pub use serve::serve;
pub use token::token;
pub use user_service::user_service;

/// Why the process cannot go on. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // each says itself
pub enum Error {
    #[error(
        "{0} is not a loopback address and callers are not authenticated: listen on 127.0.0.1, \
         say --auth jwt, or --allow-unauthenticated"
    )]
    Exposed(SocketAddr),
    #[error(
        "the schema cannot be served:\n{0}\nIf the fault is not yours to mend, name the services \
         to serve with --services"
    )]
    Schema(#[from] schema::Problems),
    #[error("the route {path} is a page of the server's own: move the page with {key}")]
    PageTaken { path: String, key: &'static str },
    #[error("{0}")]
    Remote(#[from] RemoteError),
    #[error("{0}")]
    Source(SourceError),
    #[error("cannot open the user store {0}: {1}")]
    Store(Database, #[source] StoreError),
    #[error(
        "cannot listen on {0}: address in use. Is Transom running there already? Choose another \
         address with --listen {next}",
        next = next_port(*.0)
    )]
    AddressInUse(SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Problems(problems) => Self::Schema(problems),
            SourceError::Remote(error) => Self::Remote(error),
            error => Self::Source(error),
        }
    }
}

impl Error {
    /// What the process exits with: 78 for a configuration that cannot work, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(..) | Self::AddressInUse(_) | Self::Listen(..) | Self::Io(_) => 1,
            _ => 78,
        }
    }
}

/// Runs `work` on this thread, which only accepts: the workers have runtimes of their own.
fn on_main_runtime<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// A gateway as `config` wants it, of nothing yet.
fn gateway_builder(config: &Config) -> GatewayBuilder {
    Gateway::builder()
        .limits(config.limits.clone())
        .deadlines(config.deadlines.clone())
        .cors(config.cors.clone())
}

/// Ends every stream there is.
fn end_streams(gateway: &Gateway, rpc_services: &RpcServices) -> Box<dyn Fn() + Send> {
    let (gateway, rpc_services) = (gateway.clone(), rpc_services.clone());
    Box::new(move || {
        gateway.end_streams();
        rpc_services.end_streams();
    })
}

/// Takes the address first of all: a second start must not touch the store of the first.
/// Completes the configuration with what was found out.
fn listen(config: &mut Config) -> Result<std::net::TcpListener, Error> {
    let address = config.listen;
    let is_open = config.auth.mode == AuthMode::Off && !config.allow_unauthenticated;
    if !address.ip().is_loopback() && is_open {
        return Err(Error::Exposed(address));
    }
    let listener =
        server::bind(address, config.listener.backlog).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => Error::AddressInUse(address),
            _ => Error::Listen(address, error),
        })?;
    config.listen = listener.local_addr()?;
    config.listener.max_connections = config.listener.max_connections.min(affordable_connections());
    Ok(listener)
}

/// How many connections the limit of open files allows, after raising it as far as it goes: a
/// call may hold one more file for its upstream, and the process needs some itself.
fn affordable_connections() -> usize {
    const OWN_FILES: u64 = 256;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => usize::try_from(files.saturating_sub(OWN_FILES) / 2).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            usize::MAX
        }
    }
    .max(16)
}

/// Each SIGTERM and Ctrl-C from now on.
fn stop_signals() -> Result<mpsc::Receiver<Stop>, Error> {
    let (sender, stops) = mpsc::channel(2);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds =
            [(SignalKind::terminate(), Stop::Graceful), (SignalKind::interrupt(), Stop::Prompt)];
        for (kind, stop) in kinds {
            let mut signals = signal(kind)?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() && sender.send(stop).await.is_ok() {}
            });
        }
    }
    #[cfg(not(unix))]
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && sender.send(Stop::Prompt).await.is_ok() {}
    });
    Ok(stops)
}

fn next_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(address.port().checked_add(1).unwrap_or(8080));
    address
}
