//! Every limit, set to a small value and seen to bite.

use std::time::Duration;

use axum::body::Body;
use futures_util::stream;
use transom::config::{Deadlines, Limits};
use transom_test_services::inventory::{
    Inventory,
    v1::{CountRequest, Everything},
};

use crate::{
    grpc_web,
    support::{inventory_gateway, open, request, send, until},
};

fn json(target: &str, body: impl Into<Body>) -> http::Request<Body> {
    request(target).header("content-type", "application/json").body(body.into()).unwrap()
}

#[tokio::test]
async fn body_limit_bytes() {
    let limits = Limits { body_limit_bytes: 12, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    assert_eq!(send(&gateway, json("POST /v1/everything", r#"{"text":"x"}"#)).await.status, 200);
    let refused = send(&gateway, json("POST /v1/everything", r#"{"text":"xy"}"#)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_i64()), (413, Some(8)));
    assert_eq!(refused.json()["message"], "the body is over the limit of 12 bytes");
    // A body that does not announce its length is refused when it passes the limit.
    let pieces = (0..).map(|_| Ok::<_, std::io::Error>("     "));
    let endless = Body::new(http_body_util::StreamBody::new(stream::iter(
        pieces.map(|piece| piece.map(|text| http_body::Frame::data(bytes::Bytes::from(text)))),
    )));
    assert_eq!(send(&gateway, json("POST /v1/everything", endless)).await.status, 413);
}

#[tokio::test]
async fn body_limit_bytes_by_default() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(4 << 20));
    assert_eq!(send(&gateway, json("POST /v1/everything", body)).await.status, 413);
}

#[tokio::test]
async fn message_limit_bytes() {
    let limits = Limits { message_limit_bytes: 100, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(99));
    let refused = send(&gateway, json("POST /v1/everything", body)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_i64()), (413, Some(8)));

    let large = Everything { text: "x".repeat(99), ..Default::default() };
    let answer = send(&gateway, grpc_web::call("Echo", grpc_web::frame(&large))).await;
    let (_, trailers) = grpc_web::parse(&answer.body);
    assert!(trailers.contains("grpc-status:8"), "{trailers}");
}

/// From the upstream: its fault, before and after the first message.
#[tokio::test]
async fn reply_message_limit_bytes() {
    let limits = Limits { reply_message_limit_bytes: 100, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    let refused = send(&gateway, json("GET /v1/count/1?padding_bytes=200", "")).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_i64()), (500, Some(8)));

    let large = Everything { text: "x".repeat(99), ..Default::default() };
    let answer = send(&gateway, grpc_web::call("Echo", grpc_web::frame(&large))).await;
    let (_, trailers) = grpc_web::parse(&answer.body);
    assert!(
        trailers.contains("the upstream's answer is refused: a message of 101 bytes"),
        "{trailers}"
    );
    let count = CountRequest { messages: 1, padding_bytes: 200, ..Default::default() };
    let answer = send(&gateway, grpc_web::call("Count", grpc_web::frame(&count))).await;
    let (messages, trailers) = grpc_web::parse(&answer.body);
    assert!(messages.is_empty() && trailers.contains("grpc-status:8"), "{trailers}");
}

#[tokio::test]
async fn json_limit_bytes() {
    let limits = Limits { json_limit_bytes: 100, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    let get = |target: &str| request(target).body(Body::empty()).unwrap();
    assert_eq!(send(&gateway, get("GET /v1/everything?tags=a")).await.status, 200);
    // Two bytes for each element on the wire, a line of eight in indented JSON.
    let many = "&tags=".repeat(20);
    let refused = send(&gateway, get(&format!("GET /v1/everything?$prettyPrint=1{many}"))).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_i64()), (500, Some(8)));
    assert!(refused.text().contains("too large as JSON"), "{}", refused.text());
}

#[tokio::test]
async fn json_depth_limit_is_never_more_than_the_stack_has_room_for() {
    let limits = Limits { json_depth_limit: usize::MAX, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    let bomb = "[".repeat(1_000_000);
    let refused =
        send(&gateway, json("POST /v1/everything", format!("{{\"open\":{{\"a\":{bomb}"))).await;
    assert!(refused.text().contains("nested more than 200 levels deep"), "{}", refused.text());
}

#[tokio::test]
async fn json_depth_limit() {
    let limits = Limits { json_depth_limit: 2, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    let deep = r#"{"child":{"child":{}}}"#;
    let refused = send(&gateway, json("POST /v1/everything", deep)).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("nested more than 2 levels deep"));
    assert_eq!(send(&gateway, json("POST /v1/everything", &deep[9..21])).await.status, 200);
}

#[tokio::test]
async fn json_depth_limit_by_default_is_what_an_upstream_can_read() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let nested = |levels: usize| {
        format!("{}{{}}{}", "{\"child\":".repeat(levels - 1), "}".repeat(levels - 1))
    };
    assert_eq!(send(&gateway, json("POST /v1/everything", nested(100))).await.status, 200);
    assert_eq!(send(&gateway, json("POST /v1/everything", nested(101))).await.status, 400);
}

#[tokio::test]
async fn calls_limit_and_streams_limit() {
    let limits = Limits { calls_limit: 1, streams_limit: 1, ..Limits::default() };
    let inventory = Inventory::default();
    let gateway = inventory_gateway(inventory.clone()).limits(limits).build().unwrap();
    // A stream is no call in flight once it is committed.
    let stream = open(&gateway, json("GET /v1/count/1?hang=true", "")).await;
    assert_eq!(send(&gateway, json("GET /v1/items/x", "")).await.status, 200);
    let refused = send(&gateway, json("GET /v1/count/1", "")).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    let count = grpc_web::frame(&CountRequest::default());
    let answer = send(&gateway, grpc_web::call("Count", count)).await;
    assert!(grpc_web::parse(&answer.body).1.contains("grpc-status:14\r\n"));
    drop(stream);
    assert_eq!(send(&gateway, json("GET /v1/count/1", "")).await.status, 200);

    let hang = tokio::spawn({
        let gateway = gateway.clone();
        async move { send(&gateway, json("GET /v1/hang", "")).await }
    });
    until(|| inventory.hanging.value() == 1).await;
    let refused = send(&gateway, json("GET /v1/items/x", "")).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_i64()), (503, Some(14)));
    assert_eq!(send(&gateway, json("GET /livez", "")).await.status, 200);
    hang.abort();
    until(|| inventory.hanging.value() == 0).await;
    assert_eq!(send(&gateway, json("GET /v1/items/x", "")).await.status, 200);
}

#[tokio::test]
async fn query_parameter_limit() {
    let limits = Limits { query_parameter_limit: 1, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    assert_eq!(send(&gateway, json("GET /v1/everything?flag=true", "")).await.status, 200);
    assert_eq!(send(&gateway, json("GET /v1/everything?flag=true&signed=1", "")).await.status, 400);
}

#[tokio::test]
async fn query_parameter_limit_by_default() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    for (count, status) in [(256, 200), (257, 400)] {
        let target = format!("GET /v1/everything?{}", vec!["tags=a"; count].join("&"));
        let answer = send(&gateway, json(&target, "")).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test]
async fn target_limit_bytes() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let target = format!("GET /v1/items/{}", "x".repeat(8 << 10));
    let refused = send(&gateway, json(&target, "")).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_i64()), (414, Some(3)));
}

#[tokio::test]
async fn header_count_limit() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let mut many = grpc_web::call("GetItem", "");
    for number in 0..100 {
        many.headers_mut().append("x-many", number.into());
    }
    let (_, trailers) = grpc_web::parse(&send(&gateway, many).await.body);
    assert!(trailers.contains("grpc-status:8"), "{trailers}");
}

#[tokio::test(start_paused = true)]
async fn unary_ms_and_max_ms() {
    let deadlines = Deadlines { unary_ms: 3_000, max_ms: 5_000, ..Deadlines::default() };
    let gateway = inventory_gateway(Inventory::default()).deadlines(deadlines).build().unwrap();
    for (asked, seconds) in [(None, 3), (Some("4S"), 4), (Some("1H"), 5)] {
        let mut hang = json("GET /v1/hang", "");
        if let Some(asked) = asked {
            hang.headers_mut().insert("grpc-timeout", asked.parse().unwrap());
        }
        let began = tokio::time::Instant::now();
        assert_eq!(send(&gateway, hang).await.status, 504);
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn unary_ms_can_be_none() {
    let deadlines = Deadlines { unary_ms: 0, ..Deadlines::default() };
    let gateway = inventory_gateway(Inventory::default()).deadlines(deadlines).build().unwrap();
    let call = send(&gateway, json("GET /v1/hang", ""));
    assert!(tokio::time::timeout(Duration::from_secs(100_000), call).await.is_err());
    // The upstream is told of none either.
    let told = send(&gateway, json("GET /v1/metadata", "")).await.json();
    assert!(told["metadata"].get("grpc-timeout").is_none(), "{told}");
}

/// A body that never pauses for long is not on its way for ever.
#[tokio::test(start_paused = true)]
async fn body_ms() {
    let deadlines = Deadlines { body_ms: 30_000, ..Deadlines::default() };
    let gateway = inventory_gateway(Inventory::default()).deadlines(deadlines).build().unwrap();
    let frames = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        let frame = http_body::Frame::data(bytes::Bytes::from_static(b" "));
        Some((Ok::<_, std::io::Error>(frame), ()))
    });
    let mut request =
        json("POST /v1/everything", Body::new(http_body_util::StreamBody::new(frames)));
    request.headers_mut().insert("grpc-timeout", "1H".parse().unwrap());
    let began = tokio::time::Instant::now();
    let refused = send(&gateway, request).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_i64()), (408, Some(4)));
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn body_idle_ms() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let frames = stream::pending::<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>();
    let silent = Body::new(http_body_util::StreamBody::new(frames));
    let mut request = json("POST /v1/everything", silent);
    request.headers_mut().insert("grpc-timeout", "1H".parse().unwrap());
    let began = tokio::time::Instant::now();
    let refused = send(&gateway, request).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_i64()), (408, Some(4)));
    assert_eq!(began.elapsed().as_secs(), 15);
}
