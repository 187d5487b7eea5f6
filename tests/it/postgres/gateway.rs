//! The `transom` binary while its database is gone.

use std::time::Duration;

use super::{
    database::{Database, soon},
    proxy::{Proxy, Way},
};
use crate::process::{create, http, start};

/// The status of a probe, as a person would ask for it.
fn status(address: &str, path: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    http(address, &request).split(' ').nth(1).unwrap().parse().unwrap()
}

async fn becomes(address: &str, path: &str, expected: u16) {
    soon(async {
        while status(address, path) != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn without_its_database_it_is_alive_and_not_ready() {
    let database = Database::create("gateway").await;
    for command in ["serve", "user-service"] {
        let proxy = Proxy::start(&database.url).await;
        let process = start(&[command, "--listen", "127.0.0.1:0", "--database", &proxy.url]);
        let address = process.address.as_str();
        becomes(address, "/readyz", 200).await;
        let make = |email: &str| create(address, &format!("{email}@{command}"));
        if command == "serve" {
            assert!(make("before").starts_with("HTTP/1.1 200"));
        }
        proxy.set(Way::Cut);
        becomes(address, "/readyz", 503).await;
        assert_eq!(status(address, "/livez"), 200);
        if command == "serve" {
            assert!(make("meanwhile").starts_with("HTTP/1.1 503"));
        }
        proxy.set(Way::Open);
        becomes(address, "/readyz", 200).await;
        if command == "serve" {
            assert!(make("meanwhile").starts_with("HTTP/1.1 200"));
            assert!(make("BEFORE").starts_with("HTTP/1.1 409"));
        }
    }
}
