//! Every integration test, in one binary.

#![allow(clippy::unwrap_used, clippy::expect_used)] // what a test unwraps, it asserts

#[cfg(feature = "users")]
mod auth;
mod cases;
#[cfg(all(feature = "cli", feature = "users"))]
mod cli_users;
mod connect;
mod cors;
mod faults;
mod goldens;
mod grpc_web;
mod http_body;
mod limits;
mod matrix;
mod ndjson;
#[cfg(feature = "users")]
mod postgres;
#[cfg(all(feature = "cli", feature = "users"))]
mod process;
#[cfg(feature = "cli")]
mod readme;
mod remote;
mod rpc;
mod server;
mod service_config;
#[cfg(feature = "users")]
mod store_contract;
mod streaming;
mod support;
mod tidy;
mod transcoding_properties;
#[cfg(feature = "users")]
mod users;
mod websocket;
