//! The server on a socket: versions of HTTP, slow and silent callers, and the stop.

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
};
use transom::{
    Gateway,
    config::{Config, Drain, Http2, Listener},
    layers,
    server::{self, Hooks, Readiness, Stop},
};
use transom_test_services::inventory::Inventory;

use crate::support::{inventory_gateway, until};

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stops: mpsc::Sender<Stop>,
    readiness: Readiness,
    pub(crate) inventory: Inventory,
    pub(crate) server: JoinHandle<()>,
}

pub(crate) async fn start(listener: Listener, drain: Drain) -> Running {
    let inventory = Inventory::default();
    let gateway = inventory_gateway(inventory.clone()).build().unwrap();
    start_gateway(gateway, inventory, listener, drain).await
}

pub(crate) async fn start_gateway(
    gateway: Gateway,
    inventory: Inventory,
    listener: Listener,
    drain: Drain,
) -> Running {
    let readiness = Readiness::new();
    let router = server::router(
        axum::Router::new().fallback_service(gateway.clone()),
        readiness.clone(),
        None,
        &Config::default().pages,
    );
    let config = Config { listener: listener.clone(), ..Config::default() };
    let front = server::front(router, &config.pages, gateway.clone());
    let service = layers::stack(front, &config);
    let socket = server::bind("127.0.0.1:0".parse().unwrap(), 128).unwrap();
    let address = socket.local_addr().unwrap();
    let (stops, stop) = mpsc::channel(2);
    let hooks = Hooks {
        readiness: readiness.clone(),
        end_streams: Box::new(move || gateway.end_streams()),
        tells_caller_address: false,
        before_workers_stop: async {},
    };
    let server = tokio::spawn(async move {
        server::run(socket, &listener, &drain, service, stop, hooks).await.unwrap();
    });
    until(|| readiness.is_ready()).await;
    Running { address, stops, readiness, inventory, server }
}

/// A gateway on a socket, for as long as the test runs.
pub(crate) async fn serve_gateway(gateway: Gateway) -> SocketAddr {
    let drain = Drain::default();
    let running = start_gateway(gateway, Inventory::default(), two_workers(), drain).await;
    // Without anybody who could tell it to stop, it would.
    std::mem::forget(running.stops);
    running.address
}

pub(crate) fn two_workers() -> Listener {
    Listener { workers: 2, ..Listener::default() }
}

pub(crate) async fn within<T>(seconds: u64, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), work).await.expect("it takes too long")
}

/// Writes `request`, then reads until the other side closes.
pub(crate) async fn talk(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the answer is an end too.
    let _ = within(20, stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        let mut piece = [0; 4096];
        let count = within(20, stream.read(&mut piece)).await.unwrap();
        assert!(count > 0, "it ended before {text:?}: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn both_versions_of_http_on_one_port() {
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    let running = start(two_workers(), Drain::default()).await;
    let uri = format!("http://{}/v1/items/x", running.address);
    for only_http2 in [false, true] {
        let client: Client<_, http_body_util::Empty<bytes::Bytes>> =
            Client::builder(TokioExecutor::new()).http2_only(only_http2).build_http();
        let response = client.get(uri.parse().unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.version() == http::Version::HTTP_2, only_http2);
    }
}

#[tokio::test]
async fn what_is_no_http_and_what_has_no_host_is_refused() {
    let running = start(two_workers(), Drain::default()).await;
    assert!(talk(running.address, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    let no_host = talk(running.address, "GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(no_host.starts_with("HTTP/1.1 400") && no_host.contains("no host"), "{no_host}");
    let two = "GET /livez HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n";
    assert!(talk(running.address, two).await.contains("several hosts"));
}

#[tokio::test]
async fn a_silent_a_slow_and_an_idle_connection_are_closed() {
    let listener = Listener { first_byte_ms: 50, head_ms: 50, keep_alive_ms: 50, ..two_workers() };
    let running = start(listener, Drain::default()).await;
    for sent in ["", "PRI * HT", "GET /livez HTTP/1.1\r\nhost: a\r\nx-slow: "] {
        let answer = talk(running.address, sent).await;
        assert!(!answer.contains("200 OK"), "{sent:?}: {answer}");
    }
    let answer = talk(running.address, "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    // The second head of a connection is timed too, though the first was quick.
    let slow = Listener { head_ms: 50, keep_alive_ms: 600_000, ..two_workers() };
    let running = start(slow, Drain::default()).await;
    let two = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\nGET /livez HTTP/1.1\r\n";
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&two.as_bytes()[..36]).await.unwrap();
    read_until(&mut stream, "ok\n").await;
    stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn http2_idle_ms() {
    let http2 = Http2 { idle_ms: 50, ..Http2::default() };
    let running = start(Listener { http2, ..two_workers() }, Drain::default()).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut read = Vec::new();
    let _ = within(20, idle.read_to_end(&mut read)).await;
    // RFC 9113, 4.1: three bytes of length, then the type, in a head of nine.
    const GOAWAY: u8 = 7;
    let (mut rest, mut types) = (&read[..], Vec::new());
    while let [a, b, c, r#type, ..] = *rest {
        types.push(r#type);
        rest = &rest[9 + u32::from_be_bytes([0, a, b, c]) as usize..];
    }
    assert!(types.contains(&GOAWAY), "{types:?}");
}

#[tokio::test]
async fn stall_ms() {
    let listener = Listener { stall_ms: 100, ..two_workers() };
    let running = start(listener, Drain::default()).await;
    let mut reader = TcpStream::connect(running.address).await.unwrap();
    let target = "/v1/count/1000000?padding_bytes=1000&hang=true";
    let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
    reader.write_all(request.as_bytes()).await.unwrap();
    until(|| running.inventory.hanging.value() == 1).await;
    // Nothing is read: the sockets fill up, and then the call is given up.
    until(|| running.inventory.hanging.value() == 0).await;
}

#[tokio::test]
async fn a_caller_that_holds_a_connection_without_a_call_does_not_delay_the_stop() {
    let running = start(two_workers(), Drain::default()).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut half = TcpStream::connect(running.address).await.unwrap();
    half.write_all(b"GET /livez HTTP/1.1\r\nhost: ").await.unwrap();
    read_until(&mut silent, "\0").await;
    running.stops.send(Stop::Prompt).await.unwrap();
    // Well below the ten seconds that a head may take, and the thirty of the hard stop.
    within(8, running.server).await.unwrap();
}

/// An answer that was still in buffers when the process stopped was cut.
/// Asks for a large answer and takes it slowly, for longer than it may wait for anything else. How
/// much of it came, and how much there is.
async fn read_slowly(running: &Running, then: impl AsyncFnOnce()) -> (usize, usize) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(running.address).await.unwrap();
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(4_000_000));
    let head = format!(
        "POST /v1/everything HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut read = read_until(&mut stream, "\r\n\r\n").await.len();
    then().await;
    let mut piece = vec![0; 200_000];
    let slow_until = tokio::time::Instant::now() + Duration::from_secs(3);
    while let Ok(count @ 1..) = within(20, stream.read(&mut piece)).await {
        read += count;
        if tokio::time::Instant::now() < slow_until {
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
    (read, body.len())
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_is_whole_after_a_stop() {
    let running = start(two_workers(), Drain::default()).await;
    let stop = async || running.stops.send(Stop::Prompt).await.unwrap();
    let (read, length) = read_slowly(&running, stop).await;
    assert!(read >= length, "{read} of {length}");
}

/// The wait for the next request began while the answer was still on its way.
#[tokio::test]
async fn an_answer_that_is_read_slowly_is_whole_after_the_keep_alive() {
    let listener = Listener { keep_alive_ms: 300, ..two_workers() };
    let running = start(listener, Drain::default()).await;
    let (read, length) = read_slowly(&running, async || {}).await;
    assert!(read >= length, "{read} of {length}");
}

#[tokio::test]
async fn max_connections() {
    let listener = Listener { max_connections: 1, ..two_workers() };
    let running = start(listener, Drain::default()).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut first, "ok\n").await;
    let mut second = TcpStream::connect(running.address).await.unwrap();
    second.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(waits.is_err(), "it was served beyond the limit");
    drop(first);
    read_until(&mut second, "ok\n").await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_cancels_its_call() {
    let running = start(two_workers(), Drain::default()).await;
    for target in ["/v1/hang", "/v1/count/1?hang=true"] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        until(|| running.inventory.hanging.value() == 1).await;
        drop(stream);
        until(|| running.inventory.hanging.value() == 0).await;
    }
}

#[tokio::test]
async fn a_prompt_stop_ends_streams_and_finishes_calls() {
    let running = start(two_workers(), Drain::default()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /v1/count/1?hang=true HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, "\"number\":1").await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut idle, "ok\n").await;

    running.stops.send(Stop::Prompt).await.unwrap();
    let end = read_to_end(&mut stream).await;
    assert!(end.contains("event: error") && end.contains("shutting down"), "{end}");
    assert!(end.ends_with("0\r\n\r\n"), "the body has no end: {end}");
    assert_eq!(read_to_end(&mut idle).await, "");
    within(20, running.server).await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_graceful_stop_is_told_before_it_happens() {
    let drain = Drain { ready_wait_ms: 400, stream_end_ms: 500, hard_stop_ms: 20_000 };
    let running = start(two_workers(), drain).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /v1/count/1?hang=true HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, "\"number\":1").await;

    running.stops.send(Stop::Graceful).await.unwrap();
    until(|| !running.readiness.is_ready()).await;
    // New connections are still taken, told that it is not ready, and asked not to stay.
    let ready = talk(running.address, "GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("connection: close"), "{ready}");
    let call = talk(running.address, "GET /v1/items/x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(call.starts_with("HTTP/1.1 200"), "{call}");
    assert!(read_to_end(&mut stream).await.contains("shutting down"));
    within(20, running.server).await.unwrap();
}

#[tokio::test]
async fn a_second_stop_does_not_wait() {
    let drain = Drain { ready_wait_ms: 600_000, stream_end_ms: 600_000, hard_stop_ms: 600_000 };
    let running = start(two_workers(), drain).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /v1/count/1?hang=true HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, "\"number\":1").await;
    running.stops.send(Stop::Graceful).await.unwrap();
    running.stops.send(Stop::Graceful).await.unwrap();
    within(20, running.server).await.unwrap();
}

/// A caller that sends a body for which it was refused long ago still reads why.
#[tokio::test]
async fn a_refusal_is_read_by_whoever_is_still_sending() {
    let running = start(two_workers(), Drain::default()).await;
    let head = "POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n";
    // A reset is not always in time to be seen.
    for _ in 0..5 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // The head of the answer shows that nobody waits for the body.
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 404");
        for _ in 0..90 {
            stream.write_all(&[b' '; 10_000]).await.unwrap();
        }
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert!(rest.contains("no route for /nowhere"), "{rest}");
    }
}
