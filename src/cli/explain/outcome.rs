//! What becomes of a request: the gateway's own answer, and the messages that an upstream would
//! have got.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::runtime::Runtime;

use super::{
    super::{
        Error,
        schema::{SchemaOptions, cannot_be_served},
    },
    recorder::Recorder,
    request::Described,
};
use crate::{
    Gateway,
    config::Pages,
    protocol::sse,
    routing::{Found, RouteTable},
    transcoding::{Transcoder, WriteOptions},
};

/// Explains requests to one set of services.
pub(super) struct Explainer {
    runtime: Runtime,
    gateway: Gateway,
    recorder: Recorder,
    pages: Pages,
    pub(super) table: Arc<RouteTable>,
    /// By schema.
    transcoders: Vec<Transcoder>,
}

/// What became of a request.
pub(super) struct Outcome {
    /// None where the gateway is not asked.
    pub(super) http_status: Option<StatusCode>,
    /// The methods that the path has, where the answer tells them.
    pub(super) allow: Option<Vec<String>>,
    pub(super) matched: Option<Matched>,
    pub(super) ending: Ending,
}

/// The route that a request is for.
pub(super) struct Matched {
    pub(super) route: usize,
    pub(super) template: String,
    /// `pkg.Service/Method`.
    pub(super) method: String,
    pub(super) is_client_stream: bool,
}

pub(super) enum Ending {
    /// The upstream would be asked with these messages.
    Served(Vec<Bytes>),
    /// Answered by the gateway alone, without a call.
    Alone,
    /// Answered by the gateway alone: the caller says that the stream it had has ended.
    FinishedStream,
    /// In front of the gateway.
    Page(&'static str),
    /// A `google.rpc.Status`.
    Refused(serde_json::Value),
}

impl Explainer {
    pub(super) fn new(options: &SchemaOptions) -> Result<Self, Error> {
        let config = options.config()?;
        let loaded = options.load(&config)?;
        // With every problem, those that kept a schema from being built among them.
        loaded.table()?;
        let recorder = Recorder::default();
        let mut builder = Gateway::builder().limits(config.limits).deadlines(config.deadlines);
        let mut transcoders = Vec::with_capacity(loaded.schemas.len());
        for schema in loaded.schemas {
            let transcoder = Transcoder::new(Arc::clone(&schema));
            transcoders.push(transcoder.map_err(|problems| cannot_be_served(&problems))?);
            builder = builder.schema(schema, recorder.upstream());
        }
        let gateway = builder.build().map_err(|problems| cannot_be_served(&problems))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| Error::Config(error.to_string()))?;
        let (table, pages) = (gateway.route_table(), config.pages);
        Ok(Self { runtime, gateway, recorder, pages, table, transcoders })
    }

    /// Sends the request.
    pub(super) fn explain(&self, request: &Described) -> Outcome {
        if let Some(key) = self.pages.page_at(request.uri.path()) {
            let ending = Ending::Page(key);
            return Outcome { http_status: None, allow: None, matched: None, ending };
        }
        let (http_status, headers, body) = self.runtime.block_on(async {
            let (head, body) = self.gateway.answer(request.to_request()).await.into_parts();
            // A stream is not read: that it began is enough.
            let is_refused = !head.status.is_success();
            let body = if is_refused { body.collect().await.ok() } else { None };
            (head.status, head.headers, body.map(|body| body.to_bytes()).unwrap_or_default())
        });
        let call = self.recorder.take();
        let route = match self.table.find(&request.method, request.uri.path()) {
            Ok(Found::Route(number)) => Some(number),
            _ => None,
        };
        let mut outcome = Outcome {
            http_status: Some(http_status),
            allow: allow(&headers),
            matched: route.map(|number| self.matched(number)),
            ending: Ending::Alone,
        };
        if call.is_complete {
            // What was wrong after that is wrong with the recorder's answer, which is no answer.
            outcome.http_status = Some(StatusCode::OK);
            outcome.ending = Ending::Served(call.messages);
        } else if !http_status.is_success() {
            outcome.ending = Ending::Refused(status_of(&body));
        } else if outcome.matched.is_some() && is_finished_stream(&request.headers) {
            outcome.ending = Ending::FinishedStream;
        } else {
            // Answered from the table: no route was taken.
            outcome.matched = None;
        }
        outcome
    }

    fn matched(&self, number: usize) -> Matched {
        let route = &self.table.routes()[number];
        let method = self.table.method(route.method);
        Matched {
            route: number,
            template: route.binding.template.clone(),
            method: method.full_name().to_owned(),
            is_client_stream: method.client_streaming,
        }
    }

    /// A request message as ProtoJSON.
    pub(super) fn json(&self, matched: &Matched, message: &[u8], pretty: bool) -> String {
        let route = &self.table.routes()[matched.route];
        let (mut json, options) = (Vec::new(), WriteOptions { pretty, ..WriteOptions::default() });
        let input = self.table.method(route.method).input;
        let transcoder = &self.transcoders[route.method.schema];
        match transcoder.wire_to_json(input, message, &options, &mut json) {
            Ok(()) => String::from_utf8_lossy(&json).into_owned(),
            // Extensions of a message set, and what else JSON has no form for.
            Err(error) => json!({ "error": error.to_string() }).to_string(),
        }
    }
}

impl Outcome {
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.ending, Ending::Refused(_))
    }
}

/// What an `EventSource` sends that reconnects behind the end of its stream.
fn is_finished_stream(headers: &HeaderMap) -> bool {
    headers.get(sse::LAST_EVENT_ID).is_some_and(|id| id == sse::END_ID)
}

/// The list in `Allow`.
fn allow(headers: &HeaderMap) -> Option<Vec<String>> {
    let allow = headers.get(header::ALLOW)?.to_str().ok()?;
    Some(allow.split(',').map(|method| method.trim().to_owned()).collect())
}

/// The `google.rpc.Status` that a refusal has, in whichever form it was asked for.
fn status_of(body: &[u8]) -> serde_json::Value {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |name: &str| body.get(name).cloned().unwrap_or_default();
    json!({ "code": member("code"), "message": member("message"), "details": member("details") })
}
