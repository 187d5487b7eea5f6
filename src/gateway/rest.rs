//! The request half of REST: path, query and body become one framed message.

use std::borrow::Cow;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header, request};

use super::{call::Call, collect::collect, upload};
use crate::{
    config::Limits,
    protocol::{
        accept, envelope, json_dialect,
        refusal::PROBLEM_JSON,
        rest::{self, BodyMedia},
        sse,
    },
    routing::{
        Route,
        percent_encoding::{self, Slashes},
    },
    schema::{BodyRule, FieldPath},
    status::{Cause, FieldViolation, Refusal},
    transcoding::{QueryParameter, ReadOptions, RequestBody, RestRequest},
};

/// Whatever is configured: each level takes stack, and a stack that is used up takes the process.
const JSON_DEPTH_CEILING: usize = 200;

/// Refuses a caller that takes none of `media`.
pub(super) fn check_accept(headers: &HeaderMap, media: &str) -> Result<(), Refusal> {
    // Who names problems only says how to be told of one.
    if accept::accepts(headers, media) || accept::names(headers, PROBLEM_JSON) {
        return Ok(());
    }
    Err(Refusal::new(Cause::NotAcceptable, format!("this method answers {media}")))
}

/// Says that the answer is of the caller's `Accept`.
pub(super) fn put_vary(headers: &mut HeaderMap) {
    // The upstream may have reasons of its own.
    headers.append(header::VARY, HeaderValue::from_static("accept"));
}

/// A REST call without a route cannot be: the table found one.
pub(super) fn no_route() -> Refusal {
    Refusal::new(Cause::UnknownPath, "no route")
}

/// Whether the query asks for indented JSON; None where it does not say.
pub(super) fn pretty_print(head: &request::Parts) -> Result<Option<bool>, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    if !query.contains("prettyPrint") {
        return Ok(None);
    }
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut said = pairs.filter(|(name, _)| is_pretty_print(name));
    let Some((name, value)) = said.next() else { return Ok(None) };
    let refuse = |violation| Refusal::bad_request(vec![violation]);
    if said.next().is_some() {
        return Err(refuse(rest::parameter_violation(name, "is given more than once")));
    }
    json_dialect::pretty_print(value).map(Some).map_err(refuse)
}

fn is_pretty_print(name: &str) -> bool {
    name.contains("prettyPrint")
        && percent_encoding::decode_query(name).is_ok_and(|name| name == json_dialect::PRETTY_PRINT)
}

/// Reads the request into the envelope of its one message.
pub(super) async fn read_message(
    call: &Call,
    route: &Route,
    head: &request::Parts,
    body: Body,
) -> Result<Bytes, Refusal> {
    if let Some(place) = call.raw_request() {
        return upload::read_message(call, route, place, head, body).await;
    }
    let limits = &call.shared.limits;
    rest::check_encoding(&head.headers)?;
    let json = collect(body, limits.body_limit_bytes, &call.shared.deadlines).await?;
    // Where there is to be no body, one of the right type is no better.
    if !json.is_empty() && route.binding.body != BodyRule::None {
        BodyMedia::Json.check(&head.method, &head.headers)?;
    }
    bind_message(call, route, head, &json, None)
}

/// Binds path, query and one JSON text into an envelope; of a stream, the message's place in it.
pub(super) fn bind_message(
    call: &Call,
    route: &Route,
    head: &request::Parts,
    json: &[u8],
    place: Option<usize>,
) -> Result<Bytes, Refusal> {
    let body = match (&route.binding.body, &route.body_field) {
        (BodyRule::None, _) if json.trim_ascii().is_empty() => RequestBody::None,
        (BodyRule::None, _) => {
            let message = "this method takes no body: its fields go into the path and the query";
            return Err(Refusal::new(Cause::Malformed, message));
        }
        (BodyRule::Field(_), Some(field)) => RequestBody::Field(field, json),
        _ => RequestBody::Message(json),
    };
    bind(call, route, head, body, place)
}

/// Binds path, query and a body into an envelope.
pub(super) fn bind(
    call: &Call,
    route: &Route,
    head: &request::Parts,
    body: RequestBody<'_>,
    place: Option<usize>,
) -> Result<Bytes, Refusal> {
    let limits = &call.shared.limits;
    let mut violations = Vec::new();
    let path = path_fields(route, head.uri.path(), &mut violations);
    let query = query_parameters(call, head, &mut violations)?;
    let resume = resume(call, &head.headers);
    let resume = resume.as_ref().map(|(field, id)| (field, *id));
    let (input, mask) = (call.method().input, route.mask_field.as_ref());
    let request = RestRequest { input, path: &path, query: &query, body, mask, resume };
    let options = ReadOptions { depth_limit: json_depth_limit(limits), ..ReadOptions::default() };
    let mut message = envelope::begin(request.size_hint());
    if let Err(found) = call.transcoder().bind(&request, &options, &mut message) {
        violations.extend(found);
    }
    if !violations.is_empty() {
        if let Some(place) = place {
            violations.iter_mut().for_each(|violation| put_place(place, violation));
        }
        return Err(Refusal::bad_request(violations));
    }
    finish_message(call, message)
}

/// How deep the JSON of a request may nest.
pub(super) fn json_depth_limit(limits: &Limits) -> usize {
    limits.json_depth_limit.min(JSON_DEPTH_CEILING)
}

/// Completes the envelope of a message that is not too large.
pub(super) fn finish_message(call: &Call, message: Vec<u8>) -> Result<Bytes, Refusal> {
    let limit = call.shared.limits.message_limit_bytes;
    let length = message.len() - envelope::HEADER_BYTES;
    if length > limit {
        return Err(message_too_large(length, limit));
    }
    envelope::finish(0, message)
        .ok_or_else(|| Refusal::new(Cause::RequestTooLarge, "the message is over 4 GiB"))
}

pub(super) fn message_too_large(length: usize, limit: usize) -> Refusal {
    let error = format!("the message of {length} bytes is over the limit of {limit}");
    Refusal::new(Cause::RequestTooLarge, error)
}

/// Says which message of a stream is meant: `[2].email`.
pub(super) fn put_place(place: usize, violation: &mut FieldViolation) {
    let separator = if violation.field.is_empty() { "" } else { "." };
    violation.field = format!("[{place}]{separator}{}", violation.field);
}

fn path_fields<'r>(
    route: &'r Route,
    path: &'r str,
    violations: &mut Vec<FieldViolation>,
) -> Vec<(&'r FieldPath, Cow<'r, str>)> {
    let mut fields = Vec::with_capacity(route.variables.len());
    let variables = route.variables.iter().zip(&route.template.variables);
    for ((field, variable), text) in variables.zip(route.captures(path)) {
        match text {
            // A `%2F` that was decoded has made segments that nobody has looked at yet.
            Ok(text) if route.slashes == Slashes::Decode && has_dots(&text) => {
                let description = "a segment of it is empty, or dots".to_owned();
                violations.push(rest::parameter_violation(&variable.field_path, description));
            }
            Ok(text) => fields.push((field, text)),
            Err(error) => {
                violations.push(rest::parameter_violation(&variable.field_path, error.to_string()));
            }
        }
    }
    fields
}

fn has_dots(text: &str) -> bool {
    text.contains('/') && text.split('/').any(|segment| matches!(segment, "" | "." | ".."))
}

/// `Last-Event-ID`, and the request field that takes it. A reconnect repeats the request it began
/// with; how far it came is newer.
fn resume<'h>(call: &Call, headers: &'h HeaderMap) -> Option<(FieldPath, &'h str)> {
    let field = call.method().sse.as_ref()?.resume_field.as_deref()?;
    let last_event_id = headers.get(sse::LAST_EVENT_ID)?.to_str().ok()?;
    let field = FieldPath::resolve(call.transcoder().schema(), call.method().input, field).ok()?;
    Some((field, last_event_id))
}

/// The query's parameters, decoded.
fn query_parameters<'r>(
    call: &'r Call,
    head: &'r request::Parts,
    violations: &mut Vec<FieldViolation>,
) -> Result<Vec<QueryParameter<'r>>, Refusal> {
    let limit = call.shared.limits.query_parameter_limit;
    let mut parameters = Vec::new();
    let Some(query) = head.uri.query() else { return Ok(parameters) };
    for (name, value) in rest::query_pairs(query, limit)? {
        if is_pretty_print(name) {
            continue;
        }
        match (percent_encoding::decode_query(name), percent_encoding::decode_query(value)) {
            (Ok(name), Ok(value)) => parameters.push(QueryParameter { name, value }),
            (Err(error), _) | (_, Err(error)) => {
                violations.push(rest::parameter_violation(name, error.to_string()));
            }
        }
    }
    Ok(parameters)
}
