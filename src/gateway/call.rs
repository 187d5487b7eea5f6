//! One call: what was found out about it, for as long as it lasts.

use std::{net::SocketAddr, sync::Arc};

use http::{HeaderMap, HeaderValue, Method as Verb, Request, Version, header};

use super::{Deadline, Shared, Table, Target, reply::UpstreamReply};
use crate::{
    protocol::{Protocol, http_body::Place, timeout},
    routing::Route,
    schema::Method,
    status::{Cause, Refusal},
    transcoding::{Transcoder, WireError, WireFault, WriteOptions},
    upstream::RequestBody,
};

pub(super) struct Call {
    pub(super) shared: Arc<Shared>,
    pub(super) table: Arc<Table>,
    pub(super) target: Target,
    pub(super) protocol: Protocol,
    pub(super) deadline: Deadline,
    /// What goes on to the upstream.
    pub(super) metadata: HeaderMap,
    /// The JSON that a REST caller asked for.
    pub(super) write: WriteOptions,
    /// Where the caller is, if the server tells: for services in this process.
    pub(super) caller_address: Option<SocketAddr>,
}

impl Call {
    pub(super) fn method(&self) -> &Method {
        self.table.routes.method(self.target.method)
    }

    pub(super) fn route(&self) -> Option<&Route> {
        self.target.route.map(|number| self.table.route(number))
    }

    pub(super) fn transcoder(&self) -> &Transcoder {
        self.table.transcoder(self.target)
    }

    /// Where the HTTP body of a REST request goes as it is; None where it is JSON.
    pub(super) fn raw_request(&self) -> Option<Place> {
        let route = self.route()?;
        let (schema, input) = (self.transcoder().schema(), self.method().input);
        Place::in_request(schema, input, &route.binding.body, route.body_field.as_ref())
    }

    /// Where the HTTP body of a REST answer comes from as it is; None where it is JSON.
    pub(super) fn raw_response(&self) -> Option<Place> {
        let field = self.route()?.response_field.as_ref();
        Place::in_response(self.transcoder().schema(), self.method().output, field)
    }

    /// Asks the upstream.
    pub(super) fn start(&self, body: RequestBody) -> UpstreamReply {
        self.start_with(self.metadata.clone(), body)
    }

    /// The same, with metadata that the call has no more use for.
    pub(super) fn start_with(&self, metadata: HeaderMap, body: RequestBody) -> UpstreamReply {
        let mut request = Request::new(body);
        *request.method_mut() = Verb::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.method().uri.clone();
        let headers = request.headers_mut();
        *headers = metadata;
        // What differs from call to call is not worth a place in HPACK's table: it would push
        // out what does not.
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if let Some(remaining) = self.deadline.remaining() {
            let mut timeout = timeout::grpc_value(remaining);
            timeout.set_sensitive(true);
            headers.insert(timeout::GRPC_TIMEOUT, timeout);
        }
        if let Some(address) = self.caller_address {
            request.extensions_mut().insert(address);
        }
        let upstream = &self.table.served[self.target.method.schema].upstream;
        UpstreamReply::new(upstream.ask(request), self.deadline)
    }

    /// Appends a response message as the JSON its route asks for.
    pub(super) fn message_to_json(&self, wire: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let output = self.method().output;
        let options = &self.write;
        let transcoder = self.transcoder();
        match self.route().and_then(|route| route.response_field.as_ref()) {
            Some(field) => transcoder.field_to_json(output, field, wire, options, out),
            None => transcoder.wire_to_json(output, wire, options, out),
        }
        .map_err(|error| unreadable(self.method(), &error))
    }
}

/// The refusal of an upstream's message that does not become JSON.
pub(super) fn unreadable(method: &Method, error: &WireError) -> Refusal {
    tracing::warn!(method = method.full_name(), %error, "unreadable response");
    match error.kind {
        WireFault::TooLarge => {
            let text = "the upstream's message is too large as JSON";
            Refusal::new(Cause::UpstreamMessageTooLarge, text)
        }
        WireFault::NoForm => {
            let text = "the upstream's message holds what JSON has no form for";
            Refusal::new(Cause::UpstreamFraming, text)
        }
        WireFault::Malformed => {
            Refusal::new(Cause::UpstreamFraming, "the upstream's message cannot be read")
        }
    }
}
