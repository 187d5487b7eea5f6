//! The gateway in memory: requests in, whole answers out, no socket.

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tower::{Service, ServiceExt as _};
use transom::{
    Gateway, GatewayBuilder,
    config::Config,
    layers,
    server::{self, Readiness},
};
use transom_test_services::{
    INVENTORY_DESCRIPTOR_SET,
    inventory::{Inventory, InventoryServer},
};

/// A gateway with the inventory service behind it.
pub(crate) fn inventory_gateway(inventory: Inventory) -> GatewayBuilder {
    Gateway::builder().service(INVENTORY_DESCRIPTOR_SET, InventoryServer::new(inventory))
}

/// What a whole app answers, layers and pages included.
pub(crate) async fn send(gateway: &Gateway, request: Request<Body>) -> Answer {
    Answer::read(open(gateway, request).await).await
}

/// An answer whose body has yet to be read.
pub(crate) async fn open(gateway: &Gateway, request: Request<Body>) -> Response<Body> {
    app(gateway).oneshot(request).await.unwrap()
}

pub(crate) fn app(
    gateway: &Gateway,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ use<> {
    app_with(gateway, &Config::default())
}

pub(crate) fn app_with(
    gateway: &Gateway,
    config: &Config,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ use<> {
    let readiness = Readiness::new();
    readiness.set(true);
    let router = axum::Router::new().fallback_service(gateway.clone());
    let router = server::router(router, readiness, None, &config.pages);
    layers::stack(server::front(router, &config.pages, gateway.clone()), config)
}

/// A request as a line: `GET /v1/users?page_size=1`.
pub(crate) fn request(line: &str) -> http::request::Builder {
    let (method, target) = line.split_once(' ').unwrap();
    Request::builder().method(method).uri(target).header("host", "localhost")
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn read(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, body }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The bytes of a body so far: everything that comes without waiting.
pub(crate) async fn read_ready(body: &mut Body) -> Bytes {
    let mut read = BytesMut::new();
    while let Ok(Some(frame)) = tokio::time::timeout(Duration::from_millis(1), body.frame()).await {
        read.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    read.freeze()
}

/// Waits until `what` is so. Fails after a while that no working program needs.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.expect("it never came to be");
}
