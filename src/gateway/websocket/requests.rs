//! A caller's frames → request messages: path and query are bound into each, as in REST.

use std::sync::Arc;

use bytes::Bytes;
use http::request;

use super::super::{call::Call, rest};
use crate::{
    protocol::websocket::Form,
    routing::Route,
    schema::BodyRule,
    status::{Cause, Refusal},
    transcoding::RequestBody,
};

/// What a method is told by frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing: path and query are its message.
    Nothing,
    /// One message.
    One,
    /// As many as there are.
    Stream,
}

pub(super) struct Requests {
    call: Arc<Call>,
    head: request::Parts,
    takes: Takes,
    /// The message of path and query, if no frame has a part in it.
    first: Option<Bytes>,
    taken: usize,
    is_ended: bool,
}

impl Requests {
    /// Refuses a path and a query that cannot be bound: before the upgrade, so that the caller
    /// gets a real answer.
    pub(super) fn new(call: Arc<Call>, head: request::Parts) -> Result<Self, Refusal> {
        let route = call.route().ok_or_else(rest::no_route)?;
        let has_body = route.binding.body != BodyRule::None;
        let takes = match call.method().client_streaming {
            true => Takes::Stream,
            false if has_body => Takes::One,
            false => Takes::Nothing,
        };
        let bound = rest::bind_message(&call, route, &head, &[], None)?;
        let first = (takes == Takes::Nothing).then_some(bound);
        Ok(Self { head, takes, first, taken: 0, is_ended: false, call })
    }

    pub(super) fn takes(&self) -> Takes {
        self.takes
    }

    /// The message that is complete from the beginning.
    pub(super) fn first(&mut self) -> Option<Bytes> {
        self.first.take()
    }

    /// Reads a message into its envelope.
    pub(super) fn read(&mut self, form: Form, frame: &[u8]) -> Result<Bytes, Refusal> {
        let count = |message: &'static str| Err(Refusal::new(Cause::MessageCount, message));
        if self.is_ended {
            let message = "a message came behind the end of the messages";
            return Err(Refusal::new(Cause::Malformed, message));
        }
        match self.takes {
            Takes::Nothing => {
                return count("this method takes no message: path and query are its request");
            }
            Takes::One if self.taken > 0 => return count("this method takes one message, not 2"),
            Takes::One | Takes::Stream => {}
        }
        let route = self.call.route().ok_or_else(rest::no_route)?;
        let place = (self.takes == Takes::Stream).then_some(self.taken);
        let message = match form {
            Form::Binary => {
                let limit = self.call.shared.limits.message_limit_bytes;
                if frame.len() > limit {
                    return Err(rest::message_too_large(frame.len(), limit));
                }
                rest::bind(&self.call, route, &self.head, RequestBody::Wire(frame), place)?
            }
            Form::Text => self.read_json(route, frame, place)?,
        };
        self.taken += 1;
        Ok(message)
    }

    fn read_json(
        &self,
        route: &Route,
        json: &[u8],
        place: Option<usize>,
    ) -> Result<Bytes, Refusal> {
        let limit = self.call.shared.limits.body_limit_bytes;
        if json.len() > limit {
            let message = format!("the message is over the limit of {limit} bytes");
            return Err(Refusal::new(Cause::RequestTooLarge, message));
        }
        if json.trim_ascii().is_empty() {
            return Err(Refusal::new(Cause::Malformed, "the message is blank: expected JSON"));
        }
        // A GET has no body to take messages from; a WebSocket has nothing but them.
        if route.binding.body == BodyRule::None {
            return rest::bind(&self.call, route, &self.head, RequestBody::Part(json), place);
        }
        rest::bind_message(&self.call, route, &self.head, json, place)
    }

    /// The caller has no more messages. To say so again, or of one message, is no mistake.
    pub(super) fn end(&mut self) -> Result<(), Refusal> {
        if self.takes == Takes::One && self.taken == 0 {
            let message = "this method takes one message, not 0";
            return Err(Refusal::new(Cause::MessageCount, message));
        }
        self.is_ended = true;
        Ok(())
    }
}
