//! Connect through the gateway, in process and remote: unary and streams, both codecs, every
//! compression, errors, deadlines and limits.

use std::io::{Read as _, Write as _};

use axum::body::Body;
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Request, Version};
use http_body_util::BodyExt as _;
use prost::Message;
use serde_json::{Value, json};
use transom::{
    Gateway,
    config::Limits,
    protocol::{compression::Encoding, metadata},
};
use transom_test_services::{
    INVENTORY_DESCRIPTOR_SET,
    inventory::{
        Inventory, InventoryServer,
        v1::{CountReply, CountRequest, Everything, FailRequest, GetItemRequest, Item},
    },
};

use crate::{
    grpc_web::frame,
    remote,
    support::{Answer, inventory_gateway, open, read_ready, request, send, until},
};

const ENCODINGS: [Encoding; 3] = [Encoding::Gzip, Encoding::Br, Encoding::Zstd];

fn gateway() -> Gateway {
    inventory_gateway(Inventory::default()).build().unwrap()
}

/// A gateway whose upstream takes gzip, and answers in it.
fn gzip_gateway() -> Gateway {
    use tonic::codec::CompressionEncoding::Gzip;
    let service = InventoryServer::new(Inventory::default());
    let service = service.accept_compressed(Gzip).send_compressed(Gzip);
    Gateway::builder().service(INVENTORY_DESCRIPTOR_SET, service).build().unwrap()
}

/// A gateway with the inventory in this process, and one with it behind a socket.
async fn both() -> [Gateway; 2] {
    let upstream = remote::serve_inventory(Inventory::default()).await;
    [gateway(), remote::gateway(upstream)]
}

fn post(method: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    request(&format!("POST /inventory.v1.Inventory/{method}"))
        .header("content-type", content_type)
        .header("connect-protocol-version", "1")
        .body(body.into())
        .unwrap()
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn proto(method: &str, message: &impl Message) -> Request<Body> {
    post(method, "application/proto", message.encode_to_vec())
}

fn json_call(method: &str, message: &Value) -> Request<Body> {
    post(method, "application/json", message.to_string())
}

fn code(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), "application/json");
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), code)
}

#[tokio::test]
async fn unary_in_both_codecs() {
    for gateway in both().await {
        let answer = send(&gateway, proto("GetItem", &GetItemRequest { name: "x".into() })).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/proto");
        let item = Item::decode(answer.body).unwrap();
        assert_eq!((item.name.as_str(), item.stock), ("x", 7));

        let answer = send(&gateway, json_call("GetItem", &json!({"name": "é"}))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.json(), json!({"name": "é", "stock": "7"}));

        // A caller with a newer schema; and without the header, the same is REST, which is strict.
        let newer = json!({"name": "x", "since_tomorrow": 1});
        let answer = send(&gateway, json_call("GetItem", &newer)).await;
        assert_eq!(answer.status, 200);
        let mut rest = json_call("GetItem", &newer);
        rest.headers_mut().remove("connect-protocol-version");
        let answer = send(&gateway, rest).await;
        assert_eq!((answer.status.as_u16(), answer.json()["code"].as_i64()), (400, Some(3)));
    }
}

#[tokio::test]
async fn metadata_there_and_back() {
    for gateway in both().await {
        let mut request = json_call("Metadata", &json!({}));
        for (name, value) in [
            ("x-shelf-mark", "A 1"),
            ("trace-bin", "AQI"),
            ("x-transom-subject", "root"),
            ("trailer-x", "1"),
            ("cookie", "a=b"),
            ("connect-timeout-ms", "5000"),
        ] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = send(&gateway, request).await;
        assert_eq!(answer.header("x-shelf"), "3");
        assert!(!answer.headers.contains_key("set-cookie"));
        let seen = answer.json()["metadata"].as_object().unwrap().clone();
        assert_eq!(seen["x-shelf-mark"], "A 1");
        assert_eq!(seen["trace-bin"], "Ok(b\"\\x01\\x02\")");
        for name in ["x-transom-subject", "trailer-x", "cookie", "connect-protocol-version"] {
            assert!(!seen.contains_key(name), "{name}");
        }
        let micros: u64 =
            seen["grpc-timeout"].as_str().unwrap().trim_end_matches('u').parse().unwrap();
        assert!((1..=5_000_000).contains(&micros), "{micros}");
        let bad = with(json_call("Metadata", &json!({})), "x-bin", "!");
        assert_eq!(code(&send(&gateway, bad).await), (400, "invalid_argument".into()));
    }
}

#[tokio::test]
async fn errors_have_connects_codes_and_details() {
    let codes = [
        (1, 499, "canceled"),
        (2, 500, "unknown"),
        (3, 400, "invalid_argument"),
        (4, 504, "deadline_exceeded"),
        (5, 404, "not_found"),
        (6, 409, "already_exists"),
        (7, 403, "permission_denied"),
        (8, 429, "resource_exhausted"),
        (9, 400, "failed_precondition"),
        (10, 409, "aborted"),
        (11, 400, "out_of_range"),
        (12, 501, "unimplemented"),
        (13, 500, "internal"),
        (14, 503, "unavailable"),
        (15, 500, "data_loss"),
        (16, 401, "unauthenticated"),
    ];
    for gateway in both().await {
        for (number, status, name) in codes {
            let fail = FailRequest { code: number, message: "é%".into(), ..Default::default() };
            let answer = send(&gateway, proto("Fail", &fail)).await;
            assert_eq!(code(&answer), (status, name.to_owned()));
            assert_eq!(answer.json()["message"], "é%");
            assert!(answer.json().get("details").is_none());
        }
        let fail = FailRequest { code: 5, field: "f".into(), ..Default::default() };
        let answer = send(&gateway, proto("Fail", &fail)).await;
        let detail = &answer.json()["details"][0];
        assert_eq!(detail["type"], "google.rpc.BadRequest");
        assert_eq!(
            detail["debug"],
            json!({"fieldViolations": [{"field": "f", "description": "is wrong"}]})
        );
        let value = BASE64_STANDARD_NO_PAD.decode(detail["value"].as_str().unwrap()).unwrap();
        assert!(value.windows(8).any(|part| part == b"is wrong"));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_connects_to_tell() {
    let gateway = gateway();
    let answer = send(&gateway, json_call("EchoBody", &json!({"data": 1}))).await;
    assert_eq!(code(&answer), (400, "invalid_argument".into()));
    let detail = &answer.json()["details"][0]["debug"]["fieldViolations"][0];
    assert_eq!(detail["field"], "data");
    for (request, status, name) in [
        (json_call("Nope", &json!({})), 404, "unimplemented"),
        (post("GetItem", "application/xml", ""), 415, "unknown"),
        (post("GetItem", "application/connect+json", ""), 415, ""),
        (post("Count", "application/json", "{}"), 415, "unknown"),
        (post("GetItem", "application/json", ""), 400, "invalid_argument"),
        (
            with(json_call("GetItem", &json!({})), "connect-protocol-version", "2"),
            400,
            "invalid_argument",
        ),
        (
            with(json_call("GetItem", &json!({})), "connect-timeout-ms", "12345678901"),
            400,
            "invalid_argument",
        ),
        (
            with(json_call("GetItem", &json!({})), "content-encoding", "snappy"),
            501,
            "unimplemented",
        ),
        (with(json_call("Hang", &json!({})), "connect-timeout-ms", "1"), 504, "deadline_exceeded"),
        (with(json_call("Hang", &json!({})), "connect-timeout-ms", "0"), 504, "deadline_exceeded"),
    ] {
        let line = format!("{request:?}");
        let answer = send(&gateway, request).await;
        if name.is_empty() {
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("accept-post"), "application/proto, application/json");
            continue;
        }
        assert_eq!(code(&answer), (status, name.to_owned()), "{line}");
    }
    let stream = send(&gateway, post("Count", "application/json", "{}")).await;
    assert_eq!(stream.header("accept-post"), "application/connect+proto, application/connect+json");
    let unknown = with(json_call("GetItem", &json!({})), "content-encoding", "snappy");
    assert_eq!(send(&gateway, unknown).await.header("accept-encoding"), "gzip, br, zstd");
    let mut no_query = post("GetItem", "application/proto", "");
    no_query.headers_mut().remove("connect-protocol-version");
    *no_query.method_mut() = http::Method::GET;
    assert_eq!(send(&gateway, no_query).await.status, 405);
    let mut put = json_call("GetItem", &json!({}));
    *put.method_mut() = http::Method::PUT;
    let answer = send(&gateway, put).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, POST"));
}

fn get(method: &str, query: &str) -> Request<Body> {
    request(&format!("GET /inventory.v1.Inventory/{method}?{query}")).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn by_get() {
    for gateway in both().await {
        let query = "connect=v1&encoding=json&message=%7B%22name%22%3A%22a+b%22%7D";
        let answer = send(&gateway, get("GetItem", query)).await;
        assert_eq!(answer.json(), json!({"name": "a b", "stock": "7"}));
        assert_eq!(answer.header("vary"), "accept-encoding");

        let message = GetItemRequest { name: "x".into() }.encode_to_vec();
        let text = BASE64_URL_SAFE_NO_PAD.encode(&message);
        let query = format!("message={text}&base64=1&encoding=proto&connect=v1&unknown=1");
        let answer = send(&gateway, get("GetItem", &query)).await;
        assert_eq!(answer.header("content-type"), "application/proto");
        assert_eq!(Item::decode(answer.body).unwrap().name, "x");

        for encoding in ENCODINGS {
            let text = BASE64_URL_SAFE_NO_PAD.encode(encoding.compress(&message));
            let name = encoding.name();
            let query =
                format!("connect=v1&encoding=proto&base64=1&compression={name}&message={text}");
            let answer = send(&gateway, get("GetItem", &query)).await;
            assert_eq!(Item::decode(answer.body).unwrap().name, "x", "{name}");
        }
    }
    let gateway = gateway();
    for (method, query, status, name) in [
        ("GetItem", "connect=v1&encoding=xml&message=", 415, "unknown"),
        ("GetItem", "connect=v1&message=", 400, "invalid_argument"),
        ("GetItem", "connect=v1&encoding=json", 400, "invalid_argument"),
        ("GetItem", "connect=v1&encoding=proto&base64=1&message=!", 400, "invalid_argument"),
        ("GetItem", "connect=v1&encoding=json&compression=x&message=", 501, "unimplemented"),
        ("Echo", "connect=v1&encoding=json&message=%7B%7D", 405, "unknown"),
        ("Count", "connect=v1&encoding=json&message=%7B%7D", 405, "unknown"),
    ] {
        let answer = send(&gateway, get(method, query)).await;
        assert_eq!(code(&answer), (status, name.to_owned()), "{method} {query}");
        if status == 405 {
            assert_eq!(answer.header("allow"), "POST");
        }
    }
}

fn decompress(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    encoding.decompress(bytes, 10 << 20).unwrap()
}

#[tokio::test]
async fn unary_compressed_both_ways() {
    let everything = Everything { text: "abc".repeat(2_000), ..Default::default() };
    let small = Everything { text: "abc".into(), ..Default::default() };
    for gateway in both().await {
        for encoding in ENCODINGS {
            for message in [&everything, &small] {
                let body = encoding.compress(&message.encode_to_vec());
                let request = post("Echo", "application/proto", body);
                let request = with(request, "content-encoding", encoding.name());
                let plain = send(&gateway, with(request, "accept-encoding", "identity")).await;
                assert!(!plain.headers.contains_key("content-encoding"));
                assert_eq!(&Everything::decode(plain.body).unwrap(), message);
            }
            let ask = with(proto("Echo", &everything), "accept-encoding", encoding.name());
            let answer = send(&gateway, ask).await;
            assert_eq!(answer.header("content-encoding"), encoding.name());
            let echoed = decompress(encoding, &answer.body);
            assert_eq!(Everything::decode(&echoed[..]).unwrap(), everything);
            let ask = with(proto("Echo", &small), "accept-encoding", encoding.name());
            let answer = send(&gateway, ask).await;
            assert!(!answer.headers.contains_key("content-encoding"), "too short");
            assert_eq!(Everything::decode(answer.body).unwrap(), small);
        }
        // An empty body is no compressed one.
        let empty = with(post("Echo", "application/proto", ""), "content-encoding", "gzip");
        assert_eq!(send(&gateway, empty).await.status, 200);
    }
}

#[tokio::test]
async fn bombs_are_refused_by_what_is_in_them() {
    let gateway = gzip_gateway();
    let bomb = vec![0; 8 << 20];
    for encoding in ENCODINGS {
        let compressed = encoding.compress(&bomb);
        for content_type in ["application/proto", "application/json"] {
            let request = post("Echo", content_type, compressed.clone());
            let answer = send(&gateway, with(request, "content-encoding", encoding.name())).await;
            assert_eq!(code(&answer), (429, "resource_exhausted".into()), "{encoding:?}");
        }
        let stream = [enveloped(1, &compressed)].concat();
        for content_type in ["application/connect+proto", "application/connect+json"] {
            for method in ["Count", "Collect"] {
                let request = post(method, content_type, stream.clone());
                let request = with(request, "connect-content-encoding", encoding.name());
                let (messages, end) = parse(&send(&gateway, request).await);
                assert!(messages.is_empty());
                assert_eq!(end["error"]["code"], "resource_exhausted", "{encoding:?} {end}");
            }
        }
        let garbage = post("Echo", "application/proto", "no such thing");
        let answer = send(&gateway, with(garbage, "content-encoding", encoding.name())).await;
        assert_eq!(code(&answer), (400, "invalid_argument".into()));
    }
}

#[test]
fn messages_that_are_large_when_read_are_read_one_at_a_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reply = CountReply { number: 1, padding: vec![0; 3 << 20] }.encode_to_vec();
    let body = enveloped(1, &Encoding::Br.compress(&reply)).repeat(24);
    let gateway = gateway();
    let allocated = allocation_counter::measure(|| {
        runtime.block_on(async {
            let request = post("Collect", "application/connect+proto", body);
            let request = with(request, "connect-content-encoding", "br");
            let (messages, _) = parse(&send(&gateway, request).await);
            assert_eq!(CountReply::decode(messages[0].1.clone()).unwrap().number, 24);
        });
    });
    assert!(allocated.bytes_max < 36 << 20, "{}", allocated.bytes_max);
}

fn enveloped(flags: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags];
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend(message);
    bytes
}

/// The messages of a stream with their flags, and its one end.
fn parse(answer: &Answer) -> (Vec<(u8, Bytes)>, Value) {
    let (mut messages, mut rest) = (Vec::new(), answer.body.clone());
    loop {
        let head = rest.split_to(5);
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let payload = rest.split_to(length as usize);
        if head[0] == 2 {
            assert!(rest.is_empty(), "something stands behind the end");
            return (messages, serde_json::from_slice(&payload).unwrap());
        }
        messages.push((head[0], payload));
    }
}

fn replies(numbers: std::ops::RangeInclusive<i32>) -> Vec<u8> {
    numbers.flat_map(|number| frame(&CountReply { number, padding: vec![] })).collect()
}

#[tokio::test]
async fn streams_of_every_kind_in_protobuf() {
    for gateway in both().await {
        for messages in [0, 3] {
            let count = frame(&CountRequest { messages, ..Default::default() });
            let answer = send(&gateway, post("Count", "application/connect+proto", count)).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), "application/connect+proto");
            let (counted, end) = parse(&answer);
            assert_eq!(counted.len(), messages as usize);
            assert_eq!(end, json!({}));
        }
        let collect = post("Collect", "application/connect+proto", replies(1..=5));
        let (collected, end) = parse(&send(&gateway, collect).await);
        assert_eq!(CountReply::decode(collected[0].1.clone()).unwrap().number, 5);
        assert_eq!((collected.len(), end), (1, json!({})));
        let mut chat = post("Chat", "application/connect+proto", replies(1..=5));
        *chat.version_mut() = Version::HTTP_2;
        let (said, end) = parse(&send(&gateway, chat).await);
        assert_eq!((said.len(), end), (5, json!({})));
        // Over HTTP/1.1 too, for callers that ask everything before they read.
        let chat = post("Chat", "application/connect+proto", replies(1..=5));
        let (said, end) = parse(&send(&gateway, chat).await);
        assert_eq!((said.len(), end), (5, json!({})));
    }
}

#[tokio::test]
async fn streams_of_every_kind_in_json() {
    for gateway in both().await {
        let count = enveloped(0, br#"{"messages":3,"unknown":[]}"#);
        let answer = send(&gateway, post("Count", "application/connect+json", count)).await;
        assert_eq!(answer.header("content-type"), "application/connect+json");
        let (counted, end) = parse(&answer);
        assert_eq!(counted[2], (0, Bytes::from_static(b"{\"number\":3}")));
        assert_eq!((counted.len(), end), (3, json!({})));
        let stream: Vec<u8> = (1..=3)
            .flat_map(|number| enveloped(0, format!("{{\"number\":{number}}}").as_bytes()))
            .collect();
        let collect = post("Collect", "application/connect+json", stream.clone());
        let (collected, end) = parse(&send(&gateway, collect).await);
        assert_eq!((&collected[0].1[..], end), (&b"{\"number\":3}"[..], json!({})));
        let mut chat = post("Chat", "application/connect+json", stream.clone());
        *chat.version_mut() = Version::HTTP_2;
        let (said, _) = parse(&send(&gateway, chat).await);
        assert_eq!((said.len(), &said[1].1[..]), (3, &b"{\"number\":2}"[..]));

        // The second message is at fault: what the upstream makes of the break is not told.
        let broken = [&stream[..], &enveloped(0, br#"{"number":"x"}"#)].concat();
        let collect = post("Collect", "application/connect+json", broken);
        let (_, end) = parse(&send(&gateway, collect).await);
        assert_eq!(end["error"]["code"], "invalid_argument");
        let detail = &end["error"]["details"][0]["debug"]["fieldViolations"][0];
        assert_eq!(detail["field"], "[3].number", "{end}");
    }
}

#[tokio::test]
async fn a_bidirectional_stream_answers_as_it_is_asked() {
    for gateway in both().await {
        let (questions, stream) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
        let stream = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(stream));
        let mut chat = post("Chat", "application/connect+json", stream);
        *chat.version_mut() = Version::HTTP_2;
        questions.send(Ok(enveloped(0, br#"{"number":1}"#).into())).await.unwrap();
        let mut answers = open(&gateway, chat).await.into_body();
        for number in 2..6 {
            let answer = answers.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(answer, enveloped(0, format!("{{\"number\":{}}}", number - 1).as_bytes()));
            let question = enveloped(0, format!("{{\"number\":{number}}}").as_bytes());
            questions.send(Ok(question.into())).await.unwrap();
        }
        drop(questions);
        let rest = answers.collect().await.unwrap().to_bytes();
        assert!(rest.ends_with(b"\x02\0\0\0\x02{}"), "{rest:?}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_has_one_end() {
    for gateway in both().await {
        for (content_type, count) in [
            ("application/connect+proto", frame(&count_request(2, 10))),
            ("application/connect+json", enveloped(0, br#"{"messages":2,"code":10}"#)),
        ] {
            let answer = send(&gateway, post("Count", content_type, count)).await;
            assert_eq!(answer.status, 200);
            let (messages, end) = parse(&answer);
            assert_eq!(messages.len(), 2);
            assert_eq!(end["error"], json!({"code": "aborted", "message": "as told"}));
        }
        let before = frame(&count_request(-1, 0));
        let answer = send(&gateway, post("Count", "application/connect+proto", before)).await;
        let (messages, end) = parse(&answer);
        assert_eq!((answer.status.as_u16(), messages.len()), (200, 0));
        assert_eq!(end["error"]["code"], "out_of_range");

        let hang = CountRequest { messages: 2, hang: true, ..Default::default() };
        let hang = post("Count", "application/connect+proto", frame(&hang));
        let answer = send(&gateway, with(hang, "connect-timeout-ms", "300")).await;
        let (messages, end) = parse(&answer);
        assert_eq!(messages.len(), 2);
        assert_eq!(end["error"]["code"], "deadline_exceeded");
    }
}

fn count_request(messages: i32, code: i32) -> CountRequest {
    CountRequest { messages, code, ..Default::default() }
}

#[tokio::test]
async fn envelopes_that_lie_are_refused_with_an_end() {
    let gateway = gateway();
    let one = replies(1..=1);
    for (method, body, code) in [
        ("Count", vec![], "unimplemented"),
        ("Count", [&one[..], &one].concat(), "unimplemented"),
        ("Count", vec![0, 0, 0], "invalid_argument"),
        ("Count", vec![0, 0xff, 0xff, 0xff, 0xff], "resource_exhausted"),
        ("Count", enveloped(1, b""), "internal"),
        ("Count", enveloped(2, b"{}"), "invalid_argument"),
        ("Collect", [&one[..], &[0, 0, 0]].concat(), "invalid_argument"),
        ("Collect", [&one[..], &enveloped(2, b"{}")].concat(), "invalid_argument"),
        ("Collect", [&one[..], &[0, 0xff, 0xff, 0xff, 0xff]].concat(), "resource_exhausted"),
    ] {
        for content_type in ["application/connect+proto", "application/connect+json"] {
            let body = match content_type {
                "application/connect+json" => {
                    // The same with a message that JSON has too.
                    let json_one = enveloped(0, b"{}");
                    let mut text = Vec::new();
                    let mut rest = &body[..];
                    while let Some(behind) = rest.strip_prefix(&one[..]) {
                        text.extend_from_slice(&json_one);
                        rest = behind;
                    }
                    [&text[..], rest].concat()
                }
                _ => body.clone(),
            };
            let answer = send(&gateway, post(method, content_type, body.clone())).await;
            let (messages, end) = parse(&answer);
            assert_eq!((answer.status.as_u16(), messages.len()), (200, 0), "{body:?}");
            assert_eq!(end["error"]["code"], code, "{method} {content_type} {body:?}");
        }
    }
    let unknown = post("Count", "application/connect+proto", one);
    let answer = send(&gateway, with(unknown, "connect-content-encoding", "snappy")).await;
    assert_eq!(answer.header("connect-accept-encoding"), "gzip, br, zstd");
    assert_eq!(parse(&answer).1["error"]["code"], "unimplemented");
}

#[tokio::test]
async fn streams_compressed_both_ways() {
    for gateway in both().await {
        for encoding in ENCODINGS {
            // Each message on its own, compressed or not as its flag says.
            let text = br#"{"number":1,"padding":"AAAAAAAA"}"#;
            let stream = [enveloped(1, &encoding.compress(text)), enveloped(0, text)].concat();
            let request = post("Collect", "application/connect+json", stream);
            let request = with(request, "connect-content-encoding", encoding.name());
            let (messages, end) = parse(&send(&gateway, request).await);
            assert_eq!((&messages[0].1[..], end), (&b"{\"number\":2}"[..], json!({})));

            let count = enveloped(0, br#"{"messages":2,"paddingBytes":2000}"#);
            let request = post("Count", "application/connect+json", count);
            let request = with(request, "connect-accept-encoding", encoding.name());
            let answer = send(&gateway, request).await;
            assert_eq!(answer.header("connect-content-encoding"), encoding.name());
            let (messages, end) = parse(&answer);
            assert_eq!((messages.len(), messages[1].0, end), (2, 1, json!({})));
            let second = decompress(encoding, &messages[1].1);
            let second: Value = serde_json::from_slice(&second).unwrap();
            assert_eq!(second["number"], 2);
        }
        // The upstream does not know them: they are taken off here. Its answer is plain.
        for encoding in [Encoding::Br, Encoding::Zstd] {
            let reply = CountReply { number: 1, padding: vec![] }.encode_to_vec();
            let body = enveloped(1, &encoding.compress(&reply)).repeat(2);
            let request = post("Collect", "application/connect+proto", body);
            let request = with(request, "connect-content-encoding", encoding.name());
            let (messages, _) = parse(&send(&gateway, request).await);
            assert_eq!(CountReply::decode(messages[0].1.clone()).unwrap().number, 2);
        }
    }
}

#[tokio::test]
async fn gzip_passes_as_it_is() {
    let gateway = gzip_gateway();
    let reply = CountReply { number: 1, padding: vec![] }.encode_to_vec();
    let body = enveloped(1, &Encoding::Gzip.compress(&reply)).repeat(2);
    for content_type in ["application/connect+proto", "application/grpc-web+proto"] {
        let request = post("Collect", content_type, body.clone());
        let name = match content_type {
            "application/connect+proto" => "connect-content-encoding",
            _ => "grpc-encoding",
        };
        let answer = send(&gateway, with(request, name, "gzip")).await;
        assert_eq!(answer.body[0], 0, "{content_type}");
        assert_eq!(answer.body[5..7], reply[..1].iter().chain(&[2]).copied().collect::<Vec<_>>());
    }
    let count = frame(&CountRequest { messages: 2, padding_bytes: 2_000, ..Default::default() });
    let request = post("Count", "application/connect+proto", count);
    let answer = send(&gateway, with(request, "connect-accept-encoding", "br, gzip")).await;
    assert_eq!(answer.header("connect-content-encoding"), "gzip");
    let (messages, end) = parse(&answer);
    assert_eq!((messages.len(), messages[1].0, end), (2, 1, json!({})));
    let second = decompress(Encoding::Gzip, &messages[1].1);
    assert_eq!(CountReply::decode(&second[..]).unwrap().number, 2);
    // Only what is asked for: an upstream is not asked for gzip that would have to come off here.
    let count = enveloped(0, br#"{"messages":1,"paddingBytes":2000}"#);
    let request = post("Count", "application/connect+json", count);
    let answer = send(&gateway, with(request, "connect-accept-encoding", "gzip")).await;
    let (messages, _) = parse(&answer);
    assert!(decompress(Encoding::Gzip, &messages[0].1).starts_with(b"{\"number\":1,"));
}

#[tokio::test]
async fn an_error_keeps_leading_and_trailing_metadata_apart() {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-end", HeaderValue::from_static("1"));
    trailers.insert("grpc-status", HeaderValue::from_static("5"));
    assert!(metadata::to_caller(trailers.clone()).contains_key("x-end"));
    let upstream = tower::service_fn(move |_: Request<tonic::body::Body>| {
        let body = http_body_util::Empty::<Bytes>::new();
        let body = body.with_trailers(std::future::ready(Some(Ok(trailers.clone()))));
        let response = http::Response::builder()
            .header("content-type", "application/grpc")
            .header("x-begin", "2")
            .header("trailer-x", "hidden")
            .body(body)
            .unwrap();
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let gateway = Gateway::builder().service(INVENTORY_DESCRIPTOR_SET, upstream).build().unwrap();
    let answer = send(&gateway, json_call("GetItem", &json!({}))).await;
    assert_eq!(code(&answer), (404, "not_found".into()));
    assert_eq!((answer.header("x-begin"), answer.header("trailer-x-end")), ("2", "1"));
    assert!(!answer.headers.contains_key("trailer-x"));
    for (method, stream) in [("Count", frame(&count_request(1, 0))), ("Collect", vec![])] {
        let answer =
            send(&gateway, post(method, "application/connect+proto", stream.clone())).await;
        assert_eq!(answer.header("x-begin"), "2", "{method}");
        assert!(!answer.headers.contains_key("trailer-x"));
        let (_, end) = parse(&answer);
        let error = json!({"code": "not_found"});
        assert_eq!(end, json!({"error": error, "metadata": {"x-end": ["1"]}}));
        let web = crate::grpc_web::call(method, stream);
        let answer = send(&gateway, web).await;
        assert_eq!(answer.header("x-begin"), "2");
        assert_eq!(crate::grpc_web::parse(&answer.body).1, "grpc-status:5\r\nx-end:1\r\n");
    }
}

#[tokio::test]
async fn limits_count_what_a_message_is() {
    let limits = Limits { message_limit_bytes: 100, body_limit_bytes: 1_000, ..Limits::default() };
    let gateway = inventory_gateway(Inventory::default()).limits(limits).build().unwrap();
    let refused = (429, "resource_exhausted".to_owned());
    let text = |length| Everything { text: "x".repeat(length), ..Default::default() };
    assert_eq!(send(&gateway, proto("Echo", &text(90))).await.status, 200);
    assert_eq!(code(&send(&gateway, proto("Echo", &text(200))).await), refused);
    let long = json_call("Echo", &json!({"text": "x".repeat(200)}));
    assert_eq!(code(&send(&gateway, long).await), refused);
    let spacious = format!("{}{{}}", " ".repeat(900));
    assert_eq!(send(&gateway, post("Echo", "application/json", spacious)).await.status, 200);
    let spacious = format!("{}{{}}", " ".repeat(1_000));
    let answer = send(&gateway, post("Echo", "application/json", spacious)).await;
    assert_eq!(code(&answer), refused);
}

#[tokio::test]
async fn a_caller_that_goes_away_is_felt_upstream() {
    let inventory = Inventory::default();
    let gateway = inventory_gateway(inventory.clone()).build().unwrap();
    let hang = enveloped(0, br#"{"messages":1,"hang":true}"#);
    let stream = open(&gateway, post("Count", "application/connect+json", hang)).await;
    let mut body = stream.into_body();
    assert_eq!(read_ready(&mut body).await, enveloped(0, b"{\"number\":1}"));
    assert_eq!(inventory.hanging.value(), 1);
    drop(body);
    until(|| inventory.hanging.value() == 0).await;
}

#[tokio::test]
async fn json_in_grpc_web_and_grpc() {
    for gateway in both().await {
        for (content_type, answered) in [
            ("application/grpc-web+json", "application/grpc-web+json"),
            ("Application/GRPC-Web+JSON; charset=utf-8", "application/grpc-web+json"),
        ] {
            let item = enveloped(0, br#"{"name":"x"}"#);
            let call = with(crate::grpc_web::call("GetItem", item), "content-type", content_type);
            let answer = send(&gateway, call).await;
            assert_eq!(answer.header("content-type"), answered);
            let (messages, trailers) = crate::grpc_web::parse(&answer.body);
            assert_eq!(messages[0], "{\"name\":\"x\",\"stock\":\"7\"}");
            assert_eq!(trailers, "grpc-status:0\r\n");
        }
        let mut call = post("GetItem", "application/grpc+json", enveloped(0, br#"{"name":1}"#));
        *call.version_mut() = Version::HTTP_2;
        let answer = send(&gateway, call).await;
        assert_eq!(answer.header("content-type"), "application/grpc+json");
        assert_eq!(answer.header("grpc-status"), "3");
        let status = transom_test_services::rpc_status_of(answer.header("grpc-status-details-bin"));
        assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
        let mut call = post("Count", "application/grpc+json", enveloped(0, br#"{"messages":2}"#));
        *call.version_mut() = Version::HTTP_2;
        let response = open(&gateway, call).await;
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        let expected = [enveloped(0, b"{\"number\":1}"), enveloped(0, b"{\"number\":2}")].concat();
        assert_eq!(collected.to_bytes(), expected);
    }
}

/// What others write, ours reads; what ours writes, others read.
#[test]
fn gzip_is_everybodys() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(b"abc").unwrap();
    assert_eq!(decompress(Encoding::Gzip, &encoder.finish().unwrap()), b"abc");
    let ours = Encoding::Gzip.compress(b"abc");
    let mut read = Vec::new();
    flate2::read::GzDecoder::new(&ours[..]).read_to_end(&mut read).unwrap();
    assert_eq!(read, b"abc");
}
