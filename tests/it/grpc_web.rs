//! gRPC-Web: binary frames both ways, and tonic-web as the oracle of what they must be.

use axum::body::Body;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::Request;
use prost::Message;
use tower::{Layer as _, ServiceExt as _};
use transom::{
    Gateway,
    protocol::{compression::Encoding, grpc_web::TextDecoder},
};
use transom_test_services::{
    inventory::{
        Inventory, InventoryServer,
        v1::{
            CountReply, CountRequest, Everything, FailRequest, GetItemRequest, Item, MetadataReply,
        },
    },
    rpc_status_of,
};

use crate::{
    remote,
    support::{Answer, inventory_gateway, request, send, until},
};

fn gateway() -> Gateway {
    inventory_gateway(Inventory::default()).build().unwrap()
}

pub(crate) fn frame(message: &impl Message) -> Vec<u8> {
    let payload = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(payload);
    frame
}

pub(crate) fn call(method: &str, body: impl Into<Body>) -> Request<Body> {
    request(&format!("POST /inventory.v1.Inventory/{method}"))
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .body(body.into())
        .unwrap()
}

/// The messages of a body, and its trailers as text.
pub(crate) fn parse(body: &Bytes) -> (Vec<Bytes>, String) {
    let (mut messages, mut rest) = (Vec::new(), body.clone());
    loop {
        let head = rest.split_to(5);
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let payload = rest.split_to(length as usize);
        if head[0] == 0x80 {
            assert!(rest.is_empty(), "something stands behind the trailers");
            return (messages, String::from_utf8(payload.to_vec()).unwrap());
        }
        assert_eq!(head[0], 0);
        messages.push(payload);
    }
}

fn trailer<'a>(trailers: &'a str, name: &str) -> &'a str {
    let line = trailers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default()
}

#[tokio::test]
async fn a_unary_call() {
    let body = frame(&GetItemRequest { name: "x".into() });
    let answer = send(&gateway(), call("GetItem", body)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/grpc-web+proto");
    let (messages, trailers) = parse(&answer.body);
    assert_eq!(Item::decode(messages[0].clone()).unwrap().stock, 7);
    assert_eq!(trailers, "grpc-status:0\r\n");
}

#[tokio::test]
async fn a_stream_ends_with_one_trailers_frame_even_when_it_is_empty() {
    for count in [0, 3] {
        let body = frame(&CountRequest { messages: count, ..Default::default() });
        let (messages, trailers) = parse(&send(&gateway(), call("Count", body)).await.body);
        assert_eq!(messages.len(), count as usize);
        assert_eq!(trailers, "grpc-status:0\r\n");
    }
}

#[tokio::test]
async fn a_stream_that_fails_after_messages_has_them_first() {
    let body = frame(&CountRequest { messages: 2, code: 10, ..Default::default() });
    let (messages, trailers) = parse(&send(&gateway(), call("Count", body)).await.body);
    assert_eq!(CountReply::decode(messages[1].clone()).unwrap().number, 2);
    assert_eq!(trailers, "grpc-status:10\r\ngrpc-message:as told\r\n");
}

#[tokio::test]
async fn client_and_bidirectional_streams_pass_too() {
    let three: Vec<u8> =
        (1..=3).flat_map(|number| frame(&CountReply { number, padding: vec![] })).collect();
    let (messages, _) = parse(&send(&gateway(), call("Collect", three.clone())).await.body);
    assert_eq!(CountReply::decode(messages[0].clone()).unwrap().number, 3);
    let (messages, trailers) = parse(&send(&gateway(), call("Chat", three)).await.body);
    assert_eq!(messages.len(), 3);
    assert_eq!(trailer(&trailers, "grpc-status"), "0");
}

#[tokio::test]
async fn errors_carry_their_details() {
    let fail = FailRequest { code: 3, message: "é".into(), field: "x".into(), details: vec![] };
    let (messages, trailers) = parse(&send(&gateway(), call("Fail", frame(&fail))).await.body);
    assert!(messages.is_empty());
    assert_eq!(trailer(&trailers, "grpc-status"), "3");
    assert_eq!(trailer(&trailers, "grpc-message"), "%C3%A9");
    let status = rpc_status_of(trailer(&trailers, "grpc-status-details-bin"));
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
}

/// Status, code and a part of the message for a request that is refused.
async fn refused(gateway: &Gateway, request: Request<Body>) -> (u16, String, String) {
    let answer = send(gateway, request).await;
    let (messages, trailers) = parse(&answer.body);
    assert!(messages.is_empty());
    let field = |name| trailer(&trailers, name).to_owned();
    (answer.status.as_u16(), field("grpc-status"), field("grpc-message"))
}

#[tokio::test]
async fn frames_that_lie_are_refused_in_grpc_web() {
    let gateway = gateway();
    let huge = [&[0, 0xff, 0xff, 0xff, 0xff][..], b"x"].concat();
    let short = [&[0, 0, 0, 0, 9][..], b"x"].concat();
    let one = frame(&GetItemRequest::default());
    for (body, code, part) in [
        (huge, "8", "4294967295 bytes is over the limit"),
        (short, "3", "ends inside a message"),
        (vec![0, 0], "3", "ends inside a message"),
        (vec![], "12", "takes one message, not 0"),
        ([one.clone(), one].concat(), "12", "takes one message, not 2"),
    ] {
        let (status, said, message) = refused(&gateway, call("GetItem", body)).await;
        assert_eq!((status, said.as_str()), (200, code), "{message}");
        assert!(message.contains(part), "{message}");
    }
    // In a stream, the refusal comes instead of what the upstream made of the break.
    let stream = [&[0, 0, 0, 0, 9][..], b"x"].concat();
    let (_, code, message) = refused(&gateway, call("Collect", stream)).await;
    assert_eq!(code, "3", "{message}");
}

#[tokio::test]
async fn refusals_are_in_grpc_web() {
    let gateway = gateway();
    let unknown = refused(&gateway, call("Nope", "")).await;
    assert_eq!((unknown.0, unknown.1.as_str()), (200, "12"));
    let mut get = call("GetItem", "");
    *get.method_mut() = http::Method::GET;
    assert_eq!(refused(&gateway, get).await.1, "12");
    let mut json = call("GetItem", "");
    json.headers_mut().insert("content-type", "application/grpc-web+thrift".parse().unwrap());
    let json = refused(&gateway, json).await;
    assert_eq!((json.0, json.1.as_str()), (415, "3"));
    let mut late = call("Hang", frame(&()));
    late.headers_mut().insert("grpc-timeout", "1m".parse().unwrap());
    assert_eq!(refused(&gateway, late).await.1, "4");
    let mut binary = call("GetItem", frame(&GetItemRequest::default()));
    binary.headers_mut().insert("x-bin", "!".parse().unwrap());
    assert_eq!(refused(&gateway, binary).await.1, "3");
}

#[tokio::test]
async fn the_content_type_may_have_parameters_and_any_case() {
    for content_type in ["application/grpc-web", "Application/GRPC-Web+Proto; charset=utf-8"] {
        let mut request = call("GetItem", frame(&GetItemRequest::default()));
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        assert_eq!(parse(&send(&gateway(), request).await.body).0.len(), 1, "{content_type}");
    }
}

fn text_call(method: &str, body: impl Into<Body>) -> Request<Body> {
    let mut request = call(method, body);
    let content_type = "application/grpc-web-text".parse().unwrap();
    request.headers_mut().insert("content-type", content_type);
    request
}

/// What a text answer is in binary.
fn text_answer(answer: &Answer) -> Bytes {
    assert_eq!(answer.header("content-type"), "application/grpc-web-text+proto");
    let mut decoder = TextDecoder::default();
    let decoded = decoder.push(&answer.body).unwrap();
    assert!(decoder.is_complete());
    decoded.into()
}

#[tokio::test]
async fn as_text_in_process_and_remote() {
    let upstream = remote::serve_inventory(Inventory::default()).await;
    for gateway in [gateway(), remote::gateway(upstream)] {
        let item = BASE64_STANDARD.encode(frame(&GetItemRequest { name: "xy".into() }));
        let answer = send(&gateway, text_call("GetItem", item)).await;
        let (messages, trailers) = parse(&text_answer(&answer));
        assert_eq!(Item::decode(messages[0].clone()).unwrap().name, "xy");
        assert_eq!(trailers, "grpc-status:0\r\n");

        // A caller that flushes writes several pieces, each padded.
        let bytes = frame(&CountRequest { messages: 300, code: 5, ..Default::default() });
        let pieces: String = bytes.chunks(4).map(|piece| BASE64_STANDARD.encode(piece)).collect();
        let answer = send(&gateway, text_call("Count", pieces)).await;
        let (messages, trailers) = parse(&text_answer(&answer));
        assert_eq!(messages.len(), 300);
        assert_eq!(trailer(&trailers, "grpc-status"), "5");

        for (body, code) in [("!!!!", "3"), ("AAAAAA", "3"), ("", "12")] {
            let answer = send(&gateway, text_call("GetItem", body)).await;
            let (_, trailers) = parse(&text_answer(&answer));
            assert_eq!(trailer(&trailers, "grpc-status"), code, "{body}: {trailers}");
        }
    }
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

fn enveloped(flags: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags];
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend(message);
    bytes
}

#[tokio::test]
async fn binary_metadata_goes_both_ways() {
    let upstream = remote::serve_inventory(Inventory::default()).await;
    for gateway in [gateway(), remote::gateway(upstream)] {
        for (sent, seen) in [
            ("AQI=", "Ok(b\"\\x01\\x02\")"),
            ("AQI", "Ok(b\"\\x01\\x02\")"),
            // Both arrive; the service tells the last.
            ("AQI=, AQM", "Ok(b\"\\x01\\x03\")"),
        ] {
            let call = with(call("Metadata", frame(&())), "trace-bin", sent);
            let (messages, _) = parse(&send(&gateway, call).await.body);
            let metadata = MetadataReply::decode(messages[0].clone()).unwrap().metadata;
            assert_eq!(metadata["trace-bin"], seen, "{sent}");
        }
    }
    let upstream = tower::service_fn(|_: Request<tonic::body::Body>| {
        let response = http::Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "9")
            .header("x-bin", "AQI")
            .header("x-bin", "AQM=")
            .body(http_body_util::Empty::<Bytes>::new());
        async move { Ok::<_, std::convert::Infallible>(response.unwrap()) }
    });
    let set = transom_test_services::INVENTORY_DESCRIPTOR_SET;
    let gateway = Gateway::builder().service(set, upstream).build().unwrap();
    let (_, trailers) = parse(&send(&gateway, call("GetItem", frame(&()))).await.body);
    assert_eq!(trailers, "grpc-status:9\r\nx-bin:AQI\r\nx-bin:AQM=\r\n");
}

#[tokio::test]
async fn compressed_messages_that_the_upstream_does_not_know_are_read_here() {
    let item = GetItemRequest { name: "x".into() }.encode_to_vec();
    let upstream = remote::serve_inventory(Inventory::default()).await;
    for gateway in [gateway(), remote::gateway(upstream)] {
        for encoding in [Encoding::Br, Encoding::Zstd] {
            let body = enveloped(1, &encoding.compress(&item));
            let request = with(call("GetItem", body), "grpc-encoding", encoding.name());
            let (messages, trailers) = parse(&send(&gateway, request).await.body);
            assert_eq!(Item::decode(messages[0].clone()).unwrap().name, "x");
            assert_eq!(trailers, "grpc-status:0\r\n");
        }
    }
    let unknown = with(call("GetItem", enveloped(1, &item)), "grpc-encoding", "snappy");
    let answer = send(&gateway(), unknown).await;
    let (_, trailers) = parse(&answer.body);
    assert_eq!(trailer(&trailers, "grpc-status"), "12");
    assert_eq!(trailer(&trailers, "grpc-accept-encoding"), "gzip, br, zstd");
    let unnamed = call("GetItem", enveloped(1, &item));
    assert_eq!(refused(&gateway(), unnamed).await.1, "13");
}

#[tokio::test]
async fn a_whole_body_may_be_gzip() {
    let gateway = gateway();
    let gzip = |bytes: &[u8]| Encoding::Gzip.compress(bytes);
    let item = frame(&GetItemRequest { name: "x".into() });
    let request = with(call("GetItem", gzip(&item)), "content-encoding", "gzip");
    assert_eq!(parse(&send(&gateway, request).await.body).0.len(), 1);
    let text = gzip(BASE64_STANDARD.encode(&item).as_bytes());
    let request = with(text_call("GetItem", text), "content-encoding", "GZIP");
    let answer = send(&gateway, request).await;
    assert_eq!(parse(&text_answer(&answer)).0.len(), 1);
    let three: Vec<u8> =
        (1..=3).flat_map(|number| frame(&CountReply { number, padding: vec![] })).collect();
    let request = with(call("Collect", gzip(&three)), "content-encoding", "gzip");
    let (messages, _) = parse(&send(&gateway, request).await.body);
    assert_eq!(CountReply::decode(messages[0].clone()).unwrap().number, 3);

    let bomb = gzip(&vec![0; 8 << 20]);
    for (method, body, code) in [
        ("GetItem", bomb.clone(), "8"),
        ("GetItem", b"no gzip at all".to_vec(), "3"),
        ("GetItem", gzip(&item)[..15].to_vec(), "3"),
        ("Collect", b"no gzip at all".to_vec(), "3"),
    ] {
        let request = with(call(method, body), "content-encoding", "gzip");
        let (_, said, message) = refused(&gateway, request).await;
        assert_eq!(said, code, "{method}: {message}");
    }
    let other = with(call("GetItem", item), "content-encoding", "br");
    assert_eq!(refused(&gateway, other).await.1, "12");
}

#[tokio::test]
async fn a_deadline_is_told_behind_the_messages_before_it() {
    let inventory = Inventory::default();
    let upstream = remote::serve_inventory(inventory.clone()).await;
    let gateways =
        [inventory_gateway(inventory.clone()).build().unwrap(), remote::gateway(upstream)];
    for gateway in gateways {
        let hang = CountRequest { messages: 2, hang: true, ..Default::default() };
        let request = with(call("Count", frame(&hang)), "grpc-timeout", "300m");
        let (messages, trailers) = parse(&send(&gateway, request).await.body);
        assert_eq!(messages.len(), 2);
        assert_eq!(trailer(&trailers, "grpc-status"), "4");
        until(|| inventory.hanging.value() == 0).await;
    }
}

/// tonic-web in front of the same service: what it frames, we frame. It tells a
/// refusal in headers and we in the body, so that a page from another origin can read it; the
/// fields are compared.
#[tokio::test]
async fn frames_are_those_of_tonic_web() {
    let item = frame(&GetItemRequest { name: "é".into() });
    let everything = frame(&Everything { tags: vec!["a".into(); 9_000], ..Default::default() });
    let count = |messages, code| {
        frame(&CountRequest { messages, code, padding_bytes: 300, ..Default::default() })
    };
    let fail =
        FailRequest { code: 9, message: "a b\n%".into(), field: "f".into(), details: vec![] };
    let calls = [
        ("GetItem", item),
        ("Echo", everything),
        ("Count", count(0, 0)),
        ("Count", count(200, 0)),
        ("Count", count(3, 5)),
        ("Fail", frame(&fail)),
    ];
    for (method, body) in calls {
        let ours = send(&gateway(), call(method, body.clone())).await;
        let oracle =
            tonic_web::GrpcWebLayer::new().layer(InventoryServer::new(Inventory::default()));
        let request = call(method, body).map(tonic::body::Body::new);
        let theirs = oracle.oneshot(request).await.unwrap().map(Body::new);
        let theirs = Answer::read(theirs).await;
        assert_eq!(ours.status, theirs.status);
        assert_eq!(ours.header("content-type"), theirs.header("content-type"), "{method}");
        if theirs.headers.contains_key("grpc-status") {
            let (messages, trailers) = parse(&ours.body);
            assert!(messages.is_empty() && theirs.body.is_empty());
            assert_eq!(trailer(&trailers, "grpc-status"), theirs.header("grpc-status"));
            let ours = rpc_status_of(trailer(&trailers, "grpc-status-details-bin"));
            assert_eq!(ours, rpc_status_of(theirs.header("grpc-status-details-bin")));
        } else {
            let ((ours, our_end), (theirs, their_end)) = (parse(&ours.body), parse(&theirs.body));
            assert!(ours == theirs, "{method}: other messages");
            // It encodes more characters of the message than gRPC asks for.
            assert_eq!(our_end, their_end.replace("%20", " "), "{method}");
        }
    }
}
