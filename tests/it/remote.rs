//! Remote upstreams: connections, TLS, and schemas that come from the upstream.

use std::{net::SocketAddr, sync::Arc};

use axum::body::Body;
use http::Request;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{service::Routes, transport::Server};
use transom::{
    Gateway,
    config::{self, Deadlines},
    upstream::{
        Upstream,
        reflection::{self, ReflectionError},
    },
};
use transom_test_services::{
    INVENTORY_DESCRIPTOR_SET,
    inventory::{Inventory, InventoryServer},
};

use crate::support::{inventory_gateway, open, request, send, until};

/// The inventory service behind a socket of its own, in this runtime.
pub(crate) async fn serve_inventory(inventory: Inventory) -> SocketAddr {
    serve(Routes::new(InventoryServer::new(inventory))).await
}

async fn serve(routes: Routes) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_routes(routes);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

pub(crate) fn options(address: SocketAddr) -> config::Upstream {
    config::Upstream { url: format!("http://{address}"), ..config::Upstream::default() }
}

/// A gateway that knows the inventory's schema, and has it at `address`.
pub(crate) fn gateway(address: SocketAddr) -> Gateway {
    let upstream = Upstream::remote(&options(address)).unwrap();
    Gateway::builder().upstream(INVENTORY_DESCRIPTOR_SET, upstream).build().unwrap()
}

fn get(target: &str) -> Request<Body> {
    request(&format!("GET {target}")).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_tonic_channel_and_tonic_routes_are_upstreams_too() {
    let address = serve_inventory(Inventory::default()).await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
    let channel = channel.unwrap().connect_lazy();
    let routes = Routes::new(InventoryServer::new(Inventory::default()));
    for upstream in [Upstream::service(channel), Upstream::service(routes)] {
        let gateway =
            Gateway::builder().upstream(INVENTORY_DESCRIPTOR_SET, upstream).build().unwrap();
        assert_eq!(send(&gateway, get("/v1/items/x")).await.json()["name"], "x");
        assert_eq!(send(&gateway, get("/v1/fail/5?message=m&field=f")).await.status, 404);
        let stream = send(&gateway, get("/v1/count/3")).await;
        assert!(stream.text().ends_with("event: end\nid: transom-end\ndata: {}\n\n"));
    }
}

#[tokio::test]
async fn calls_share_a_connection_and_a_lost_one_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let accepted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let incoming = tokio_stream::StreamExt::map(TcpListenerStream::new(listener), move |stream| {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        stream
    });
    let service = InventoryServer::new(Inventory::default());
    let server = tokio::spawn(Server::builder().add_service(service).serve_with_incoming_shutdown(
        incoming,
        async {
            let _ = stopped.await;
        },
    ));
    let gateway = gateway(address);
    for _ in 0..5 {
        assert_eq!(send(&gateway, get("/v1/items/x")).await.status, 200);
    }
    assert_eq!(accepted.load(std::sync::atomic::Ordering::SeqCst), 1);

    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    let down = send(&gateway, get("/v1/items/x")).await;
    assert_eq!((down.status.as_u16(), down.json()["code"].as_i64()), (503, Some(14)));
    let listener = TcpListener::bind(address).await.unwrap();
    let service = InventoryServer::new(Inventory::default());
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    assert_eq!(send(&gateway, get("/v1/items/x")).await.status, 200);
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_the_remote_call() {
    let inventory = Inventory::default();
    let gateway = gateway(serve_inventory(inventory.clone()).await);
    let stream = open(&gateway, get("/v1/count/1?hang=true")).await;
    until(|| inventory.hanging.value() == 1).await;
    drop(stream);
    until(|| inventory.hanging.value() == 0).await;
}

#[tokio::test]
async fn a_deadline_is_kept_over_the_whole_stream() {
    let inventory = Inventory::default();
    let upstream = Upstream::remote(&options(serve_inventory(inventory.clone()).await)).unwrap();
    let gateway = Gateway::builder()
        .upstream(INVENTORY_DESCRIPTOR_SET, upstream)
        .deadlines(Deadlines::default())
        .build()
        .unwrap();
    let mut request = get("/v1/count/2?hang=true");
    request.headers_mut().insert("grpc-timeout", "100m".parse().unwrap());
    let answer = send(&gateway, request).await;
    assert!(answer.text().contains("\"number\":2"));
    assert!(answer.text().contains("event: error\ndata: {\"code\":4,"), "{}", answer.text());
    until(|| inventory.hanging.value() == 0).await;
}

#[tokio::test]
async fn a_large_message_passes_a_small_window() {
    let upstream = serve_inventory(Inventory::default()).await;
    let options = config::Upstream { stream_window_bytes: 1_000, ..options(upstream) };
    let upstream = Upstream::remote(&options).unwrap();
    let gateway = Gateway::builder().upstream(INVENTORY_DESCRIPTOR_SET, upstream).build().unwrap();
    let body = serde_json::json!({ "text": "x".repeat(300_000) });
    let echo = request("POST /v1/everything").header("content-type", "application/json");
    let answer = send(&gateway, echo.body(Body::from(body.to_string())).unwrap()).await;
    assert_eq!(answer.json(), body);
}

#[test]
fn a_url_that_is_no_upstream_is_refused() {
    for url in ["", "localhost:1", "ftp://x", "http://x/path", "http://u@x", "http://"] {
        let options = config::Upstream { url: url.into(), ..config::Upstream::default() };
        let error = Upstream::remote(&options).unwrap_err().to_string();
        assert!(error.contains("write http://HOST:PORT"), "{url}: {error}");
    }
}

/// A TLS server for `localhost`, and the authority its certificate comes from.
async fn serve_tls(alpn: &[u8]) -> (SocketAddr, String) {
    let names = ["localhost".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let pem = certified.cert.pem();
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certified.signing_key.serialize_pem().as_bytes());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.unwrap())
        .unwrap();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = InventoryServer::new(Inventory::default());
                let service = hyper_util::service::TowerToHyperService::new(service);
                let io = hyper_util::rt::TokioIo::new(stream);
                let executor = hyper_util::rt::TokioExecutor::new();
                let builder = hyper::server::conn::http2::Builder::new(executor);
                let _ = builder.serve_connection(io, service).await;
            });
        }
    });
    (address, pem)
}

#[tokio::test]
async fn over_tls_with_an_authority_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    for (alpn, host, is_trusted, status) in [
        (&b"h2"[..], "localhost", true, 200),
        (b"h2", "127.0.0.1", true, 503),
        (b"http/1.1", "localhost", true, 503),
        (b"h2", "localhost", false, 503),
    ] {
        let (address, pem) = serve_tls(alpn).await;
        let pem = if is_trusted { pem } else { serve_tls(alpn).await.1 };
        std::fs::write(&ca_file, pem).unwrap();
        let options = config::Upstream {
            url: format!("https://{host}:{}", address.port()),
            ca_file: Some(ca_file.clone()),
            ..config::Upstream::default()
        };
        let upstream = Upstream::remote(&options).unwrap();
        let gateway =
            Gateway::builder().upstream(INVENTORY_DESCRIPTOR_SET, upstream).build().unwrap();
        assert_eq!(send(&gateway, get("/v1/items/x")).await.status, status, "{host}");
    }
    std::fs::write(&ca_file, "").unwrap();
    let options = config::Upstream {
        url: "https://localhost:1".into(),
        ca_file: Some(ca_file),
        ..config::Upstream::default()
    };
    assert!(Upstream::remote(&options).unwrap_err().to_string().contains("ca_file"));
}

#[cfg(feature = "users")]
#[tokio::test]
async fn a_schema_comes_by_reflection_of_either_version() {
    for version in ["v1", "v1alpha"] {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(INVENTORY_DESCRIPTOR_SET);
        let routes = Routes::new(InventoryServer::new(Inventory::default()));
        let routes = match version {
            "v1" => routes.add_service(builder.build_v1().unwrap()),
            _ => routes.add_service(builder.build_v1alpha().unwrap()),
        };
        let upstream = Upstream::remote(&options(serve(routes).await)).unwrap();
        for wanted in [vec![], vec!["inventory.v1.Inventory".to_owned()]] {
            let set = reflection::fetch(&upstream, &wanted).await.unwrap();
            let gateway =
                Gateway::builder().upstream(set, upstream.clone()).expose(&wanted).build().unwrap();
            assert_eq!(gateway.services(), ["inventory.v1.Inventory"]);
            // The annotations came with it.
            let item = send(&gateway, get("/v1/shelves/1/items/2")).await;
            assert_eq!(item.json()["name"], "shelves/1/items/2");
        }
        let unknown = reflection::fetch(&upstream, &["nope.Nope".to_owned()]).await.unwrap_err();
        assert!(unknown.to_string().contains("nope.Nope"), "{unknown}");
    }
}

#[tokio::test]
async fn an_upstream_without_reflection_says_so_and_one_that_is_down_is_unavailable() {
    let address = serve_inventory(Inventory::default()).await;
    let upstream = Upstream::remote(&options(address)).unwrap();
    let error = reflection::fetch(&upstream, &[]).await.unwrap_err();
    assert!(matches!(error, ReflectionError::Unimplemented), "{error}");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let upstream = Upstream::remote(&options(nobody)).unwrap();
    let error = reflection::fetch(&upstream, &[]).await.unwrap_err();
    assert!(matches!(error, ReflectionError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn services_that_are_to_come_are_unavailable_until_they_do() {
    let gateway = Gateway::builder().pending(true).build().unwrap();
    let early = send(&gateway, get("/v1/items/x")).await;
    assert_eq!((early.status.as_u16(), early.json()["code"].as_i64()), (503, Some(14)));
    gateway.replace(inventory_gateway(Inventory::default())).unwrap();
    assert_eq!(send(&gateway, get("/v1/items/x")).await.status, 200);
    let broken = Gateway::builder().upstream(&b"\xff"[..], upstream_of_nothing());
    assert!(gateway.replace(broken).is_err());
    assert_eq!(send(&gateway, get("/v1/items/x")).await.status, 200);
}

#[tokio::test]
async fn only_the_named_services_are_exposed() {
    let named = |name: &str| inventory_gateway(Inventory::default()).expose(&[name.to_owned()]);
    let error = named("inventory.v1.Nope").build().err().unwrap().to_string();
    assert_eq!(error, "no service is called `inventory.v1.Nope`; there are inventory.v1.Inventory");
    assert!(named("inventory.v1.Inventory").build().is_ok());
}

fn upstream_of_nothing() -> Upstream {
    Upstream::service(Routes::default())
}
