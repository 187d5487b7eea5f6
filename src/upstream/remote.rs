//! A service behind HTTP/2 connections: one for each worker, made when it is first needed.
//!
//! A worker's calls share its connection, so that their frames leave in few writes. A connection
//! that has ended is replaced by the next call.

use std::{cell::RefCell, fmt, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::Shared};
use http::{
    Request, Uri,
    uri::{Authority, Parts, Scheme},
};
use thread_local::ThreadLocal;
use tokio::time::Instant;

use super::{RequestBody, UpstreamError};
use crate::config;

mod call;
mod connect;
mod connection;
mod pipe;

pub use call::{RemoteBody, RemoteCall};
use connect::Connector;
use connection::Connection;

/// Why a remote upstream cannot be what it is told to be.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The URL is not one of a gRPC service.
    #[error("`{0}` is no upstream: write http://HOST:PORT or https://HOST:PORT")]
    Url(String),
    /// The certificates cannot be used.
    #[error("the upstream's certificate authorities: {0}")]
    Authorities(String),
}

/// A remote service. Cheap to clone; every clone shares its connections.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

struct Inner {
    scheme: Scheme,
    authority: Authority,
    connector: Connector,
    /// The connection of each worker thread: never contended, never locked.
    slots: ThreadLocal<RefCell<Slot>>,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Connecting(Connecting, Instant),
    Open(Connection),
}

/// A connection in the making, awaited by every call that needs it.
type Connecting = Shared<ConnectFuture>;
type ConnectFuture =
    std::pin::Pin<Box<dyn Future<Output = Result<Connection, UpstreamError>> + Send>>;

impl Remote {
    pub(super) fn new(options: &config::Upstream) -> Result<Self, RemoteError> {
        let refuse = || RemoteError::Url(options.url.clone());
        let parts = options.url.parse::<Uri>().map_err(|_| refuse())?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(refuse());
        };
        let is_root = parts.path_and_query.is_none_or(|path| path.as_str() == "/");
        let is_tls = scheme == Scheme::HTTPS;
        if !is_root || !(is_tls || scheme == Scheme::HTTP) || authority.as_str().contains('@') {
            return Err(refuse());
        }
        let connector = Connector::new(&authority, is_tls, options)?;
        let slots = ThreadLocal::new();
        Ok(Self(Arc::new(Inner { scheme, authority, connector, slots })))
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        self.0.authority.as_str()
    }

    /// Connects and lets go: whether it can be reached.
    pub async fn probe(&self) -> Result<(), UpstreamError> {
        self.0.connector.connect().await.map(drop)
    }

    pub(super) fn call(&self, mut request: Request<RequestBody>) -> RemoteCall {
        *request.uri_mut() = self.0.absolute(request.uri());
        let connecting = match self.0.open_or_connecting() {
            Ok(connection) => return RemoteCall::sent(connection.send(request)),
            Err(connecting) => connecting,
        };
        let inner = Arc::clone(&self.0);
        RemoteCall::connecting(async move { inner.opened(connecting).await?.send(request) })
    }
}

impl Inner {
    /// The call's path at this upstream's authority.
    fn absolute(&self, path: &Uri) -> Uri {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = path.path_and_query().cloned();
        Uri::from_parts(parts).unwrap_or_default()
    }

    fn slot(&self) -> &RefCell<Slot> {
        self.slots.get_or_default()
    }

    /// What becomes of a connection in the making.
    async fn opened(&self, connecting: Connecting) -> Result<Connection, UpstreamError> {
        let result = connecting.clone().await;
        let mut slot = self.slot().borrow_mut();
        // Somebody may have begun another since, or have it already.
        if matches!(&*slot, Slot::Connecting(current, _) if current.ptr_eq(&connecting)) {
            *slot = result.clone().map_or(Slot::Empty, Slot::Open);
        }
        result
    }

    /// This worker's connection, or the making of one.
    fn open_or_connecting(self: &Arc<Self>) -> Result<Connection, Connecting> {
        let mut slot = self.slot().borrow_mut();
        match &*slot {
            Slot::Open(connection) if connection.is_usable() => return Ok(connection.clone()),
            // One that everybody gave up waiting for tells what was, not what is.
            Slot::Connecting(connecting, began) if began.elapsed() <= self.connector.timeout() => {
                return Err(connecting.clone());
            }
            Slot::Open(_) | Slot::Connecting(..) | Slot::Empty => {}
        }
        let inner = Arc::clone(self);
        let connect: ConnectFuture = Box::pin(async move { inner.connector.connect().await });
        let connecting = connect.shared();
        *slot = Slot::Connecting(connecting.clone(), Instant::now());
        Err(connecting)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.address()).finish()
    }
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
