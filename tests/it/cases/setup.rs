//! The services that cases are sent to, in process and on a socket, and what of a case reached
//! them.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::body::Body;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{service::Routes, transport::Server};
use tower::{
    Layer as _,
    util::{BoxCloneService, MapRequestLayer},
};
use transom::{Gateway, config::Config, upstream::Upstream};
use transom_test_services::{
    INVENTORY_DESCRIPTOR_SET, SHAPES_DESCRIPTOR_SET,
    inventory::{Inventory, InventoryServer},
    shapes,
};

use crate::{remote, support::app_with};

pub(super) type App = BoxCloneService<Request<Body>, Response<Body>, Infallible>;

/// Both test services, behind one upstream.
pub(super) struct Setup {
    pub(super) place: &'static str,
    pub(super) seen: Seen,
    upstream: Upstream,
}

impl Setup {
    pub(super) fn in_process() -> Self {
        let seen = Seen::default();
        let upstream = Upstream::service(seen.layer().layer(routes()));
        Self { place: "in process", seen, upstream }
    }

    pub(super) async fn remote() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = remote::options(listener.local_addr().unwrap());
        let seen = Seen::default();
        let server = Server::builder().layer(seen.layer()).add_routes(routes());
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { place: "remote", seen, upstream: Upstream::remote(&options).unwrap() }
    }

    /// A whole app, layers and pages included.
    pub(super) fn app(&self, config: &Config) -> App {
        let gateway = Gateway::builder()
            .upstream(INVENTORY_DESCRIPTOR_SET, self.upstream.clone())
            .upstream(SHAPES_DESCRIPTOR_SET, self.upstream.clone())
            .limits(config.limits.clone())
            .deadlines(config.deadlines.clone())
            .build()
            .unwrap();
        BoxCloneService::new(app_with(&gateway, config))
    }
}

fn routes() -> Routes {
    shapes::add_to(Routes::new(InventoryServer::new(Inventory::default())))
}

/// The calls that the services have seen, by their `x-request-id`.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<HashSet<String>>>);

impl Seen {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.lock().unwrap().contains(id)
    }

    fn layer<B>(&self) -> MapRequestLayer<impl Fn(Request<B>) -> Request<B> + Clone + use<B>> {
        let seen = self.clone();
        MapRequestLayer::new(move |call: Request<B>| {
            seen.note(call.headers());
            call
        })
    }

    fn note(&self, headers: &HeaderMap) {
        let ids = headers.get_all("x-request-id").iter();
        let ids = ids.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        self.0.lock().unwrap().extend(ids);
    }
}
