//! Pages of other origins: who may call, who may not, and what they may read.

use axum::body::Body;
use http::Request;
use tower::ServiceExt as _;
use transom::{
    Gateway,
    config::{Config, Cors},
};
use transom_test_services::inventory::Inventory;

use crate::{
    grpc_web,
    support::{Answer, app_with, inventory_gateway, request},
};

async fn ask(origins: &[&str], request: Request<Body>) -> Answer {
    let gateway: Gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
    let cors = Cors { origins, expose: vec!["x-shelf".to_owned()], ..Cors::default() };
    let app = app_with(&gateway, &Config { cors, ..Config::default() });
    Answer::read(app.oneshot(request).await.unwrap()).await
}

fn from(origin: &str, line: &str) -> Request<Body> {
    request(line).header("origin", origin).body(Body::empty()).unwrap()
}

fn preflight(origin: &str, target: &str) -> Request<Body> {
    let request = request(&format!("OPTIONS {target}"))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "content-type,x-grpc-web,connect-protocol-version",
        );
    request.body(Body::empty()).unwrap()
}

const PAGE: &str = "https://app.example.com";

#[tokio::test]
async fn a_named_origin_may_call_and_read_every_answer() {
    let refused_grpc_web = {
        let mut call = grpc_web::call("Nope", "");
        call.headers_mut().insert("origin", PAGE.parse().unwrap());
        call
    };
    for (request, status) in [
        (from(PAGE, "GET /v1/items/x"), 200),
        (from(PAGE, "GET /v1/count/2"), 200),
        (from(PAGE, "GET /v1/fail/5"), 404),
        (from(PAGE, "GET /nope"), 404),
        (from(PAGE, "DELETE /v1/items/x"), 405),
        (from(PAGE, "GET /livez"), 200),
        (from(PAGE, &format!("GET /v1/items/{}", "x".repeat(9_000))), 414),
        (refused_grpc_web, 200),
    ] {
        let answer = ask(&[PAGE], request).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), PAGE);
        let exposed = answer.header("access-control-expose-headers");
        for name in [
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            "x-request-id",
            "x-shelf",
            "connect-content-encoding",
        ] {
            assert!(exposed.contains(name), "{exposed}");
        }
        let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
        assert!(vary.iter().any(|value| value.to_str().unwrap().contains("origin")), "{vary:?}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_here_for_every_path() {
    for target in ["/v1/hang", "/inventory.v1.Inventory/Hang", "/nope"] {
        let answer = ask(&[PAGE], preflight(PAGE, target)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), PAGE);
        assert_eq!(answer.header("access-control-allow-methods"), "POST");
        let headers = answer.header("access-control-allow-headers");
        assert_eq!(headers, "content-type,x-grpc-web,connect-protocol-version");
        assert_eq!(answer.header("access-control-max-age"), "7200");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}

#[tokio::test]
async fn an_origin_that_was_not_named_is_told_nothing() {
    for origin in ["https://evil.example", "null", "https://app.example.com.evil.example"] {
        for request in [preflight(origin, "/v1/items/x"), from(origin, "GET /v1/items/x")] {
            let answer = ask(&[PAGE], request).await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        }
    }
    // Without a named origin there is nothing of CORS, and OPTIONS is the table's.
    let answer = ask(&[], preflight(PAGE, "/v1/everything")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS, PATCH, POST, PURGE");
}

#[tokio::test]
async fn dev_is_every_port_of_this_machine_and_a_star_is_everybody() {
    for (origins, origin, allowed) in [
        (&["dev"][..], "http://localhost:5173", "http://localhost:5173"),
        (&["dev", PAGE], PAGE, PAGE),
        (&["dev"], "http://localhost.evil.example", ""),
        (&["*"], "https://evil.example", "*"),
    ] {
        let answer = ask(origins, from(origin, "GET /v1/items/x")).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
    }
}

#[tokio::test]
async fn a_plain_options_is_no_preflight() {
    let answer = ask(&[PAGE], from(PAGE, "OPTIONS /v1/everything")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS, PATCH, POST, PURGE");
}
