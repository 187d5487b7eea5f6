//! One connection, from its first byte to its last.

use std::{
    cell::RefCell,
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::TryFutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    Phase,
    caller_io::{CallerIo, HeadClock, Http, sniff},
    worker::Held,
};
use crate::config::Listener;

/// What answers the requests of every connection.
pub trait CallService:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
}

impl<S> CallService for S where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

/// hyper's HTTP/1 head buffer; what does not fit is answered 431.
const HTTP1_BUFFER_BYTES: usize = 64 << 10;

/// How long a connection that was taken just before the close may take to show its first byte.
const LAST_BYTES: Duration = Duration::from_millis(100);

/// How long a connection without a call, and without anything left to send, is kept when the
/// process stops.
const LAST_CALL: Duration = Duration::from_secs(1);

/// How connections are served, the same for all of a worker.
#[derive(Clone)]
pub(super) struct Connections<S> {
    service: S,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    first_byte: Duration,
    keep_alive: Duration,
    head: Duration,
    idle: Duration,
    stall: Duration,
    phase: Phase,
    tells_caller_address: bool,
}

impl<S: CallService> Connections<S> {
    pub(super) fn new(
        config: &Listener,
        service: S,
        phase: Phase,
        tells_caller_address: bool,
    ) -> Self {
        let mut http1 = http1::Builder::new();
        // What a head may take, and the wait for it, is timed by `CallerIo`.
        http1.header_read_timeout(None).max_buf_size(HTTP1_BUFFER_BYTES);
        let limits = &config.http2;
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_streams)
            .initial_stream_window_size(limits.stream_window_bytes)
            .initial_connection_window_size(limits.connection_window_bytes)
            .max_header_list_size(config.header_list_bytes)
            .max_send_buf_size(limits.send_buffer_bytes)
            .keep_alive_interval(Duration::from_millis(limits.ping_ms))
            .keep_alive_timeout(Duration::from_millis(limits.ping_timeout_ms))
            // Without these two, hyper serves reset floods for ever.
            .max_pending_accept_reset_streams(limits.pending_resets)
            .max_local_error_reset_streams(limits.local_resets);
        Self {
            service,
            http1,
            http2,
            first_byte: Duration::from_millis(config.first_byte_ms),
            keep_alive: Duration::from_millis(config.keep_alive_ms),
            head: Duration::from_millis(config.head_ms),
            idle: Duration::from_millis(limits.idle_ms),
            stall: Duration::from_millis(config.stall_ms),
            phase,
            tells_caller_address,
        }
    }

    pub(super) async fn serve(self, stream: std::net::TcpStream, held: Held) {
        let _held = held;
        if let Err(error) = self.try_serve(stream).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    async fn try_serve(self, stream: std::net::TcpStream) -> Result<(), Error> {
        // Small answers leave at once instead of waiting for more.
        stream.set_nodelay(true)?;
        let mut stream = TcpStream::from_std(stream)?;
        let sniffed = tokio::select! {
            sniffed = tokio::time::timeout(self.first_byte, sniff(&mut stream)) => sniffed??,
            // Whatever was sent before the close has arrived by then.
            () = after(&self.phase.closing, LAST_BYTES) => return Ok(()),
        };
        // Boxed: a connection has room for the one that it is, not for the larger of both.
        match sniffed.http {
            Http::One => Box::pin(self.serve_http1(stream, sniffed.read)).await,
            Http::Two => Box::pin(self.serve_http2(stream, sniffed.read)).await,
        }
    }

    /// For the extensions of each request.
    fn caller_address(&self, stream: &TcpStream) -> Option<SocketAddr> {
        self.tells_caller_address.then(|| stream.peer_addr().ok()).flatten()
    }

    async fn serve_http1(self, stream: TcpStream, read: Bytes) -> Result<(), Error> {
        let caller_address = self.caller_address(&stream);
        let clock = HeadClock::new();
        // Asked for one call after the other: a clone for each is not needed.
        let service = RefCell::new(self.service);
        let leaving = Arc::clone(&self.phase.leaving);
        let io = CallerIo::new(stream, read, clock.clone(), self.stall)
            .with_head_limits(self.keep_alive, self.head);
        // A WebSocket keeps the socket for longer than hyper keeps the connection.
        let closed = io.closed();
        let calls = clock.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let busy = calls.begin_call();
            let is_leaving = leaving.load(Ordering::Relaxed);
            let request = received(request, caller_address);
            service.borrow_mut().call(request).map_ok(move |mut response| {
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    busy.for_good();
                } else if is_leaving && response.version() <= Version::HTTP_11 {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                response.map(|body| busy.until_end_of(body))
            })
        });
        let serve = async {
            let connection = self.http1.serve_connection(TokioIo::new(io), service);
            let mut connection = pin!(connection.with_upgrades());
            tokio::select! {
                // The request that was sniffed is taken up before a stop is looked at.
                biased;
                result = connection.as_mut() => return result,
                () = self.phase.closing() => {
                    connection.as_mut().graceful_shutdown();
                }
            }
            tokio::select! {
                biased;
                result = connection.as_mut() => result,
                // Somebody who holds the connection open without a call waits in vain.
                () = clock.idle_for(LAST_CALL) => Ok(()),
            }
        };
        serve.await?;
        closed.cancelled().await;
        Ok(())
    }

    async fn serve_http2(self, stream: TcpStream, read: Bytes) -> Result<(), Error> {
        let caller_address = self.caller_address(&stream);
        let clock = HeadClock::new();
        let service = RefCell::new(self.service);
        // Heads of HTTP/2 are bounded by h2 itself.
        let io = CallerIo::new(stream, read, clock.clone(), self.stall);
        let calls = clock.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let busy = calls.begin_call();
            let answer = service.borrow_mut().call(received(request, caller_address));
            answer.map_ok(|response| response.map(|body| busy.until_end_of(body)))
        });
        let mut connection = pin!(self.http2.serve_connection(TokioIo::new(io), service));
        tokio::select! {
            biased;
            result = connection.as_mut() => return Ok(result?),
            () = self.phase.closing() => connection.as_mut().graceful_shutdown(),
            () = clock.idle_for(self.idle) => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            biased;
            result = connection.as_mut() => Ok(result?),
            // Somebody who holds the connection open without a call waits in vain.
            () = clock.idle_for(LAST_CALL) => Ok(()),
        }
    }
}

fn received(request: Request<Incoming>, caller_address: Option<SocketAddr>) -> Request<Body> {
    // Most requests have no body, and nothing needs no box.
    let mut request = request.map(|body| match body.is_end_stream() {
        true => Body::empty(),
        false => Body::new(body),
    });
    if let Some(address) = caller_address {
        request.extensions_mut().insert(address);
    }
    request
}

async fn after(token: &CancellationToken, wait: Duration) {
    token.cancelled().await;
    tokio::time::sleep(wait).await;
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("no request came in time")]
    Silent(#[from] tokio::time::error::Elapsed),
    #[error("{0}")]
    Http(#[from] hyper::Error),
}
