//! A tonic service on the web, inside an axum app of your own.
//!
//! `cargo run --example embed`, then:
//!
//! ```text
//! curl http://127.0.0.1:3000/about
//! curl http://127.0.0.1:3000/v1/users -H 'content-type: application/json' -d '{"email":"a@b"}'
//! curl -N http://127.0.0.1:3000/v1/users
//! ```

#![allow(clippy::print_stdout)] // an example talks

use std::{sync::Arc, time::SystemTime};

use axum::{Router, routing::get};
use transom::{
    Gateway,
    users::{Bundle, BundleOptions, DESCRIPTOR_SET, SqliteStore},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Any tonic service: here, the one that comes with Transom.
    let store = Arc::new(SqliteStore::in_memory().await?);
    let users = Bundle::open(store, BundleOptions::default(), now).await?;

    // Its descriptor bytes are all that the gateway knows of it.
    let gateway = Gateway::builder().service(DESCRIPTOR_SET, users.service()).build()?;
    tokio::spawn(async move { users.run().await });

    // REST, server-sent events and gRPC-Web, next to routes of your own.
    let app = Router::new().route("/about", get(|| async { "mine" })).fallback_service(gateway);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

#[expect(clippy::disallowed_methods, reason = "the clock comes from here")]
fn now() -> SystemTime {
    SystemTime::now()
}
