//! WebSockets: frames on a connection of their own, which is in memory too.

use std::{future::Future, pin::Pin};

use axum::body::Body;
use futures_util::SinkExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use prost_reflect::MethodDescriptor;
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};
use tower::ServiceExt as _;
use transom::Gateway;

use super::{
    Call, TIMEOUT,
    callers::{Caller, Conversation, Event, Told},
    types::{self, Codec},
};
use crate::support::app;

/// Text frames, or binary ones.
pub(super) struct WebSocket(pub(super) Codec);

impl Caller for WebSocket {
    fn name(&self) -> &'static str {
        match self.0 {
            Codec::Json => "WebSocket",
            Codec::Proto => "WebSocket binary",
        }
    }

    fn call(&self, gateway: &Gateway, call: &Call) -> Box<dyn Conversation> {
        let codec = self.0;
        let url = format!("ws://localhost/inventory.v1.Inventory/{}", call.method);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        let subprotocol = format!("transom.{}", codec.name());
        headers.insert("sec-websocket-protocol", subprotocol.parse().unwrap());
        if call.ending == "deadline" {
            headers.insert("x-server-timeout", TIMEOUT.as_secs().into());
        }
        let (near, far) = tokio::io::duplex(64 << 10);
        let app = app(gateway);
        let service = service_fn(move |request: http::Request<Incoming>| {
            app.clone().oneshot(request.map(Body::new))
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(far), service);
        tokio::spawn(connection.with_upgrades());
        let opening = async move { Ok(client_async(request, near).await?.0) };
        let socket = Socket::Opening(Box::pin(opening));
        let method = types::method(&call.method);
        Box::new(Talk { codec, method, socket, is_at_end: false, told: None })
    }
}

struct Talk {
    codec: Codec,
    method: MethodDescriptor,
    socket: Socket,
    /// There are no further messages.
    is_at_end: bool,
    /// The status that came before the close frame.
    told: Option<Told>,
}

enum Socket {
    Opening(Pin<Box<dyn Future<Output = Result<WebSocketStream<DuplexStream>, Error>> + Send>>),
    Open(Box<WebSocketStream<DuplexStream>>),
}

impl Socket {
    async fn open(&mut self) -> &mut WebSocketStream<DuplexStream> {
        if let Self::Opening(opening) = self {
            let stream = opening.await.unwrap();
            *self = Self::Open(Box::new(stream));
        }
        let Self::Open(stream) = self else { unreachable!() };
        stream
    }

    async fn send(&mut self, message: Message) {
        // Who was refused early does not read on.
        let _ = self.open().await.send(message).await;
    }
}

#[tonic::async_trait]
impl Conversation for Talk {
    async fn send(&mut self, message: &Value) {
        let frame = match self.codec {
            Codec::Json => Message::text(message.to_string()),
            Codec::Proto => Message::binary(self.codec.encode(&self.method, message)),
        };
        self.socket.send(frame).await;
    }

    async fn close(&mut self) {
        self.socket.send(Message::text("")).await;
    }

    async fn next(&mut self) -> Event {
        loop {
            let Some(Ok(frame)) = self.socket.open().await.next().await else {
                return Event::End(Told::broken());
            };
            match frame {
                Message::Text(text) if text.is_empty() => self.is_at_end = true,
                Message::Text(text) if self.is_at_end => {
                    let end: Value = serde_json::from_str(&text).unwrap();
                    self.told = Some(status(&end["status"]));
                }
                Message::Text(text) => {
                    assert!(self.codec == Codec::Json, "a text frame: {text}");
                    return Event::Message(serde_json::from_str(&text).unwrap());
                }
                Message::Binary(bytes) => {
                    assert!(self.codec == Codec::Proto && !self.is_at_end, "a binary frame");
                    return Event::Message(self.codec.decode(&self.method, &bytes));
                }
                Message::Close(Some(close)) => {
                    let told = match u16::from(close.code) {
                        1000 => Told::of(0, ""),
                        1009 => Told::of(8, &close.reason),
                        code @ 4001..4017 => Told::of(i64::from(code) - 4000, &close.reason),
                        code => panic!("closed with {code}: {}", close.reason),
                    };
                    if let Some(before) = &self.told {
                        assert_eq!(told.code, before.code, "the close frame says otherwise");
                    }
                    return Event::End(told);
                }
                Message::Close(None) => return Event::End(Told::broken()),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

fn status(status: &Value) -> Told {
    Told::of(status["code"].as_i64().unwrap_or(0), status["message"].as_str().unwrap_or_default())
}
