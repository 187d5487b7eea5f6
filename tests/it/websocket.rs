//! WebSocket on a socket: all four kinds in both forms, in process and remote; how calls end; what
//! is refused; and what broken, slow and silent callers get.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::SinkExt as _;
use http::HeaderValue;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_stream::StreamExt as _;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};
use tokio_util::sync::CancellationToken;
use transom::{
    Gateway,
    config::{Cors, Deadlines, Drain, Limits, Listener},
    server::Stop,
    upstream::Upstream,
};
use transom_test_services::{
    INVENTORY_DESCRIPTOR_SET,
    inventory::{
        Inventory,
        v1::{CountReply, CountRequest, Everything, UploadPhotoRequest},
    },
};

use crate::{
    remote,
    server::{read_until, serve_gateway, start, start_gateway, talk, two_workers, within},
    support::{inventory_gateway, request, send, until},
};

const INVENTORY: &str = "/inventory.v1.Inventory";

/// A handshake without the blank line that ends it.
const HEAD: &str = "connection: upgrade\r\nupgrade: websocket\r\nhost: a\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub(crate) type Socket = WebSocketStream<TcpStream>;

async fn try_open(
    address: SocketAddr,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Result<Socket, Error> {
    let mut request = format!("ws://{address}{target}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    Ok(client_async(request, stream).await?.0)
}

pub(crate) async fn open(address: SocketAddr, target: &str) -> Socket {
    try_open(address, target, &[]).await.unwrap()
}

async fn open_proto(address: SocketAddr, target: &str) -> Socket {
    try_open(address, target, &[("sec-websocket-protocol", "transom.proto")]).await.unwrap()
}

fn text(json: &str) -> Message {
    Message::text(json)
}

/// The end of a side's messages.
fn end() -> Message {
    Message::text("")
}

fn binary(message: &impl prost::Message) -> Message {
    Message::binary(message.encode_to_vec())
}

/// What a call came to.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<Message>,
    /// What was told behind the messages.
    end: Value,
    pub(crate) code: u16,
    reason: String,
}

impl Heard {
    fn json(&self) -> Vec<Value> {
        let text = |message: &Message| serde_json::from_str(message.to_text().unwrap()).unwrap();
        self.messages.iter().map(text).collect()
    }

    fn decode<M: prost::Message + Default>(&self) -> Vec<M> {
        let decode = |message: &Message| match message {
            Message::Binary(bytes) => M::decode(&bytes[..]).unwrap(),
            other => panic!("{other:?}"),
        };
        self.messages.iter().map(decode).collect()
    }
}

/// The next frame that is no ping.
pub(crate) async fn next(socket: &mut Socket) -> Message {
    loop {
        match within(20, socket.next()).await.unwrap().unwrap() {
            Message::Ping(_) => {}
            message => return message,
        }
    }
}

/// Reads to the close frame.
pub(crate) async fn hear(mut socket: Socket) -> Heard {
    let mut heard = Heard::default();
    loop {
        match next(&mut socket).await {
            Message::Close(frame) => {
                let frame = frame.unwrap();
                (heard.code, heard.reason) = (frame.code.into(), frame.reason.to_string());
                return heard;
            }
            message if message == end() => {
                let told = next(&mut socket).await;
                heard.end = serde_json::from_str(told.to_text().unwrap()).unwrap();
            }
            message => heard.messages.push(message),
        }
    }
}

/// Sends everything, then listens.
async fn call(mut socket: Socket, messages: impl IntoIterator<Item = Message>) -> Heard {
    for message in messages {
        socket.send(message).await.unwrap();
    }
    hear(socket).await
}

/// The inventory behind a gateway, in process and remote.
async fn both() -> [(SocketAddr, Inventory); 2] {
    let (in_process, behind) = (Inventory::default(), Inventory::default());
    let gateway = inventory_gateway(in_process.clone()).build().unwrap();
    let remote = remote::gateway(remote::serve_inventory(behind.clone()).await);
    [(serve_gateway(gateway).await, in_process), (serve_gateway(remote).await, behind)]
}

async fn serve(build: impl FnOnce(transom::GatewayBuilder) -> Gateway) -> (SocketAddr, Inventory) {
    let inventory = Inventory::default();
    let gateway = build(inventory_gateway(inventory.clone()));
    (serve_gateway(gateway).await, inventory)
}

async fn serve_default() -> SocketAddr {
    serve(|builder| builder.build().unwrap()).await.0
}

/// What is answered instead of an upgrade.
async fn refused(
    address: SocketAddr,
    target: &str,
    headers: &[(&'static str, &str)],
) -> (u16, Value) {
    match try_open(address, target, headers).await {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            (response.status().as_u16(), serde_json::from_slice(body).unwrap_or_default())
        }
        other => panic!("{target}: {other:?}"),
    }
}

#[tokio::test]
async fn all_four_kinds_as_text() {
    for (address, _) in both().await {
        let item = call(open(address, "/v1/items/x").await, []).await;
        assert_eq!(item.json(), [json!({"name": "x", "stock": "7"})]);
        assert_eq!((item.code, item.reason.as_str()), (1000, ""));

        let counted = call(open(address, "/v1/count/3").await, []).await;
        let number = |number: i32| json!({ "number": number });
        assert_eq!((counted.json(), counted.code), ((1..=3).map(number).collect(), 1000));

        let collect = open(address, &format!("{INVENTORY}/Collect")).await;
        let messages = (0..1_000).map(|_| text("{}")).chain([end()]);
        let collected = call(collect, messages).await;
        assert_eq!((collected.json(), collected.code), (vec![number(1_000)], 1000));

        // Each answer comes before the next question: neither side waits for the other's end.
        let mut chat = open(address, &format!("{INVENTORY}/Chat")).await;
        for number in 1..20 {
            chat.send(text(&format!("{{\"number\":{number}}}"))).await.unwrap();
            let answer = next(&mut chat).await;
            assert_eq!(answer.to_text().unwrap(), format!("{{\"number\":{number}}}"));
        }
        let ended = call(chat, [end()]).await;
        assert_eq!((ended.messages.len(), ended.end, ended.code), (0, Value::Null, 1000));
    }
}

#[tokio::test]
async fn all_four_kinds_as_protobuf() {
    for (address, _) in both().await {
        let everything = Everything { text: "é".into(), ..Default::default() };
        let echo = open_proto(address, &format!("{INVENTORY}/Echo")).await;
        let echoed = call(echo, [binary(&everything)]).await;
        assert_eq!((echoed.decode(), echoed.code), (vec![everything], 1000));

        let count = CountRequest { messages: 2, ..Default::default() };
        let counted =
            call(open_proto(address, &format!("{INVENTORY}/Count")).await, [binary(&count), end()]);
        let reply = |number| CountReply { number, ..Default::default() };
        assert_eq!(counted.await.decode::<CountReply>(), [reply(1), reply(2)]);

        // An empty message is one, and both forms may be mixed.
        let collect = open_proto(address, &format!("{INVENTORY}/Collect")).await;
        let messages = [binary(&CountReply::default()), text("{\"number\":1}"), end()];
        assert_eq!(call(collect, messages).await.decode::<CountReply>(), [reply(2)]);

        let chat = open_proto(address, &format!("{INVENTORY}/Chat")).await;
        let heard = call(chat, [binary(&reply(7)), text("{\"number\":8}"), end()]).await;
        assert_eq!((heard.decode(), heard.code), (vec![reply(7), reply(8)], 1000));
    }
}

#[tokio::test]
async fn a_route_binds_path_query_and_frames() {
    let address = serve_default().await;
    // The only rule of the path is a POST, with a field as its body.
    let create = open(address, "/v1/shelves/1/items?dry_run=true").await;
    let created = call(create, [text(r#"{"name":"x"}"#)]).await;
    assert_eq!(created.json(), [json!({"name": "shelves/1/items/x", "stock": "-1"})]);
    // A stream's every message has what the path and the query say.
    for (form, message) in [
        ("text", text(r#"{"photo":{"data":"YQ=="}}"#)),
        (
            "binary",
            binary(&UploadPhotoRequest { photo: Some(Default::default()), ..Default::default() }),
        ),
    ] {
        let stream = open(address, "/v1/shelves/1/items/2:stream?dry_run=true").await;
        let heard = call(stream, [message.clone(), message, end()]).await;
        let item: &Value = &heard.json()[0];
        assert_eq!(item["name"], "shelves/1/items/2shelves/1/items/2", "{form}");
        assert_eq!((&item["kind"], heard.code), (&json!("KIND_TOOL"), 1000), "{form}");
        assert_eq!(item["labels"]["messages"], "2", "{form}");
    }
    // An HTTP body is a message like any other.
    let photo = "/v1/photo:wrapped?content_type=text/plain&chunks=a";
    let photo = hear(open(address, photo).await).await;
    assert_eq!(photo.json(), [json!({"contentType": "text/plain", "data": "YQ=="})]);
    // A response body, and JSON as the query wants it.
    let update = open(address, "/v1/shelves/1/items/2?$prettyPrint=true");
    let updated = call(update.await, []).await;
    let pretty = updated.messages[0].to_text().unwrap();
    assert!(pretty.contains("\n"), "{pretty}");
}

#[tokio::test]
async fn a_frame_cannot_contradict_the_path_or_the_query() {
    let address = serve_default().await;
    let item = |name: &str| UploadPhotoRequest { name: name.into(), ..Default::default() };
    let stream = "/v1/shelves/1/items/2:stream";
    // A field that is cut off would swallow the path that is written behind it.
    let cut_off = Message::binary(vec![0x12, 0x7f]);
    let query = format!("{stream}?dry_run=true");
    let echo = format!("{INVENTORY}/Echo");
    for (target, frames, field) in [
        (stream, vec![text(r#"{"name":"other"}"#)], "[0].name"),
        (stream, vec![text("{}"), text(r#"{"name":""}"#)], "[1].name"),
        (stream, vec![binary(&item("other"))], "[0].name"),
        (stream, vec![text("{}"), cut_off], "[1]"),
        (&query, vec![text(r#"{"dryRun":false}"#)], "[0].dry_run"),
        (&echo, vec![text(r#"{"text":1}"#)], "text"),
    ] {
        let heard = call(open(address, target).await, frames).await;
        let detail = &heard.end["status"]["details"][0]["fieldViolations"][0];
        assert_eq!((heard.code, detail["field"].as_str()), (4003, Some(field)), "{heard:?}");
    }
    let same = call(open(address, stream).await, [binary(&item("shelves/1/items/2")), end()]).await;
    assert_eq!(same.code, 1000);
}

#[tokio::test]
async fn a_failure_is_told_in_the_close_frame_and_whole_before_it() {
    for (address, _) in both().await {
        let fail = open(address, "/v1/fail/5?message=gone&field=f").await;
        let heard = call(fail, []).await;
        assert_eq!((heard.code, heard.reason.as_str()), (4005, "gone"));
        assert_eq!(heard.end["status"]["code"], 5);
        assert_eq!(heard.end["status"]["details"][0]["fieldViolations"][0]["field"], "f");

        // Longer than a reason can be, and cut between two characters.
        let long = "%C3%A9".repeat(100);
        let fail = open_proto(address, &format!("/v1/fail/16?message={long}")).await;
        let heard = call(fail, []).await;
        assert_eq!((heard.code, heard.reason), (4016, "é".repeat(61)));
        assert_eq!(heard.end["status"]["message"], "é".repeat(100));

        // After messages.
        let heard = call(open(address, "/v1/count/2?code=7").await, []).await;
        assert_eq!((heard.messages.len(), heard.code), (2, 4007));
        assert_eq!(heard.end["status"]["code"], 7);
    }
}

#[tokio::test]
async fn metadata_comes_by_an_allow_list_and_goes_back_at_the_end() {
    let address = serve_default().await;
    let headers = [("authorization", "Bearer x"), ("x-user-id", "root"), ("grpc-timeout", "5S")];
    let heard = call(try_open(address, "/v1/metadata", &headers).await.unwrap(), []).await;
    let seen = &heard.json()[0]["metadata"];
    assert_eq!(seen["authorization"], "Bearer x");
    assert!(seen["grpc-timeout"].is_string() && seen.get("x-user-id").is_none(), "{seen}");
    assert_eq!(heard.end["status"], json!({"code": 0, "message": "", "details": []}));
    assert_eq!(heard.end["metadata"]["x-shelf"], json!(["3"]));
    assert_eq!(heard.code, 1000);
}

#[tokio::test]
async fn a_deadline_ends_the_call() {
    for (address, inventory) in both().await {
        let timeout = [("grpc-timeout", "300m")];
        for target in ["/v1/count/2?hang=true", "/v1/hang", &format!("{INVENTORY}/Chat")] {
            let socket = try_open(address, target, &timeout).await.unwrap();
            assert_eq!(hear(socket).await.code, 4004, "{target}");
        }
        until(|| inventory.hanging.value() == 0).await;
    }
    // A call without streams has one by default, which begins with the upgrade.
    let deadlines = Deadlines { unary_ms: 300, ..Deadlines::default() };
    let (address, _) = serve(|builder| builder.deadlines(deadlines).build().unwrap()).await;
    assert_eq!(hear(open(address, &format!("{INVENTORY}/Echo")).await).await.code, 4004);
}

#[tokio::test]
async fn a_service_that_panics_costs_one_call() {
    let panicking = |_: http::Request<tonic::body::Body>| async {
        if true {
            panic!("a secret");
        }
        Ok::<_, std::convert::Infallible>(http::Response::new(tonic::body::Body::empty()))
    };
    let upstream = Upstream::service(tower::service_fn(panicking));
    let gateway = Gateway::builder().upstream(INVENTORY_DESCRIPTOR_SET, upstream).build().unwrap();
    let address = serve_gateway(gateway).await;
    for _ in 0..2 {
        let heard = hear(open(address, "/v1/items/x").await).await;
        assert_eq!((heard.code, heard.reason.as_str()), (4013, "an internal error occurred"));
    }
}

#[tokio::test]
async fn where_there_is_no_upgrade() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let ask = |version| {
        request("GET /v1/items/x")
            .version(version)
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(axum::body::Body::empty())
            .unwrap()
    };
    // HTTP/2 has none, and a service that is called in memory has nothing to upgrade.
    assert_eq!(send(&gateway, ask(http::Version::HTTP_2)).await.json()["name"], "x");
    let refused = send(&gateway, ask(http::Version::HTTP_11)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_i64()), (501, Some(12)));
}

#[tokio::test]
async fn a_caller_that_closes_or_goes_away_cancels_its_call() {
    for (address, inventory) in both().await {
        for closes in [true, false] {
            let mut socket = open(address, "/v1/count/1?hang=true").await;
            assert!(next(&mut socket).await.is_text());
            until(|| inventory.hanging.value() == 1).await;
            if closes {
                socket.close(None).await.unwrap();
                // The close is answered, and nothing else comes.
                assert!(matches!(next(&mut socket).await, Message::Close(None)));
            }
            drop(socket);
            until(|| inventory.hanging.value() == 0).await;
        }
    }
}

#[tokio::test]
async fn a_method_that_takes_one_message_takes_no_other_number() {
    let address = serve_default().await;
    let count = format!("{INVENTORY}/Count");
    for (target, frames) in [
        (&*count, vec![end()]),
        (&*count, vec![text(r#"{"hang":true}"#), text("{}")]),
        ("/v1/count/1?hang=true", vec![text("{}")]),
    ] {
        let heard = call(open(address, target).await, frames).await;
        assert_eq!((heard.code, &heard.end["status"]["code"]), (4012, &json!(12)), "{target}");
    }
    let chat = open(address, &format!("{INVENTORY}/Chat")).await;
    assert_eq!(call(chat, [end(), text("{}")]).await.code, 1000);
    for blank in [" ", "nonsense", "[]", "{\"nope\":1}"] {
        let chat = open(address, &format!("{INVENTORY}/Chat")).await;
        assert_eq!(call(chat, [text(blank)]).await.code, 4003, "{blank}");
    }
}

#[tokio::test]
async fn what_can_be_refused_before_the_upgrade_is_plain_http() {
    let address = serve_default().await;
    let protocol = "sec-websocket-protocol";
    for (target, headers, status, code) in [
        ("/nope", &[][..], 404, 5),
        ("/v1/count/many", &[], 400, 3),
        ("/v1/count/1?nope=1", &[], 400, 3),
        ("/v1/items/%zz", &[], 400, 3),
        ("/v1/items/x", &[("grpc-timeout", "soon")], 400, 3),
        ("/v1/items/x", &[(protocol, "graphql-ws")], 400, 3),
        ("/v1/items/x", &[("sec-websocket-version", "8")], 426, 12),
        ("/v1/items/x", &[("origin", "https://evil.example")], 403, 7),
        ("/v1/items/x", &[("origin", "null")], 403, 7),
        ("/v1/items/x", &[("grpc-timeout", "0S")], 504, 4),
        // A PUT and a POST, and no GET.
        ("/v1/body", &[], 400, 3),
    ] {
        let (found, json) = refused(address, target, headers).await;
        assert_eq!((found, json["code"].as_i64()), (status, Some(code)), "{target} {headers:?}");
    }
    let proto = try_open(address, "/v1/items/x", &[(protocol, "x, transom.proto")]).await;
    drop(proto.unwrap());
    let post = format!("POST /v1/items/x HTTP/1.1\r\nconnection: close\r\n{HEAD}\r\n");
    assert!(talk(address, &post).await.starts_with("HTTP/1.1 405"));
    // Another version of HTTP has no upgrade, and answers as if nobody had asked for one.
    let body = format!("GET /v1/items/x HTTP/1.1\r\ncontent-length: 2\r\n{HEAD}\r\n{{}}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, "has no body").await.starts_with("HTTP/1.1 400"));
    let old = format!("GET /v1/items/x HTTP/1.0\r\n{HEAD}\r\n");
    assert!(talk(address, &old).await.starts_with("HTTP/1.0 200"));
}

#[tokio::test]
async fn the_answer_to_a_handshake_is_that_of_the_rfc() {
    let address = serve_default().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET {INVENTORY}/Chat HTTP/1.1\r\n{HEAD}sec-websocket-protocol: x, transom.json\r\n\
         x-request-id: mine\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
    for field in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "sec-websocket-protocol: transom.json",
        "x-request-id: mine",
    ] {
        assert!(answer.contains(&format!("{field}\r\n")), "{field}: {answer}");
    }
    assert!(!answer.contains("extensions") && !answer.contains("content-length"), "{answer}");
}

#[tokio::test]
async fn pages_of_this_host_and_of_named_origins_may_call() {
    let cors = Cors { origins: vec!["https://app.example".into()], ..Cors::default() };
    let (address, _) = serve(|builder| builder.cors(cors).build().unwrap()).await;
    for origin in [format!("http://{address}"), "https://app.example".into()] {
        let socket = try_open(address, "/v1/items/x", &[("origin", &origin)]).await;
        assert_eq!(hear(socket.unwrap()).await.code, 1000, "{origin}");
    }
    for origin in ["https://app.example.evil", "http://app.example", "http://127.0.0.1:1"] {
        assert_eq!(refused(address, "/v1/items/x", &[("origin", origin)]).await.0, 403);
    }
}

/// Opens a WebSocket by hand, and writes what no client would.
async fn write_raw(address: SocketAddr, frames: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {INVENTORY}/Chat HTTP/1.1\r\n{HEAD}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    stream.write_all(frames).await.unwrap();
    stream
}

/// A frame with a mask of zeros, so that its payload is what it says.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test]
async fn what_is_no_websocket_is_closed_with_the_code_of_the_rfc() {
    let address = serve_default().await;
    let fragments = [frame(0x01, b"{\"num"), frame(0x80, b"ber\":3}"), frame(0x81, b"")].concat();
    let announced = [&[0x82, 0xff][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    for (frames, code) in [
        (fragments, 1000_u16),
        // A ping between two fragments.
        (
            [frame(0x01, b"{}"), frame(0x89, b"p"), frame(0x80, b""), frame(0x81, b"")].concat(),
            1000,
        ),
        // Without a mask; reserved bits; a continuation of nothing; an unknown opcode.
        (b"\x81\x02{}".to_vec(), 1002),
        (frame(0xc1, b"{}"), 1002),
        (frame(0x80, b"{}"), 1002),
        (frame(0x83, b"{}"), 1002),
        // A message within another; a control frame in fragments; half of a character.
        ([frame(0x01, b"{"), frame(0x81, b"{}")].concat(), 1002),
        (frame(0x09, b""), 1002),
        (frame(0x81, b"\xff"), 1007),
        ([frame(0x01, b"\xc3"), frame(0x80, b"")].concat(), 1007),
        (announced, 1009),
        // Their own close, answered.
        (frame(0x88, &3000_u16.to_be_bytes()), 3000),
    ] {
        let mut stream = write_raw(address, &frames).await;
        let mut read = Vec::new();
        let (mut piece, close) = ([0; 4096], [&[0x88][..], &[0]].concat());
        // Until the close frame is there: its head, and the code.
        let found = loop {
            let at = read.windows(2).position(|pair: &[u8]| pair[0] == close[0] && pair[1] >= 2);
            if let Some([high, low]) = at.and_then(|at| read.get(at + 2..at + 4)) {
                break u16::from_be_bytes([*high, *low]);
            }
            let count = within(20, stream.read(&mut piece)).await.unwrap();
            assert!(count > 0, "{frames:x?}: no close frame in {read:x?}");
            read.extend_from_slice(&piece[..count]);
        };
        assert_eq!(found, code, "{frames:x?}: {read:x?}");
        // The answer to it, and the end.
        let _ = stream.write_all(&frame(0x88, &code.to_be_bytes())).await;
        within(20, async { while let Ok(1..) = stream.read(&mut piece).await {} }).await;
    }
}

#[tokio::test]
async fn a_caller_in_the_middle_of_a_message_hears_why_it_is_refused() {
    let address = serve_default().await;
    let announced = [&[0x82, 0xff][..], &(1_u64 << 30).to_be_bytes(), &[0; 4]].concat();
    let (mut read, mut write) = write_raw(address, &announced).await.into_split();
    let writing = tokio::spawn(async move {
        write.write_all(&[0; 1 << 20]).await.unwrap();
        write
    });
    // An end, and no reset, which could overtake the close frame.
    let mut told = Vec::new();
    within(20, read.read_to_end(&mut told)).await.unwrap();
    assert!(told.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1009_u16.to_be_bytes()));
    drop(writing.await.unwrap());
}

#[tokio::test]
async fn body_limit_bytes_and_message_limit_bytes() {
    let limits = Limits {
        body_limit_bytes: 40,
        message_limit_bytes: 30,
        reply_message_limit_bytes: 50,
        ..Limits::default()
    };
    let (address, _) = serve(|builder| builder.limits(limits).build().unwrap()).await;
    let padding = |length: usize| CountReply { number: 0, padding: vec![0; length] };
    let json = |length: usize| text(&format!("{{\"number\":1{}}}", " ".repeat(length - 12)));
    for (message, code) in [
        (json(40), 1000),
        (json(41), 1009),
        (json(100_000), 1009),
        (binary(&padding(28)), 1000),
        (binary(&padding(29)), 1009),
        (binary(&padding(5_000_000)), 1009),
    ] {
        let mut chat = open(address, &format!("{INVENTORY}/Chat")).await;
        // Refused by its head: what is still being written then may find nobody.
        let _ = chat.send(message).await;
        let _ = chat.send(end()).await;
        let heard = hear(chat).await;
        assert_eq!(heard.code, code);
        if code == 1009 {
            assert_eq!(heard.end["status"]["code"], 8);
        }
    }
    // The upstream's message is not the caller's fault.
    let heard = hear(open(address, "/v1/count/1?padding_bytes=100").await).await;
    assert_eq!(heard.code, 4008);
}

#[tokio::test]
async fn large_messages_go_both_ways() {
    for (address, _) in both().await {
        for socket in [
            open(address, &format!("{INVENTORY}/Echo")).await,
            open_proto(address, &format!("{INVENTORY}/Echo")).await,
        ] {
            let everything = Everything { text: "é".repeat(1_000_000), ..Default::default() };
            let heard = call(socket, [binary(&everything)]).await;
            assert_eq!(heard.code, 1000);
            let found = match &heard.messages[0] {
                Message::Text(json) => serde_json::from_str::<Value>(json).unwrap()["text"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
                _ => heard.decode::<Everything>()[0].text.clone(),
            };
            assert!(found == everything.text);
        }
    }
}

#[tokio::test]
async fn a_caller_that_does_not_read_stops_the_upstream_and_is_given_up() {
    let listener = Listener { stall_ms: 100, ..two_workers() };
    let running = start(listener, Drain::default()).await;
    let (address, inventory) = (running.address, &running.inventory);
    let socket = open(address, "/v1/count/1000000?padding_bytes=1000&hang=true").await;
    until(|| inventory.hanging.value() == 1).await;
    until(|| inventory.hanging.value() == 0).await;
    assert!(inventory.counted.value() < 1_000_000);
    drop(socket);
}

#[tokio::test]
async fn an_upstream_that_does_not_read_stops_the_caller() {
    let reads = CancellationToken::new();
    let (read, gate) = (Arc::new(AtomicUsize::new(0)), reads.clone());
    let count = Arc::clone(&read);
    let service = tower::service_fn(move |request: http::Request<tonic::body::Body>| {
        let (gate, count) = (gate.clone(), Arc::clone(&count));
        async move {
            gate.cancelled().await;
            let body = request.into_body().collect().await.unwrap().to_bytes();
            count.store(body.len(), Ordering::SeqCst);
            let response = http::Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "0");
            Ok::<_, std::convert::Infallible>(response.body(tonic::body::Body::empty()).unwrap())
        }
    });
    let deadlines = Deadlines { websocket_ping_ms: 200, ..Deadlines::default() };
    let gateway = Gateway::builder()
        .upstream(INVENTORY_DESCRIPTOR_SET, Upstream::service(service))
        .deadlines(deadlines);
    let address = serve_gateway(gateway.build().unwrap()).await;
    let mut chat = open(address, &format!("{INVENTORY}/Chat")).await;
    let message = CountReply { number: 0, padding: vec![0; 4_093] };
    for _ in 0..100 {
        chat.send(binary(&message)).await.unwrap();
    }
    chat.send(Message::Ping("behind them".into())).await.unwrap();
    chat.send(end()).await.unwrap();
    // What stands behind more than the gateway holds is not read: the ping has no answer.
    for _ in 0..3 {
        let frame = within(20, chat.next()).await.unwrap().unwrap();
        assert!(frame.is_ping(), "{frame:?}");
    }
    reads.cancel();
    let heard = loop {
        match within(20, chat.next()).await.unwrap().unwrap() {
            Message::Pong(payload) => assert_eq!(payload, "behind them"),
            Message::Close(frame) => break frame.unwrap(),
            frame => assert!(frame.is_ping(), "{frame:?}"),
        }
    };
    assert_eq!(u16::from(heard.code), 1000);
    assert_eq!(read.load(Ordering::SeqCst), 100 * (5 + 3 + 4_093));
}

#[tokio::test]
async fn websocket_ping_ms() {
    let deadlines = Deadlines { websocket_ping_ms: 20, ..Deadlines::default() };
    let (address, inventory) = serve(|builder| builder.deadlines(deadlines).build().unwrap()).await;
    let hang = "/v1/count/1?hang=true";
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(format!("GET {hang} HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).await.unwrap();
    until(|| inventory.hanging.value() == 1).await;
    // Pinged, without an answer.
    read_until(&mut silent, "\u{0}").await;
    until(|| inventory.hanging.value() == 0).await;
    // A caller that answers stays, for longer than it takes to miss two.
    let deadlines = Deadlines { websocket_ping_ms: 250, ..Deadlines::default() };
    let (address, inventory) = serve(|builder| builder.deadlines(deadlines).build().unwrap()).await;
    let mut answering = open(address, hang).await;
    let mut pings = 0;
    while pings < 4 {
        let frame = within(20, answering.next()).await.unwrap().unwrap();
        pings += usize::from(frame.is_ping());
    }
    assert_eq!(inventory.hanging.value(), 1);
    // And so does one that pings.
    answering.send(Message::Ping("p".into())).await.unwrap();
    while within(20, answering.next()).await.unwrap().unwrap() != Message::Pong("p".into()) {}
}

#[tokio::test]
async fn websocket_close_ms() {
    let deadlines = Deadlines { websocket_close_ms: 50, ..Deadlines::default() };
    let (address, _) = serve(|builder| builder.deadlines(deadlines).build().unwrap()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET /v1/items/x HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).await.unwrap();
    // The close frame is not answered: the connection is closed nevertheless.
    let mut read = Vec::new();
    within(8, stream.read_to_end(&mut read)).await.unwrap();
    assert!(read.windows(4).any(|bytes| bytes == [0x88, 2, 3, 0xe8]), "{read:x?}");
}

#[tokio::test]
async fn streams_limit_and_stream_idle_ms() {
    let limits = Limits { streams_limit: 1, ..Limits::default() };
    let deadlines = Deadlines { stream_idle_ms: 1_500, ..Deadlines::default() };
    let (address, _) =
        serve(|builder| builder.limits(limits).deadlines(deadlines).build().unwrap()).await;
    let chat = format!("{INVENTORY}/Chat");
    let first = open(address, &chat).await;
    assert_eq!(refused(address, "/v1/items/x", &[]).await.0, 503);
    assert_eq!(hear(first).await.code, 4004);
    drop(open(address, &chat).await);
}

#[tokio::test]
async fn the_limits_of_a_head_are_not_those_of_a_websocket() {
    let deadlines = Deadlines { websocket_ping_ms: 250, ..Deadlines::default() };
    let gateway = inventory_gateway(Inventory::default()).deadlines(deadlines).build().unwrap();
    let listener = Listener { head_ms: 50, keep_alive_ms: 50, ..two_workers() };
    let running = start_gateway(gateway, Inventory::default(), listener, Drain::default()).await;
    let mut chat = open(running.address, &format!("{INVENTORY}/Chat")).await;
    // Each is answered: more bytes, over more time, than a head may have.
    for _ in 0..2 {
        while !within(20, chat.next()).await.unwrap().unwrap().is_ping() {}
    }
    assert_eq!(call(chat, [text("{}"), end()]).await.json(), [json!({})]);
}

#[tokio::test]
async fn a_stop_ends_every_websocket_and_waits_for_it() {
    let inventory = Inventory::default();
    let gateway = inventory_gateway(inventory.clone()).build().unwrap();
    let running = start_gateway(gateway, inventory, two_workers(), Drain::default()).await;
    let mut hang = open(running.address, "/v1/count/1?hang=true").await;
    assert!(next(&mut hang).await.is_text());
    let chat = open(running.address, &format!("{INVENTORY}/Chat")).await;
    running.stops.send(Stop::Prompt).await.unwrap();
    for socket in [hang, chat] {
        let heard = hear(socket).await;
        assert_eq!((heard.code, heard.reason.as_str()), (4014, "the gateway is shutting down"));
        assert_eq!(heard.end["status"]["code"], 14);
    }
    within(8, running.server).await.unwrap();
}

#[tokio::test]
async fn a_websocket_that_ends_by_itself_is_waited_for() {
    let drain = Drain { ready_wait_ms: 1_000, stream_end_ms: 600_000, hard_stop_ms: 600_000 };
    let running = start(two_workers(), drain).await;
    let mut chat = open(running.address, &format!("{INVENTORY}/Chat")).await;
    running.stops.send(Stop::Graceful).await.unwrap();
    // New ones are taken as long as connections are.
    let item = call(open(running.address, "/v1/items/x").await, []).await;
    assert_eq!(item.code, 1000);
    until(|| std::net::TcpStream::connect(running.address).is_err()).await;
    chat.send(text("{}")).await.unwrap();
    assert_eq!(next(&mut chat).await, text("{}"));
    assert!(!running.server.is_finished());
    assert_eq!(call(chat, [end()]).await.code, 1000);
    within(8, running.server).await.unwrap();
}

#[tokio::test]
async fn in_somebody_elses_app() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let app = axum::Router::new().fallback_service(gateway);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let chat = open(address, &format!("{INVENTORY}/Chat")).await;
    let heard = call(chat, [text("{}"), end()]).await;
    assert_eq!((heard.json(), heard.code), (vec![json!({})], 1000));
}
