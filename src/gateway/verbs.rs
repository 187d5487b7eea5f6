//! Which HTTP methods a path has: what `OPTIONS` is answered, and what 405 tells.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue, Method as Verb, Response, StatusCode, header};

use super::{ReplyBody, Table};
use crate::{
    protocol::{
        http_body::Place,
        rest::{self, BodyMedia},
    },
    routing::{Found, Route, RouteTable},
    schema::{BodyRule, HttpMethod},
    status::{Cause, Refusal},
};

/// The methods that a rule for every method has; `HEAD` follows `GET`.
const USUAL: [Verb; 6] = [Verb::DELETE, Verb::GET, Verb::HEAD, Verb::PATCH, Verb::POST, Verb::PUT];

/// The target of an `OPTIONS` that asks for no path: RFC 9110, 9.3.7.
pub(super) const EVERYWHERE: &str = "*";

/// Whether a rule is for any method whatever: then `OPTIONS` is not among those it is meant for.
pub(super) fn is_for_any(route: &Route) -> bool {
    route.binding.method == HttpMethod::Any
}

/// What `OPTIONS` is answered: the methods of a path, and the types that a body may have.
pub(super) fn options(table: &Table, path: &str) -> Response<ReplyBody> {
    let mut allow = BTreeSet::from([Verb::OPTIONS.to_string()]);
    let mut response = Response::new(ReplyBody::none());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if path == EVERYWHERE {
        allow.extend(USUAL.map(|verb| verb.to_string()));
    }
    for verb in USUAL.iter().chain(table.routes.http_methods()) {
        let Ok(Found::Route(number)) = table.routes.find(verb, path) else { continue };
        // One that a rule for any method takes too says nothing of this path.
        if is_for_any(table.route(number)) && !USUAL.contains(verb) {
            continue;
        }
        if matches!(*verb, Verb::POST | Verb::PATCH)
            && let Some(media) = body_media(&table.routes, table.route(number))
        {
            response.headers_mut().insert(rest::accepted_by(verb), media.list());
        }
        allow.insert(verb.to_string());
    }
    response.headers_mut().extend(allow_header(&allow));
    response
}

/// The refusal of a method that a path does not have.
pub(super) fn wrong_method(allow: &BTreeSet<String>, found: &Verb) -> Refusal {
    let all: Vec<_> = allow.iter().map(String::as_str).collect();
    let message = format!("{found} is not served here: use {}", all.join(" or "));
    let refusal = Refusal::new(Cause::WrongMethod, message);
    match allow_header(allow) {
        Some((name, value)) => refusal.with_header(name, value),
        None => refusal,
    }
}

/// What a route's body may be; None where it takes none.
pub(super) fn body_media(table: &RouteTable, route: &Route) -> Option<BodyMedia> {
    let (schema, method) = (&table.schemas()[route.method.schema], table.method(route.method));
    let rule = &route.binding.body;
    match Place::in_request(schema, method.input, rule, route.body_field.as_ref()) {
        _ if *rule == BodyRule::None => None,
        Some(_) => Some(BodyMedia::Any),
        None if method.client_streaming => Some(BodyMedia::JsonStream),
        None => Some(BodyMedia::Json),
    }
}

fn allow_header(methods: &BTreeSet<String>) -> Option<(HeaderName, HeaderValue)> {
    let list: Vec<_> = methods.iter().map(String::as_str).collect();
    Some((header::ALLOW, HeaderValue::from_str(&list.join(", ")).ok()?))
}
