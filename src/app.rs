//! The composition root: the one place that knows every part, and puts them together.

use std::{io, net::SocketAddr, time::SystemTime};

use tokio::sync::mpsc;

use crate::{
    Gateway,
    config::{Config, Database},
    layers, schema,
    server::{self, Hooks, Readiness, Stop},
    users::{self, PasswordHasher, SqliteStore, StoreError, UserService, UserServiceServer},
};

mod banner;

/// Why the process cannot go on. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is refused.
    #[error(
        "{0} is not a loopback address and callers are not authenticated: listen on 127.0.0.1, \
         or say --allow-unauthenticated"
    )]
    Exposed(SocketAddr),
    /// The schema cannot be served.
    #[error("the schema cannot be served:\n{0}")]
    Schema(#[from] schema::Problems),
    /// A route stands where one of the server's own pages is.
    #[error("the route {0} is a page of the server's own")]
    PageTaken(&'static str),
    /// The store cannot be used.
    #[error("cannot open the user store {0}: {1}")]
    Store(Database, #[source] StoreError),
    /// Somebody else listens there.
    #[error(
        "cannot listen on {0}: address in use. Is Transom running there already? Choose another \
         address with --listen {next}",
        next = next_port(*.0)
    )]
    AddressInUse(SocketAddr),
    /// The socket cannot be had.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The runtime failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Error {
    /// What the process exits with: 78 for a configuration that cannot work, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exposed(_) | Self::Schema(_) | Self::PageTaken(_) => 78,
            _ => 1,
        }
    }
}

/// Runs `transom serve` until it is told to stop; `announce` is given the banner.
pub fn serve(config: Config, announce: impl FnOnce(&str)) -> Result<(), Error> {
    // This thread only accepts; the workers have runtimes of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(config, announce))
}

async fn run(mut config: Config, announce: impl FnOnce(&str)) -> Result<(), Error> {
    if !config.listen.ip().is_loopback() && !config.allow_unauthenticated {
        return Err(Error::Exposed(config.listen));
    }
    // First of all: a second start must not touch the store of the first.
    let listener = listen(&config)?;
    config.listen = listener.local_addr()?;
    config.listener.max_connections = config.listener.max_connections.min(affordable_connections());

    let store = open_store(&config.database).await?;
    let hasher = PasswordHasher::new(std::thread::available_parallelism().map_or(1, Into::into));
    #[expect(clippy::disallowed_methods, reason = "this is where the clock comes from")]
    let users = UserService::new(store.clone(), hasher, SystemTime::now);
    let gateway = Gateway::builder()
        .service(users::DESCRIPTOR_SET, UserServiceServer::new(users))
        .limits(config.limits.clone())
        .deadlines(config.deadlines.clone())
        .build()?;
    if let Some(page) = server::PAGES.into_iter().find(|page| gateway.has_route_at(page)) {
        return Err(Error::PageTaken(page));
    }

    let stops = stop_signals()?;
    let readiness = Readiness::new();
    let router = server::router(gateway.clone(), readiness.clone());
    let service = layers::stack(router, &config.limits, &config.listener);
    announce(&banner::text(&config, &gateway));
    tracing::info!(address = %config.listen, "listening");
    let hooks = Hooks {
        readiness,
        end_streams: Box::new(move || gateway.end_streams()),
        before_workers_stop: async { store.close().await },
    };
    server::run(listener, &config.listener, &config.drain, service, stops, hooks).await?;
    tracing::info!("stopped");
    Ok(())
}

fn listen(config: &Config) -> Result<std::net::TcpListener, Error> {
    let address = config.listen;
    server::bind(address, config.listener.backlog).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Error::AddressInUse(address),
        _ => Error::Listen(address, error),
    })
}

async fn open_store(database: &Database) -> Result<SqliteStore, Error> {
    match database {
        Database::SqliteFile(file) => SqliteStore::open(file).await,
        Database::SqliteMemory => SqliteStore::in_memory().await,
    }
    .map_err(|error| Error::Store(database.clone(), error))
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
