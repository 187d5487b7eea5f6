//! Upstreams that are at fault: what each caller is told, in its own protocol.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use h2::{Reason, server::SendResponse};
use http::{HeaderMap, Response};
use tokio::net::TcpListener;
use transom::Gateway;
use transom_test_services::inventory::v1::{CountRequest, GetItemRequest};

use crate::{
    grpc_web, remote,
    support::{request, send},
};

/// What the upstream does with every call.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Answers `text/html`.
    Html,
    /// Answers this HTTP status, and nothing of gRPC.
    Http(u16),
    /// OK, and an end without a status.
    NoStatus,
    /// This status, and nothing else, in the head.
    TrailersOnly(&'static str),
    /// One good message, then a status in the trailers.
    Status(&'static str),
    /// A status with details that are none.
    BadDetails,
    /// Resets the call before its head.
    Reset(Reason),
    /// One good message, then a reset.
    ResetLater(Reason),
    /// Closes the connection.
    Close,
    /// These bytes, then OK.
    Bytes(&'static [u8]),
    /// Takes the call, and is silent.
    Hang,
}

/// A message of any type.
const MESSAGE: &[u8] = b"\0\0\0\0\0";

async fn serve(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                let mut held = Vec::new();
                while let Some(Ok((call, respond))) = connection.accept().await {
                    held.push(call);
                    if matches!(fault, Fault::Close) {
                        return;
                    }
                    held_response(fault, respond, &mut connection).await;
                }
            });
        }
    });
    address
}

async fn held_response(
    fault: Fault,
    mut respond: SendResponse<Bytes>,
    connection: &mut h2::server::Connection<tokio::net::TcpStream, Bytes>,
) {
    let head = Response::builder().header("content-type", "application/grpc");
    let trailers = |status: &str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        trailers
    };
    match fault {
        Fault::Html => {
            let head = Response::builder().header("content-type", "text/html").body(()).unwrap();
            let mut body = respond.send_response(head, false).unwrap();
            let _ = body.send_data(Bytes::from_static(b"<html>"), true);
        }
        Fault::Http(status) => {
            let head = Response::builder().status(status).body(()).unwrap();
            respond.send_response(head, true).unwrap();
        }
        Fault::NoStatus => {
            respond.send_response(head.body(()).unwrap(), true).unwrap();
        }
        Fault::TrailersOnly(status) => {
            let head = head.header("grpc-status", status).header("grpc-message", "told").body(());
            respond.send_response(head.unwrap(), true).unwrap();
        }
        Fault::Status(status) => {
            let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
            let _ = body.send_data(Bytes::from_static(MESSAGE), false);
            let _ = body.send_trailers(trailers(status));
        }
        Fault::BadDetails => {
            let head = head.header("grpc-status", "9").header("grpc-status-details-bin", "!!");
            respond.send_response(head.body(()).unwrap(), true).unwrap();
        }
        Fault::Reset(reason) => respond.send_reset(reason),
        Fault::ResetLater(reason) => {
            let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
            let _ = body.send_data(Bytes::from_static(MESSAGE), false);
            // The message leaves before the reset, which would overtake it.
            let wait = tokio::time::sleep(Duration::from_millis(50));
            tokio::pin!(wait);
            std::future::poll_fn(|cx| {
                let _ = connection.poll_closed(cx);
                wait.as_mut().poll(cx)
            })
            .await;
            body.send_reset(reason);
        }
        Fault::Bytes(bytes) => {
            let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
            let _ = body.send_data(Bytes::from_static(bytes), false);
            let _ = body.send_trailers(trailers("0"));
        }
        Fault::Hang => std::mem::forget(respond),
        Fault::Close => {}
    }
}

/// What a unary REST call and a unary gRPC-Web call are told.
async fn unary(gateway: &Gateway) -> (u16, i64, i64) {
    let get = request("GET /v1/items/x").header("grpc-timeout", "300m");
    let rest = send(gateway, get.body(axum::body::Body::empty()).unwrap()).await;
    let mut call = grpc_web::call("GetItem", grpc_web::frame(&GetItemRequest::default()));
    call.headers_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let web = send(gateway, call).await;
    assert_eq!(web.status, 200);
    let (_, trailers) = grpc_web::parse(&web.body);
    let code = rest.json()["code"].as_i64().unwrap_or_default();
    (rest.status.as_u16(), code, grpc_web_code(&trailers))
}

fn grpc_web_code(trailers: &str) -> i64 {
    let line = trailers.lines().find_map(|line| line.strip_prefix("grpc-status:")).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn a_unary_call_is_told_the_right_code_in_each_protocol() {
    for (fault, http, code) in [
        (Fault::Html, 500, 2),
        (Fault::Http(404), 501, 12),
        (Fault::Http(401), 401, 16),
        (Fault::Http(403), 403, 7),
        (Fault::Http(429), 503, 14),
        (Fault::Http(502), 503, 14),
        (Fault::Http(504), 503, 14),
        (Fault::Http(418), 500, 2),
        (Fault::NoStatus, 500, 2),
        (Fault::TrailersOnly("8"), 429, 8),
        (Fault::TrailersOnly("99"), 500, 2),
        (Fault::TrailersOnly("abc"), 500, 2),
        (Fault::TrailersOnly("0"), 500, 13),
        (Fault::Status("5"), 404, 5),
        (Fault::BadDetails, 400, 9),
        (Fault::Reset(Reason::CANCEL), 499, 1),
        (Fault::Reset(Reason::INTERNAL_ERROR), 500, 13),
        (Fault::Reset(Reason::REFUSED_STREAM), 503, 14),
        (Fault::Reset(Reason::ENHANCE_YOUR_CALM), 429, 8),
        (Fault::ResetLater(Reason::INTERNAL_ERROR), 500, 13),
        (Fault::Close, 503, 14),
        (Fault::Bytes(b""), 500, 13),
        (Fault::Bytes(b"\0\0\0"), 500, 13),
        (Fault::Bytes(b"\0\0\0\0\x09xx"), 500, 13),
        (Fault::Bytes(b"\0\xff\xff\xff\xff"), 500, 8),
        (Fault::Bytes(b"\0\0\0\0\0\0\0\0\0\0"), 500, 13),
        (Fault::Bytes(b"\0\0\0\0\0\0\0\0\0\0\0\0"), 500, 13),
        (Fault::Bytes(b"\x07\0\0\0\0"), 500, 13),
        (Fault::Bytes(b"\x01\0\0\0\0"), 500, 13),
        (Fault::Bytes(b"\x80\0\0\0\0"), 500, 13),
        (Fault::Hang, 504, 4),
    ] {
        let gateway = remote::gateway(serve(fault).await);
        assert_eq!(unary(&gateway).await, (http, code, code), "{fault:?}");
    }
    // What the gateway does not read, it cannot find fault with.
    for (fault, http, code, web) in [
        (Fault::Bytes(b"\0\0\0\0\x02\x10"), 500, 13, 13),
        (Fault::Bytes(b"\0\0\0\0\x02\xff\xff"), 500, 13, 0),
    ] {
        let gateway = remote::gateway(serve(fault).await);
        assert_eq!(unary(&gateway).await, (http, code, web), "{fault:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_is_unavailable() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(unary(&remote::gateway(nobody)).await, (503, 14, 14));
}

#[tokio::test]
async fn a_stream_is_told_after_the_messages_it_has() {
    for (fault, code) in [
        (Fault::Status("7"), 7),
        (Fault::ResetLater(Reason::INTERNAL_ERROR), 13),
        (Fault::ResetLater(Reason::REFUSED_STREAM), 14),
        (Fault::Bytes(b"\0\0\0\0\0\0\0\0\0\x02"), 13),
        (Fault::Bytes(b"\0\0\0\0\0\0\0\0\0\x30grpc-status"), 13),
        (Fault::Bytes(b"\0\0\0\0\0\0\xff\xff\xff\xff"), 8),
    ] {
        let gateway = remote::gateway(serve(fault).await);
        let events = request("GET /v1/count/1").body(axum::body::Body::empty()).unwrap();
        let events = send(&gateway, events).await;
        // What fails in one chunk with its first message fails before the answer is committed.
        if events.status == 200 {
            let said = events.text().split_once("event: error\n").unwrap().1;
            assert!(said.contains(&format!("data: {{\"code\":{code},")), "{fault:?}: {said}");
        } else {
            assert_eq!(events.json()["code"], code, "{fault:?}");
        }

        let call = grpc_web::call("Count", grpc_web::frame(&CountRequest::default()));
        let web = send(&gateway, call).await;
        // The end stands between two messages, never inside one.
        let (_, trailers) = grpc_web::parse(&web.body);
        assert_eq!(grpc_web_code(&trailers), code, "{fault:?}");
    }
}
