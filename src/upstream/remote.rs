//! A service behind HTTP/2 connections: one for each worker, made when it is first needed.
//!
//! A worker's calls share its connection, so that their frames leave in few writes. A connection
//! that has ended is replaced by the next call; a call that was not sent yet goes along.

use std::{cell::RefCell, fmt, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::Shared};
use http::{
    Request, Uri,
    uri::{Authority, Parts, Scheme},
};
use hyper::client::conn::http2::SendRequest;
use thread_local::ThreadLocal;
use tokio::time::Instant;

use super::{RequestBody, ResponseBody, UpstreamError, service::CallFuture};
use crate::config;

mod connect;

use connect::Connector;

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
    Open(SendRequest<RequestBody>),
}

/// A connection in the making, awaited by every call that needs it.
type Connecting = Shared<ConnectFuture>;
type ConnectFuture =
    std::pin::Pin<Box<dyn Future<Output = Result<SendRequest<RequestBody>, UpstreamError>> + Send>>;

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

    pub(super) fn call(&self, mut request: Request<RequestBody>) -> CallFuture {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            *request.uri_mut() = inner.absolute(request.uri());
            let mut is_first = true;
            loop {
                let mut sender = inner.sender().await?;
                match sender.try_send_request(request).await {
                    Ok(response) => return Ok(response.map(ResponseBody::Remote)),
                    Err(mut failed) => match failed.take_message() {
                        // The connection ended before the call was on it.
                        Some(unsent) if is_first => {
                            is_first = false;
                            inner.forget();
                            request = unsent;
                        }
                        _ => return Err(UpstreamError::from_hyper(&failed.into_error())),
                    },
                }
            }
        })
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

    fn forget(&self) {
        self.slot().replace(Slot::Empty);
    }

    /// This worker's connection, made if there is none.
    async fn sender(self: &Arc<Self>) -> Result<SendRequest<RequestBody>, UpstreamError> {
        let connecting = match self.open_or_connecting() {
            Ok(sender) => return Ok(sender),
            Err(connecting) => connecting,
        };
        let result = connecting.await;
        self.slot().replace(match &result {
            Ok(sender) => Slot::Open(sender.clone()),
            Err(_) => Slot::Empty,
        });
        result
    }

    fn open_or_connecting(self: &Arc<Self>) -> Result<SendRequest<RequestBody>, Connecting> {
        let mut slot = self.slot().borrow_mut();
        match &*slot {
            Slot::Open(sender) if !sender.is_closed() => return Ok(sender.clone()),
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
