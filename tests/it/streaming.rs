//! Server-sent events: when a stream is committed, what it says, and how it ends.

use std::time::Duration;

use axum::body::Body;
use http::Response;
use http_body_util::BodyExt as _;
use transom::{Gateway, config::Deadlines};
use transom_test_services::inventory::Inventory;

use crate::support::{inventory_gateway, open, read_ready, request, send, until};

async fn stream(gateway: &Gateway, target: &str) -> Response<Body> {
    let response = open(gateway, request(target).body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response
}

async fn next(body: &mut Body) -> String {
    let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

#[tokio::test]
async fn messages_then_the_end() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let answer = send(&gateway, request("GET /v1/count/2").body(Body::empty()).unwrap()).await;
    assert_eq!(
        answer.text(),
        "retry: 3000\n\ndata: {\"number\":1}\n\ndata: {\"number\":2}\n\n\
         event: end\nid: transom-end\ndata: {}\n\n"
    );
    for (name, value) in [
        ("cache-control", "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
        ("vary", "accept"),
    ] {
        assert_eq!(answer.header(name), value);
    }
}

#[tokio::test]
async fn a_failure_after_messages_is_an_error_event() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    for (code, id) in [(7, "id: transom-end\n"), (14, "")] {
        let target = format!("GET /v1/count/1?code={code}");
        let answer = send(&gateway, request(&target).body(Body::empty()).unwrap()).await;
        let expected = format!(
            "retry: 3000\n\ndata: {{\"number\":1}}\n\nevent: error\n{id}\
             data: {{\"code\":{code},\"message\":\"as told\",\"details\":[]}}\n\n"
        );
        assert_eq!(answer.text(), expected);
    }
}

async fn count_as(accept: &str, target: &str) -> crate::support::Answer {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let request = request(target).header("accept", accept).body(Body::empty()).unwrap();
    send(&gateway, request).await
}

#[tokio::test]
async fn lines_and_arrays_are_the_same_messages() {
    for accept in ["application/x-ndjson", "application/jsonl"] {
        let answer = count_as(accept, "GET /v1/count/2").await;
        assert_eq!(answer.header("content-type"), accept);
        assert_eq!(answer.text(), "{\"number\":1}\n{\"number\":2}\n");
        assert_eq!(count_as(accept, "GET /v1/count/0").await.text(), "");
    }
    let answer = count_as("application/json", "GET /v1/count/2").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.text(), r#"[{"number":1},{"number":2}]"#);
    assert_eq!(count_as("application/json", "GET /v1/count/0").await.text(), "[]");
    let refused = count_as("text/html", "GET /v1/count/2").await;
    assert_eq!(refused.status, 406);
    assert!(refused.text().contains("application/x-ndjson"), "{}", refused.text());
}

#[tokio::test]
async fn a_failure_after_lines_is_a_last_line() {
    let answer = count_as("application/x-ndjson", "GET /v1/count/1?code=7").await;
    assert_eq!(
        answer.text(),
        "{\"number\":1}\n{\"error\":{\"code\":7,\"message\":\"as told\",\"details\":[]}}\n"
    );
}

#[tokio::test]
async fn a_failure_after_elements_leaves_the_array_open_and_breaks_the_body() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let request = request("GET /v1/count/1?code=7").header("accept", "application/json");
    let mut body = open(&gateway, request.body(Body::empty()).unwrap()).await.into_body();
    let mut text = String::new();
    let error = loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap())
            }
            Some(Err(error)) => break error.to_string(),
            None => panic!("an end like any other: {text}"),
        }
    };
    assert_eq!(text, r#"[{"number":1}"#);
    assert!(error.contains("as told"), "{error}");
}

#[tokio::test]
async fn a_failure_before_any_message_has_its_status_in_every_encoding() {
    for accept in ["text/event-stream", "application/x-ndjson", "application/json"] {
        let answer = count_as(accept, "GET /v1/count/0?code=7").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (403, "application/json")
        );
    }
}

#[tokio::test]
async fn an_empty_stream_is_an_end() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let answer = send(&gateway, request("GET /v1/count/0").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.text(), "retry: 3000\n\nevent: end\nid: transom-end\ndata: {}\n\n");
}

#[tokio::test]
async fn a_caller_that_does_not_read_stops_the_upstream() {
    let inventory = Inventory::default();
    let gateway = inventory_gateway(inventory.clone()).build().unwrap();
    let target = "GET /v1/count/1000000?padding_bytes=1000";
    let mut body = stream(&gateway, target).await.into_body();
    next(&mut body).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let pulled = inventory.counted.value();
    assert!((1..200).contains(&pulled), "{pulled} messages were made for nobody");
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_the_upstream() {
    let inventory = Inventory::default();
    let gateway = inventory_gateway(inventory.clone()).build().unwrap();
    let response = stream(&gateway, "GET /v1/count/1?hang=true").await;
    assert_eq!(inventory.hanging.value(), 1);
    drop(response);
    until(|| inventory.hanging.value() == 0).await;

    let hang = request("GET /v1/hang").body(Body::empty()).unwrap();
    let call = tokio::spawn({
        let gateway = gateway.clone();
        async move { send(&gateway, hang).await }
    });
    until(|| inventory.hanging.value() == 1).await;
    call.abort();
    until(|| inventory.hanging.value() == 0).await;
}

#[tokio::test]
async fn a_head_on_a_stream_is_its_headers_and_cancels_it() {
    let inventory = Inventory::default();
    let gateway = inventory_gateway(inventory.clone()).build().unwrap();
    let mut body = stream(&gateway, "HEAD /v1/count/1?hang=true").await.into_body();
    assert!(body.frame().await.is_none());
    until(|| inventory.hanging.value() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_stream_after_its_messages() {
    let inventory = Inventory::default();
    let gateway = inventory_gateway(inventory.clone()).build().unwrap();
    let request = request("GET /v1/count/1?hang=true").header("grpc-timeout", "2S");
    let answer = send(&gateway, request.body(Body::empty()).unwrap()).await;
    assert!(answer.text().contains("data: {\"number\":1}\n\n"));
    assert!(answer.text().ends_with(
        "event: error\ndata: {\"code\":4,\"message\":\"the deadline has passed\",\"details\":[]}\n\n"
    ));
    assert_eq!(inventory.hanging.value(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_is_kept_alive_and_a_silent_one_is_ended() {
    let deadlines = Deadlines { stream_idle_ms: 40_000, ..Deadlines::default() };
    let gateway = inventory_gateway(Inventory::default()).deadlines(deadlines).build().unwrap();
    let mut body = stream(&gateway, "GET /v1/count/1?hang=true").await.into_body();
    assert!(next(&mut body).await.starts_with("retry: 3000\n\n"));
    let began = tokio::time::Instant::now();
    for beat in [15, 30] {
        assert_eq!(next(&mut body).await, ": keep-alive\n\n");
        assert_eq!(began.elapsed().as_secs(), beat);
    }
    assert!(next(&mut body).await.contains("\"code\":4,\"message\":\"no message came for 40s\""));
    assert!(body.frame().await.is_none());
}

/// One message of `Chat` or `Collect`, framed.
fn one_reply() -> bytes::Bytes {
    crate::grpc_web::frame(&transom_test_services::inventory::v1::CountReply::default()).into()
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_on_sending_is_not_silent_and_has_no_deadline() {
    let deadlines = Deadlines { stream_idle_ms: 40_000, ..Deadlines::default() };
    let gateway = inventory_gateway(Inventory::default()).deadlines(deadlines).build().unwrap();
    let began = tokio::time::Instant::now();
    let messages = futures_util::stream::unfold(0, |count| async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let frame = Ok::<_, std::io::Error>(http_body::Frame::data(one_reply()));
        (count < 10).then_some((frame, count + 1))
    });
    let body = Body::new(http_body_util::StreamBody::new(messages));
    let answer = send(&gateway, crate::grpc_web::call("Collect", body)).await;
    let (_, trailers) = crate::grpc_web::parse(&answer.body);
    assert_eq!(trailers, "grpc-status:0\r\n");
    assert!(began.elapsed() > Duration::from_secs(300));

    let silent =
        futures_util::stream::pending::<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>();
    let body = Body::new(http_body_util::StreamBody::new(silent));
    let answer = send(&gateway, crate::grpc_web::call("Collect", body)).await;
    let (_, trailers) = crate::grpc_web::parse(&answer.body);
    assert!(trailers.contains("no message came for 40s"), "{trailers}");
}

#[tokio::test]
async fn the_end_of_the_process_is_told_to_every_stream() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let mut body = stream(&gateway, "GET /v1/count/1?hang=true").await.into_body();
    next(&mut body).await;
    gateway.end_streams();
    let last = read_ready(&mut body).await;
    assert_eq!(
        last,
        "event: error\ndata: {\"code\":14,\"message\":\"the gateway is shutting down\",\"details\":[]}\n\n"
    );
}
