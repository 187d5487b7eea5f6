//! Streams of requests as lines, on a socket: one way over HTTP/1.1, both ways at once over
//! either version; in process and remote.

use std::{future::Future, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use transom_test_services::inventory::Inventory;

use crate::{
    remote,
    server::{read_until, serve_gateway, within},
    support::{inventory_gateway, until},
};

/// The inventory behind a gateway, in process and remote.
async fn both() -> [(SocketAddr, Inventory); 2] {
    let (in_process, behind) = (Inventory::default(), Inventory::default());
    let gateway = inventory_gateway(in_process.clone()).build().unwrap();
    let remote = remote::gateway(remote::serve_inventory(behind.clone()).await);
    [(serve_gateway(gateway).await, in_process), (serve_gateway(remote).await, behind)]
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[tokio::test]
async fn each_line_goes_on_as_it_arrives_over_http1() {
    for (address, inventory) in both().await {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The service counts what has come.
        let head = "POST /inventory.v1.Inventory/StreamPhoto HTTP/1.1\r\nhost: a\r\n\
            content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        for (count, piece) in [
            (1, "{\"name\":\"a\"}\n"),
            (1, "{\"name\":"),
            (2, "\"b\"}\n{\"na"),
            (4, "me\":\"c\"}\n{\"name\":\"d\"}\n"),
        ] {
            stream.write_all(chunk(piece).as_bytes()).await.unwrap();
            until(|| inventory.counted.value() == count).await;
        }
        // The last line needs no line break.
        stream
            .write_all(format!("{}0\r\n\r\n", chunk("{\"name\":\"e\"}")).as_bytes())
            .await
            .unwrap();
        let answer = read_until(&mut stream, "\"abcde\"").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
}

#[tokio::test]
async fn a_line_that_is_wrong_is_told_over_http1_and_the_call_is_over() {
    for (address, inventory) in both().await {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "POST /inventory.v1.Inventory/StreamPhoto HTTP/1.1\r\nhost: a\r\n\
            content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
        let lines = chunk("{}\n{\"name\":7}\n");
        stream.write_all(format!("{head}{lines}").as_bytes()).await.unwrap();
        // Answered although the body goes on.
        let answer = read_until(&mut stream, "]}]}").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("\"field\":\"[1].name\""), "{answer}");
        assert!(inventory.counted.value() <= 1);
    }
}

type Lines = mpsc::Sender<Result<Frame<Bytes>, std::convert::Infallible>>;

/// A request whose lines are sent while its answer is read.
async fn chat(
    address: SocketAddr,
    is_http2: bool,
) -> (Lines, impl Future<Output = Response<Incoming>>) {
    let (lines, body) = mpsc::channel(1);
    let body = StreamBody::new(ReceiverStream::new(body));
    let request = Request::post(format!("http://{address}/inventory.v1.Inventory/Chat"))
        .header("host", address.to_string())
        .header("content-type", "application/x-ndjson")
        .header("accept", "application/x-ndjson")
        .body(body)
        .unwrap();
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let answer: futures_util::future::BoxFuture<'static, _> = if is_http2 {
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        Box::pin(async move { sender.send_request(request).await })
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Box::pin(async move { sender.send_request(request).await })
    };
    (lines, async move { answer.await.unwrap() })
}

fn line(number: i32) -> Result<Frame<Bytes>, std::convert::Infallible> {
    Ok(Frame::data(format!("{{\"number\":{number}}}\n").into()))
}

/// The next chunk of an answer. HTTP/2 may end it with an empty one.
async fn next(answers: &mut Incoming) -> Option<Bytes> {
    while let Some(frame) = within(20, answers.frame()).await {
        let data = frame.unwrap().into_data().unwrap_or_default();
        if !data.is_empty() {
            return Some(data);
        }
    }
    None
}

#[tokio::test]
async fn both_ways_at_once() {
    for (address, _) in both().await {
        for is_http2 in [true, false] {
            let (lines, answer) = chat(address, is_http2).await;
            lines.send(line(1)).await.unwrap();
            let answer = within(20, answer).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let mut answers = answer.into_body();
            // Each answer comes before the next question: neither side waits for the other's end.
            for number in 2..20 {
                let answer = next(&mut answers).await.unwrap();
                let json: Value = serde_json::from_slice(&answer).unwrap();
                assert_eq!(json, json!({"number": number - 1}), "HTTP/2: {is_http2}");
                lines.send(line(number)).await.unwrap();
            }
            drop(lines);
            assert_eq!(next(&mut answers).await.unwrap(), "{\"number\":19}\n");
            assert_eq!(next(&mut answers).await, None);
        }
    }
}

#[tokio::test]
async fn a_failure_between_two_lines_is_the_last_line() {
    for (address, _) in both().await {
        let (lines, answer) = chat(address, true).await;
        lines.send(line(1)).await.unwrap();
        let mut answers = within(20, answer).await.into_body();
        assert_eq!(next(&mut answers).await.unwrap(), "{\"number\":1}\n");
        lines.send(Ok(Frame::data("{\"number\":\"x\"}\n".into()))).await.unwrap();
        let last = next(&mut answers).await.unwrap();
        let json: Value = serde_json::from_slice(&last).unwrap();
        assert_eq!(json["error"]["code"], 3);
        assert_eq!(json["error"]["details"][0]["fieldViolations"][0]["field"], "[1].number");
        assert_eq!(next(&mut answers).await, None);
    }
}
