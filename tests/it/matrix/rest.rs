//! REST: JSON in an array, as lines, or as server-sent events.

use bytes::Bytes;
use http::{HeaderMap, Version, response};
use serde_json::Value;
use transom::Gateway;

use super::{
    Call, TIMEOUT,
    callers::{Caller, Conversation, Told},
    exchange::{Exchange, Form},
};
use crate::support::request;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Rest {
    /// An array each way; one object where there is no stream.
    Json,
    Events,
    Lines,
}

impl Caller for Rest {
    fn name(&self) -> &'static str {
        match self {
            Self::Json => "REST JSON",
            Self::Events => "REST events",
            Self::Lines => "REST lines",
        }
    }

    fn call(&self, gateway: &Gateway, call: &Call) -> Box<dyn Conversation> {
        let sends_stream = matches!(call.kind.as_str(), "client" | "bidi");
        let answers_stream = matches!(call.kind.as_str(), "server" | "bidi");
        let accept = match self {
            _ if !answers_stream => "application/json",
            Self::Json => "application/json",
            Self::Events => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        };
        let content_type = match (self, sends_stream) {
            (Self::Json, _) | (_, false) => "application/json",
            _ => "application/x-ndjson",
        };
        let mut request = request(&format!("POST /inventory.v1.Inventory/{}", call.method))
            .version(Version::HTTP_2)
            .header("accept", accept)
            .header("content-type", content_type);
        if call.ending == "deadline" {
            request = request.header("x-server-timeout", TIMEOUT.as_secs());
        }
        let form = RestForm {
            rest: *self,
            sends_stream,
            answers_stream,
            sent: 0,
            unread: String::new(),
            end: None,
        };
        Box::new(Exchange::begin(gateway, request, form))
    }
}

struct RestForm {
    rest: Rest,
    sends_stream: bool,
    answers_stream: bool,
    sent: usize,
    unread: String,
    end: Option<Told>,
}

impl RestForm {
    /// The JSON value at the beginning of what is unread.
    fn value(&mut self) -> Option<Value> {
        let mut values = serde_json::Deserializer::from_str(&self.unread).into_iter();
        let value = values.next()?.ok()?;
        let read = values.byte_offset();
        self.unread.drain(..read);
        Some(value)
    }

    fn event(&mut self) -> Option<Value> {
        loop {
            let event: String = self.unread.split_once("\n\n")?.0.to_owned();
            self.unread.drain(..event.len() + 2);
            let field = |name: &str| {
                let mut lines = event.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            let Some(data) = field("data") else { continue };
            let data = serde_json::from_str(data).unwrap();
            match field("event") {
                None => return Some(data),
                Some("end") => self.end = Some(Told::of(0, "")),
                Some(_) => self.end = Some(status(&data)),
            }
        }
    }
}

fn status(value: &Value) -> Told {
    Told::of(value["code"].as_i64().unwrap(), value["message"].as_str().unwrap())
}

impl Form for RestForm {
    fn encode(&mut self, message: &Value) -> Bytes {
        let separator = match (self.rest, self.sends_stream, self.sent) {
            (Rest::Json, true, 0) => "[",
            (Rest::Json, true, _) => ",",
            _ => "",
        };
        self.sent += 1;
        let line = if self.sends_stream && self.rest != Rest::Json { "\n" } else { "" };
        format!("{separator}{message}{line}").into()
    }

    fn close(&mut self) -> Bytes {
        if self.sends_stream && self.rest == Rest::Json { "]".into() } else { Bytes::new() }
    }

    fn read(&mut self, _: &response::Parts, data: &[u8]) {
        self.unread.push_str(std::str::from_utf8(data).unwrap());
    }

    fn message(&mut self) -> Option<Value> {
        if self.end.is_some() || self.unread.starts_with("{\"code\":") {
            return None;
        }
        match (self.rest, self.answers_stream) {
            (_, false) => self.value(),
            (Rest::Json, true) => {
                let unread = self.unread.trim_start_matches(['[', ',']).to_owned();
                self.unread = unread;
                self.value()
            }
            (Rest::Events, true) => self.event(),
            (Rest::Lines, true) => {
                let line = self.value()?;
                if let Some(error) = line.get("error") {
                    self.end = Some(status(error));
                    return None;
                }
                Some(line)
            }
        }
    }

    fn end(&mut self, head: &response::Parts, _: &HeaderMap, is_broken: bool) -> Told {
        if is_broken {
            return Told::broken();
        }
        if let Some(told) = self.end.take() {
            return told;
        }
        if head.status == 200 {
            // Lines end with the body; an array has to be closed, events end with one.
            let is_whole = match (self.rest, self.answers_stream) {
                (Rest::Json, true) => self.unread == "]",
                (Rest::Events, true) => false,
                _ => self.unread.trim().is_empty(),
            };
            return if is_whole { Told::of(0, "") } else { Told::broken() };
        }
        let value: Value = serde_json::from_str(&self.unread).unwrap();
        // The HTTP status of a refusal may be another than its code's; an error it is always.
        assert!(head.status.as_u16() >= 400, "{}", self.unread);
        status(&value)
    }
}
