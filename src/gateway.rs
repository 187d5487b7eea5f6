//! The gateway: one request's journey, from the caller's bytes to the caller's bytes.
//!
//! [`Gateway`] is a tower service that mounts in any axum app. It detects the caller's protocol,
//! finds the method, and either transcodes JSON or passes message bytes on as they are (gRPC,
//! gRPC-Web and Connect in protobuf); a WebSocket may have both. Whatever fails on the way is one [`Refusal`], rendered in the
//! caller's own protocol.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method as Verb, Request, Response, Version, request};
use tokio_util::sync::CancellationToken;
use tower::Service;

mod admission;
mod body;
mod builder;
mod call;
mod collect;
mod connect;
mod deadline;
mod download;
mod ending;
mod grpc_web;
mod guard;
mod journey;
mod message_codec;
mod messages;
mod passthrough;
mod reply;
mod rest;
mod rest_stream;
mod rpc;
mod streaming;
mod unary;
mod upload;
mod verbs;
mod websocket;

pub use body::ReplyBody;
pub use builder::GatewayBuilder;
pub use journey::Answering;

use crate::{
    config::{Cors, Deadlines, Limits},
    protocol::{ConnectForm, Protocol, accept, metadata, refusal, timeout},
    routing::{Found, MethodId, Route, RouteTable},
    schema::Problems,
    status::{Cause, Refusal},
    transcoding::{Transcoder, WriteOptions},
    upstream::{BoxError, Upstream},
};
use admission::Admission;
use call::Call;
use deadline::Deadline;
use journey::{BoxedAnswer, journey, told};

/// Puts gRPC services on the web: REST/JSON, server-sent events, gRPC-Web and Connect.
///
/// Cheap to clone; every clone serves the same routes.
///
/// ```
/// # #[cfg(feature = "users")]
/// # fn app(bundle: transom::users::Bundle) {
/// use transom::{Gateway, users};
///
/// let gateway = Gateway::builder()
///     .service(users::DESCRIPTOR_SET, bundle.service())
///     .build()
///     .expect("the schema has no problems");
/// let app: axum::Router = axum::Router::new().fallback_service(gateway);
/// # }
/// ```
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    /// Swapped whole when the schema changes; calls in flight keep the one they began with.
    table: ArcSwap<Table>,
    limits: Limits,
    deadlines: Deadlines,
    /// Whose pages may open WebSockets; of what else they may do, their browsers ask.
    cors: Cors,
    calls: Admission,
    streams: Admission,
    /// Cancelled when open streams have to end.
    drain: CancellationToken,
}

/// Everything that is derived from the schemas.
struct Table {
    routes: Arc<RouteTable>,
    /// By schema.
    served: Vec<Served>,
    /// Whether more services are still to come.
    is_pending: bool,
}

struct Served {
    transcoder: Arc<Transcoder>,
    upstream: Upstream,
}

/// A method, and the route that led there if it was REST.
#[derive(Clone, Copy)]
struct Target {
    method: MethodId,
    route: Option<usize>,
}

impl Gateway {
    /// Starts with no services and safe limits.
    pub fn builder() -> GatewayBuilder {
        GatewayBuilder::default()
    }

    /// Ends every open stream with UNAVAILABLE, now; new ones end at once.
    pub fn end_streams(&self) {
        self.shared.drain.cancel();
    }

    /// Serves what `builder` describes from now on; calls in flight end as they began. Its limits
    /// are not taken over. On a problem everything stays as it is.
    pub fn replace(&self, builder: GatewayBuilder) -> Result<(), Problems> {
        self.shared.table.store(Arc::new(builder.table()?));
        Ok(())
    }

    /// Every route that is served now.
    pub fn route_table(&self) -> Arc<RouteTable> {
        Arc::clone(&self.shared.table.load().routes)
    }

    /// The descriptor sets of everything that is served.
    pub fn descriptor_sets(&self) -> Vec<Bytes> {
        let table = self.shared.table.load();
        table.routes.schemas().iter().map(|schema| schema.descriptor_set().clone()).collect()
    }

    /// The full names of the services that are served.
    pub fn services(&self) -> Vec<String> {
        let table = self.shared.table.load();
        let services = table.routes.schemas().iter().flat_map(|schema| schema.services());
        services.map(|service| service.name.clone()).collect()
    }

    /// How many REST routes are served.
    pub fn route_count(&self) -> usize {
        self.shared.table.load().routes.routes().len()
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Body>) -> Response<ReplyBody> {
        let Ok(response) = self.begin(request).await;
        response
    }

    fn begin(&self, request: Request<Body>) -> Answering {
        let is_head = request.method() == Verb::HEAD;
        Answering::new(self.answer(request), is_head)
    }

    /// The answer, with the body that HEAD is not sent.
    pub(crate) fn answer(&self, request: Request<Body>) -> BoxedAnswer {
        let (head, body) = request.into_parts();
        let protocol = match Protocol::detect(&head.method, &head.uri, &head.headers) {
            // Other versions of HTTP have no upgrade.
            Protocol::WebSocket if head.version != Version::HTTP_11 => Protocol::Rest,
            protocol => protocol,
        };
        let form = match protocol {
            Protocol::Rest if accept::names(&head.headers, refusal::PROBLEM_JSON) => Form::Problem,
            protocol => Form::Of(protocol),
        };
        let table = self.shared.table.load_full();
        let target = match self.find(protocol, &head, &table) {
            Ok(Some(target)) => target,
            Ok(None) => return told(verbs::options(&table, head.uri.path())),
            Err(refused) => return told(refuse(form, &refused, None)),
        };
        let admitted = self.shared.calls.admit();
        let begun =
            admitted.and_then(|place| Ok((place, self.terms(protocol, target, &table, &head)?)));
        let (place, (metadata, deadline)) = match begun {
            Ok(begun) => begun,
            Err(refused) => return told(refuse(form, &refused, Some(table.transcoder(target)))),
        };
        let write = WriteOptions::default();
        let shared = Arc::clone(&self.shared);
        let caller_address = head.extensions.get().copied();
        let call =
            Call { shared, table, target, protocol, deadline, metadata, write, caller_address };
        journey(call, head, body, move |answer, transcoder| {
            drop(place);
            answer.unwrap_or_else(|refused| refuse(form, &refused, Some(transcoder)))
        })
    }

    /// The method a request is for; None for an `OPTIONS` that the table answers.
    fn find(
        &self,
        protocol: Protocol,
        head: &request::Parts,
        table: &Table,
    ) -> Result<Option<Target>, Refusal> {
        if protocol == Protocol::WebSocket {
            return websocket::find(table, head).map(Some);
        }
        let path = head.uri.path();
        if protocol != Protocol::Rest {
            let Some(method) = table.routes.find_rpc(path) else {
                return Err(table.unknown(Cause::UnknownRpc, format!("no method {path}")));
            };
            let is_gettable = matches!(protocol, Protocol::Connect(..))
                && connect::is_gettable(table.routes.method(method));
            let is_get = is_gettable && matches!(protocol, Protocol::Connect(ConnectForm::Get, _));
            if head.method != Verb::POST && !is_get {
                let served = if is_gettable { &["GET", "POST"][..] } else { &["POST"] };
                let served = served.iter().map(|&verb| verb.to_owned()).collect();
                return Err(verbs::wrong_method(&served, &head.method));
            }
            return Ok(Some(Target { method, route: None }));
        }
        if head.method == Verb::OPTIONS && path == verbs::EVERYWHERE {
            return Ok(None);
        }
        match table.routes.find(&head.method, path) {
            Ok(Found::Route(number))
                if head.method == Verb::OPTIONS && verbs::is_for_any(table.route(number)) =>
            {
                Ok(None)
            }
            Ok(Found::Route(number)) => {
                let method = table.routes.routes()[number].method;
                Ok(Some(Target { method, route: Some(number) }))
            }
            Ok(Found::OtherMethods(_)) if head.method == Verb::OPTIONS => Ok(None),
            Ok(Found::OtherMethods(allow)) => Err(verbs::wrong_method(&allow, &head.method)),
            Ok(Found::Nothing) => {
                Err(table.unknown(Cause::UnknownPath, format!("no route for {path}")))
            }
            Err(error) => Err(Refusal::new(Cause::Malformed, format!("malformed path: {error}"))),
        }
    }

    /// What a head says of its call: what goes on to the upstream, and when it has to be over.
    fn terms(
        &self,
        protocol: Protocol,
        target: Target,
        table: &Table,
        head: &request::Parts,
    ) -> Result<(HeaderMap, Deadline), Refusal> {
        let method = table.routes.method(target.method);
        let timeout = timeout::requested(&head.headers)?;
        let is_stream = method.client_streaming || method.server_streaming;
        let timeout = self.shared.deadlines.of_call(timeout, is_stream);
        // Not a race that a quick upstream could win.
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(deadline::passed());
        }
        let metadata = metadata::from_caller(protocol, &head.headers)?;
        Ok((metadata, Deadline::after(timeout)))
    }
}

/// How a caller is told of a refusal.
#[derive(Clone, Copy)]
enum Form {
    /// As its protocol has it.
    Of(Protocol),
    /// By RFC 9457, because it asked for that.
    Problem,
}

fn refuse(form: Form, refusal: &Refusal, transcoder: Option<&Transcoder>) -> Response<ReplyBody> {
    // Not the message: it may quote the request.
    tracing::debug!(cause = ?refusal.cause, fault = ?refusal.fault(), "refused");
    let response = match form {
        Form::Of(protocol) => refusal::render(protocol, refusal, transcoder),
        Form::Problem => refusal::render_problem(refusal, transcoder),
    };
    let mut response = response.map(ReplyBody::full);
    if matches!(form, Form::Problem | Form::Of(Protocol::Rest | Protocol::WebSocket)) {
        rest::put_vary(response.headers_mut());
    }
    response
}

impl<B> Service<Request<B>> for Gateway
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.begin(request.map(Body::new))
    }
}

impl Table {
    /// What is not known may still come.
    fn unknown(&self, cause: Cause, message: String) -> Refusal {
        match self.is_pending {
            true => Refusal::new(Cause::Overload, "the upstream has not told its services yet"),
            false => Refusal::new(cause, message),
        }
    }

    fn transcoder(&self, target: Target) -> &Arc<Transcoder> {
        &self.served[target.method.schema].transcoder
    }

    fn route(&self, number: usize) -> &Route {
        &self.routes.routes()[number]
    }
}
