//! `google.api.HttpBody` where cases cannot look: bytes that are no text, pieces, limits, pace.

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use transom::config::{Deadlines, Limits};
use transom_test_services::inventory::Inventory;

use crate::support::{inventory_gateway, open, request, send, until};

const UPLOAD: &str = "POST /v1/shelves/1/items/2:photo";
const STREAM: &str = "POST /v1/shelves/1/items/2:stream";

fn image(target: &str, body: impl Into<Body>) -> http::Request<Body> {
    request(target).header("content-type", "image/png").body(body.into()).unwrap()
}

/// A body in these pieces.
fn pieces(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    let frames = pieces.map(|piece| Ok::<_, std::io::Error>(Frame::data(piece)));
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

#[tokio::test]
async fn every_byte_goes_through_as_it_is() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    for target in ["POST /v1/body", "PUT /v1/body"] {
        let answer = send(&gateway, image(target, bytes.clone())).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &bytes[..]), "{target}");
        assert_eq!(answer.header("content-type"), "image/png");
    }
    let mut odd = image("POST /v1/body", "x");
    let value = http::HeaderValue::from_bytes(b"image/\xff").unwrap();
    odd.headers_mut().insert("content-type", value);
    let refused = send(&gateway, odd).await;
    assert_eq!((refused.status.as_u16(), refused.header("accept-post")), (415, "*/*"));
}

#[tokio::test]
async fn an_upload_has_the_limits_of_every_body() {
    let limits = Limits { body_limit_bytes: 12, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    assert_eq!(send(&gateway, image(UPLOAD, "x".repeat(12))).await.status, 200);
    let refused = send(&gateway, image(UPLOAD, "x".repeat(13))).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_i64()), (413, Some(8)));
    assert_eq!(refused.json()["message"], "the body is over the limit of 12 bytes");

    let limits = Limits { message_limit_bytes: 100, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    let refused = send(&gateway, image(UPLOAD, "x".repeat(99))).await;
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("over the limit of 100"), "{}", refused.text());
}

#[tokio::test]
async fn a_streamed_upload_is_cut_into_messages_and_has_no_limit_as_a_whole() {
    let limits = Limits { body_limit_bytes: 10, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    let answer = send(&gateway, image(STREAM, "x".repeat(200_000))).await.json();
    assert_eq!(answer["name"], "shelves/1/items/2");
    assert_eq!(answer["onRequest"], "image/png");
    let labels = serde_json::json!({"bytes": "200000", "largest": "65536", "messages": "4"});
    assert_eq!(answer["labels"], labels);

    // No message is over the limit, however small that is.
    let limits = Limits { message_limit_bytes: 100, ..Limits::default() };
    let inventory = Inventory::default();
    let gateway = inventory_gateway(inventory.clone()).limits(limits).build().unwrap();
    let answer = send(&gateway, image(STREAM, "x".repeat(1_000))).await;
    // 48 of the 100 bytes are set aside for name, type, keys and lengths.
    assert_eq!(inventory.counted.value(), 1_000_usize.div_ceil(52));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let limits = Limits { message_limit_bytes: 40, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    assert_eq!(send(&gateway, image(STREAM, "x")).await.status, 413);
}

#[tokio::test]
async fn an_upload_goes_on_as_it_arrives() {
    let inventory = Inventory::default();
    let gateway = inventory_gateway(inventory.clone()).build().unwrap();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(Frame::data(piece)), receiver))
    });
    let call = image(STREAM, Body::new(StreamBody::new(frames)));
    let answer = tokio::spawn(async move { send(&gateway, call).await });
    for count in 1..=3 {
        sender.send(Bytes::from_static(b"ab")).await.unwrap();
        until(|| inventory.counted.value() == count).await;
    }
    drop(sender);
    let labels = serde_json::json!({"bytes": "6", "largest": "2", "messages": "3"});
    assert_eq!(answer.await.unwrap().json()["labels"], labels);
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_no_upload() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    for target in [UPLOAD, STREAM] {
        let frames =
            [Ok(Frame::data(Bytes::from_static(b"ab"))), Err(std::io::Error::other("gone"))];
        let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
        let answer = send(&gateway, image(target, body)).await;
        assert_eq!(answer.status, 499, "{target}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_caller_that_does_not_read_stops_an_upload() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let pulled = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&pulled);
    let endless = pieces((0..100_000).map(move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Bytes::from_static(&[7; 1_000])
    }));
    let response = open(&gateway, image("PUT /v1/body", endless)).await;
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), &[7; 1_000][..]);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let pulled = pulled.load(std::sync::atomic::Ordering::SeqCst);
    assert!((1..200).contains(&pulled), "{pulled} pieces were taken for nobody");
}

#[tokio::test]
async fn a_download_that_fails_on_its_way_breaks_off() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let target = "GET /v1/photo:stream?content_type=video/mp4&chunks=ab&chunks=cd&code=14";
    let response = open(&gateway, request(target).body(Body::empty()).unwrap()).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"video/mp4".parse().unwrap())
    );
    let mut body = response.into_body();
    let mut read = Vec::new();
    let error = loop {
        match body.frame().await {
            Some(Ok(frame)) => read.extend_from_slice(&frame.into_data().unwrap()),
            Some(Err(error)) => break error.to_string(),
            None => panic!("an end like any other"),
        }
    };
    assert_eq!(read, b"abcd");
    assert!(error.contains("as told"), "{error}");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn the_end_of_the_process_breaks_a_download_off() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let call = image("PUT /v1/body", pieces(std::iter::repeat(Bytes::from_static(b"x"))));
    let mut body = open(&gateway, call).await.into_body();
    body.frame().await.unwrap().unwrap();
    gateway.end_streams();
    let error = loop {
        if let Err(error) = body.frame().await.expect("an end like any other") {
            break error.to_string();
        }
    };
    assert!(error.contains("the gateway is shutting down"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_download_has_a_deadline_and_no_endless_silence() {
    let deadlines = Deadlines { stream_idle_ms: 40_000, ..Deadlines::default() };
    let gateway = inventory_gateway(Inventory::default()).deadlines(deadlines).build().unwrap();
    let silent = || {
        Body::new(StreamBody::new(futures_util::stream::pending::<
            Result<Frame<Bytes>, std::io::Error>,
        >()))
    };
    let answer = send(&gateway, image("PUT /v1/body", silent())).await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.json()["message"], "no message came for 40s");
    let mut call = image("PUT /v1/body", silent());
    call.headers_mut().insert("grpc-timeout", "2S".parse().unwrap());
    let answer = send(&gateway, call).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["message"]),
        (504, &"the deadline has passed".into())
    );
}
