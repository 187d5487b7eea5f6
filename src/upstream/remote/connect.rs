//! Making one HTTP/2 connection: TCP, TLS where asked for, and the preface.

use std::{sync::Arc, time::Duration};

use h2::client::Builder;
use http::uri::Authority;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    RemoteError,
    connection::{Connection, KeepAlive},
    millis,
};
use crate::{
    config,
    upstream::{BoxError, UpstreamError},
};

/// Large replies come in few frames, each read with few system calls; the protocol's default is
/// 16 KiB.
const FRAME_BYTES: u32 = 128 << 10;

/// Replies share the connection's window: the largest there is, so that slow callers never use it
/// up. What is held for them is bounded by their streams' own windows.
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;

/// As many bytes of headers may come with an answer.
const HEADER_LIST_BYTES: u32 = 16 << 10;

/// How many calls may begin before the upstream has said how many it takes.
const FIRST_CALLS: usize = 100;

pub(super) struct Connector {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    http2: Builder,
    keep_alive: KeepAlive,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(
        authority: &Authority,
        is_tls: bool,
        options: &config::Upstream,
    ) -> Result<Self, RemoteError> {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match is_tls {
            true => Some(tls(&host, options)?),
            false => None,
        };
        let http2 = builder(options.stream_window_bytes);
        let keep_alive = KeepAlive {
            every: millis(options.keep_alive_ms),
            timeout: millis(options.keep_alive_timeout_ms),
        };
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { host, port, tls, http2, keep_alive, timeout: millis(options.connect_ms) })
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) async fn connect(&self) -> Result<Connection, UpstreamError> {
        match tokio::time::timeout(self.timeout, self.try_connect()).await {
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(error)) => {
                tracing::warn!(host = self.host, port = self.port, %error, "no connection");
                Err(UpstreamError::unreached(false))
            }
            Err(_) => {
                tracing::warn!(host = self.host, port = self.port, "connecting took too long");
                Err(UpstreamError::unreached(true))
            }
        }
    }

    async fn try_connect(&self) -> Result<Connection, BoxError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let connection = match &self.tls {
            None => Connection::open(&self.http2, self.keep_alive, stream).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await?;
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return Err("it does not speak HTTP/2".into());
                }
                Connection::open(&self.http2, self.keep_alive, stream).await
            }
        };
        Ok(connection?)
    }
}

/// How every connection speaks HTTP/2.
pub(super) fn builder(stream_window_bytes: u32) -> Builder {
    let mut http2 = Builder::new();
    http2
        .enable_push(false)
        .initial_max_send_streams(FIRST_CALLS)
        .initial_window_size(stream_window_bytes)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES)
        // What still comes for calls that callers have given up is no attack of the upstream's:
        // counted as one, it would end the calls of everybody else.
        .max_local_error_reset_streams(None)
        .max_frame_size(FRAME_BYTES);
    http2
}

fn tls(
    host: &str,
    options: &config::Upstream,
) -> Result<(TlsConnector, ServerName<'static>), RemoteError> {
    let refuse = |error: &dyn std::fmt::Display| RemoteError::Authorities(error.to_string());
    let mut roots = RootCertStore::empty();
    match &options.ca_file {
        Some(file) => {
            for certificate in CertificateDer::pem_file_iter(file).map_err(|e| refuse(&e))? {
                let certificate = certificate.map_err(|error| refuse(&error))?;
                roots.add(certificate).map_err(|error| refuse(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(refuse(&"there are none; name some with `ca_file`"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| RemoteError::Url(options.url.clone()))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}
