//! A call over a WebSocket: found by its path alone, refused as plain HTTP while it can be.
//!
//! Once upgraded, the call is a task of its own beside its connection: a [`Session`] that binds
//! the caller's messages, and sends it those of the upstream.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Method as Verb, Response, StatusCode, header, request};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

mod request_queue;
mod requests;
mod session;
mod socket;

use self::{requests::Requests, session::Session, socket::Socket};
use super::{ReplyBody, Table, Target, call::Call, guard::StreamGuard, rest, verbs};
use crate::{
    protocol::{
        json_dialect,
        websocket::{self, Handshake},
    },
    routing::Found,
    status::{Cause, Refusal},
};

/// The route of a WebSocket, which is always asked for by GET: a rule for GET, or else the only
/// one that the path has.
pub(super) fn find(table: &Table, head: &request::Parts) -> Result<Target, Refusal> {
    if head.method != Verb::GET {
        return Err(verbs::wrong_method(&["GET".to_owned()].into(), &head.method));
    }
    let path = head.uri.path();
    let route = match table.routes.find(&Verb::GET, path) {
        Ok(Found::Route(number)) => number,
        Ok(Found::OtherMethods(verbs)) => {
            let find = |verb: &String| {
                let verb = Verb::from_bytes(verb.as_bytes()).ok()?;
                match table.routes.find(&verb, path) {
                    Ok(Found::Route(number)) => Some(number),
                    _ => None,
                }
            };
            let mut routes: Vec<_> = verbs.iter().filter_map(find).collect();
            routes.dedup();
            let [number] = routes[..] else {
                let message = "the path has several routes, and none of them is for GET";
                return Err(Refusal::new(Cause::Malformed, message));
            };
            number
        }
        Ok(Found::Nothing) => {
            return Err(table.unknown(Cause::UnknownPath, format!("no route for {path}")));
        }
        Err(error) => {
            return Err(Refusal::new(Cause::Malformed, format!("malformed path: {error}")));
        }
    };
    Ok(Target { method: table.route(route).method, route: Some(route) })
}

/// Answers the handshake, and leaves the call to a task.
pub(super) fn call(
    mut call: Call,
    mut head: request::Parts,
    body: &Body,
) -> Result<Response<ReplyBody>, Refusal> {
    let handshake = Handshake::read(&head.headers)?;
    check_origin(&call, &head)?;
    // Its bytes would be taken for frames, by whoever is in front or behind.
    if !body.is_end_stream() {
        let message = "a handshake of a WebSocket has no body";
        return Err(Refusal::new(Cause::Malformed, message));
    }
    call.write = json_dialect::write_options(&head.headers, "application/json")?;
    call.write.output_limit_bytes = call.shared.limits.json_limit_bytes;
    if let Some(pretty) = rest::pretty_print(&head)? {
        call.write.pretty = pretty;
    }
    let Some(upgrade) = head.extensions.remove::<OnUpgrade>() else {
        return Err(Refusal::new(Cause::NotServed, "this server has no WebSockets"));
    };
    let call = Arc::new(call);
    let guard = StreamGuard::new(&call)?;
    let requests = Requests::new(Arc::clone(&call), head)?;

    let accept = derive_accept_key(handshake.key.as_bytes());
    let accept = HeaderValue::try_from(accept)
        .map_err(|_| Refusal::new(Cause::Internal, "the key has no answer"))?;
    let mut response = Response::new(ReplyBody::none());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(name) = handshake.subprotocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    tokio::spawn(async move {
        // A caller that has gone meanwhile has no call.
        let Ok(upgraded) = upgrade.await else { return };
        let socket = Socket::new(upgraded, &call.shared.limits, &call.shared.deadlines).await;
        Session::new(call, socket, requests, guard, handshake.form).run().await;
    });
    Ok(response)
}

/// Refuses pages of other origins: a browser lets them open a WebSocket to anybody, with the
/// cookies and the network of its user. Who is no browser says no origin.
fn check_origin(call: &Call, head: &request::Parts) -> Result<(), Refusal> {
    let mut origins = head.headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let host = head.headers.get(header::HOST).map(HeaderValue::as_bytes);
    let host = host.or_else(|| head.uri.authority().map(|authority| authority.as_str().as_bytes()));
    let is_allowed = websocket::is_same_origin(origin, host.unwrap_or_default())
        || call.shared.cors.allows(origin);
    if is_allowed && origins.next().is_none() {
        return Ok(());
    }
    let message = "pages of this origin may not open a WebSocket here";
    Err(Refusal::new(Cause::UnknownOrigin, message))
}
