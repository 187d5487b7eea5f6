//! Transom puts any gRPC service on the web.
//!
//! ```text
//!  fetch · EventSource · curl · WebSocket · gRPC-Web · Connect clients
//!       │  HTTP/1.1, HTTP/2, one port
//!       ▼
//!  server      one listening socket; an acceptor hands each connection to a worker
//!       ▼
//!  layers      request id · CORS · access log · panics · head limits
//!       ▼
//!  front       pages and probes, an axum Router; all else is the gateway's
//!       ▼
//!  gateway     detect → route → transcode request → upstream → transcode reply
//!       ▼
//!  gRPC over HTTP: length-prefixed messages, metadata, grpc-timeout
//!       ▼
//!  upstream    a tower service: a tonic service in this process, or HTTP/2 connections
//! ```
//!
//! Everything is derived at run time from protobuf descriptors and their `google.api.http`
//! annotations. [`Gateway`] is a tower service that mounts in any axum app; the `transom` binary
//! is one such app, with a complete user service bundled.
//!
//! The modules stand in the order a request meets them; which may import which is held by a
//! test. `protocol`, `routing`, `transcoding`, `schema` and `status` are pure: bytes and values
//! in, bytes and values out, no sockets, tasks or clocks.

#![forbid(unsafe_code)]

#[cfg(all(feature = "cli", feature = "users"))]
pub mod cli;

#[cfg(all(feature = "cli", feature = "users"))]
pub mod app;

pub mod config;

pub mod server;

pub mod layers;

pub mod gateway;

pub mod upstream;

pub mod protocol;

pub mod routing;

pub mod openapi;

pub mod transcoding;

pub mod schema;

pub mod status;

#[cfg(feature = "users")]
pub mod jwt;

#[doc(inline)]
pub use gateway::{Gateway, GatewayBuilder};

#[cfg(feature = "users")]
pub mod users;
