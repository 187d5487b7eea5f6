//! Connections: how many, how slow, and what HTTP/2 may do on them.

use serde::Deserialize;

/// Limits of the listening socket and its connections. Times are in milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listener {
    /// Threads that serve connections. Default: zero, one for each core.
    pub workers: usize,
    /// Connections waiting to be accepted. Default: 4096; the kernel may have less.
    pub backlog: u32,
    /// Most open connections; the next ones wait in the backlog. Default: 10,000.
    pub max_connections: usize,
    /// How long a new connection may take to say which HTTP it speaks. Default: 5 s.
    pub first_byte_ms: u64,
    /// How long a request's head may take from its first byte. Default: 10 s.
    pub head_ms: u64,
    /// How long a connection may take none of what is sent to it before it is closed. Default:
    /// 30 s.
    pub stall_ms: u64,
    /// How long an HTTP/1.1 connection may wait for its next request. Default: 60 s.
    pub keep_alive_ms: u64,
    /// Longest list of request headers, in bytes; HTTP/1.1 heads are cut at 64 KiB. Default:
    /// 16 KiB.
    pub header_list_bytes: u32,
    /// HTTP/2.
    pub http2: Http2,
}

/// HTTP/2 limits of each connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http2 {
    /// Streams open at once. Default: 100.
    pub max_streams: u32,
    /// Flow-control window of a stream, in bytes. Default: 64 KiB.
    pub stream_window_bytes: u32,
    /// Flow-control window of the connection, in bytes. Default: 1 MiB.
    pub connection_window_bytes: u32,
    /// Reply bytes held for a stream whose caller does not read. Default: 64 KiB.
    pub send_buffer_bytes: usize,
    /// How long a connection may have no stream before it is closed. Default: 300 s.
    pub idle_ms: u64,
    /// How often an idle connection is pinged. Default: 20 s.
    pub ping_ms: u64,
    /// How long a ping's answer may take. Default: 20 s.
    pub ping_timeout_ms: u64,
    /// Streams a caller may have reset that were not yet served; more ends the connection.
    /// Default: 20.
    pub pending_resets: usize,
    /// Streams that this side may have to reset before the connection is ended. Default: 1,024.
    pub local_resets: usize,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            workers: 0,
            backlog: 4096,
            max_connections: 10_000,
            first_byte_ms: 5_000,
            head_ms: 10_000,
            stall_ms: 30_000,
            keep_alive_ms: 60_000,
            header_list_bytes: 16 << 10,
            http2: Http2::default(),
        }
    }
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            max_streams: 100,
            stream_window_bytes: 64 << 10,
            connection_window_bytes: 1 << 20,
            send_buffer_bytes: 64 << 10,
            idle_ms: 300_000,
            ping_ms: 20_000,
            ping_timeout_ms: 20_000,
            pending_resets: 20,
            local_resets: 1_024,
        }
    }
}
