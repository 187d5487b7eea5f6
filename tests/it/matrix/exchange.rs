//! A conversation that is one HTTP request and its answer, in memory.

use std::{convert::Infallible, future::Future, pin::Pin};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, request, response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tower::ServiceExt as _;
use transom::Gateway;

use super::callers::{Conversation, Event, Told};
use crate::support::app;

/// What a protocol makes of HTTP.
pub(super) trait Form: Send {
    fn encode(&mut self, message: &Value) -> Bytes;

    /// What follows the last message.
    fn close(&mut self) -> Bytes {
        Bytes::new()
    }

    /// Takes in a part of the body.
    fn read(&mut self, head: &response::Parts, data: &[u8]);

    /// The next whole message of what was read.
    fn message(&mut self) -> Option<Value>;

    /// The end, when the body has ended: well, or broken off.
    fn end(&mut self, head: &response::Parts, trailers: &HeaderMap, is_broken: bool) -> Told;
}

pub(super) struct Exchange<F> {
    form: F,
    sender: Option<UnboundedSender<Bytes>>,
    answer: Answer,
    trailers: HeaderMap,
}

enum Answer {
    Awaited(Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>),
    Here(Box<response::Parts>, Body),
}

impl<F: Form> Exchange<F> {
    pub(super) fn begin(gateway: &Gateway, request: request::Builder, form: F) -> Self {
        let (sender, receiver) = unbounded_channel();
        let pieces = stream::unfold(receiver, |mut receiver| async move {
            let piece: Bytes = receiver.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(piece)), receiver))
        });
        let request: Request<Body> = request.body(Body::new(StreamBody::new(pieces))).unwrap();
        let answer = Answer::Awaited(Box::pin(app(gateway).oneshot(request)));
        Self { form, sender: Some(sender), answer, trailers: HeaderMap::new() }
    }

    fn put(&self, piece: Bytes) {
        if let Some(sender) = self.sender.as_ref().filter(|_| !piece.is_empty()) {
            // Who was refused early does not read on.
            let _ = sender.send(piece);
        }
    }
}

#[tonic::async_trait]
impl<F: Form> Conversation for Exchange<F> {
    async fn send(&mut self, message: &Value) {
        let piece = self.form.encode(message);
        self.put(piece);
    }

    async fn close(&mut self) {
        let piece = self.form.close();
        self.put(piece);
        self.sender = None;
    }

    async fn next(&mut self) -> Event {
        if let Answer::Awaited(answer) = &mut self.answer {
            let Ok(response) = answer.await;
            let (head, body) = response.into_parts();
            self.answer = Answer::Here(Box::new(head), body);
        }
        let Answer::Here(head, body) = &mut self.answer else { unreachable!() };
        loop {
            if let Some(message) = self.form.message() {
                return Event::Message(message);
            }
            let is_broken = match body.frame().await {
                Some(Ok(frame)) => {
                    match frame.into_data() {
                        Ok(data) => self.form.read(head, &data),
                        Err(frame) => self.trailers.extend(frame.into_trailers().unwrap()),
                    }
                    continue;
                }
                Some(Err(_)) => true,
                None => false,
            };
            return Event::End(self.form.end(head, &self.trailers, is_broken));
        }
    }
}
