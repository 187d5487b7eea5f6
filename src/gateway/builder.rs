//! How a gateway is put together.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{Admission, Gateway, Served, Shared, Table};
use crate::{
    config::{Cors, Deadlines, Limits},
    routing::RouteTable,
    schema::{Exposure, Problems, Schema, ServiceConfig},
    transcoding::Transcoder,
    upstream::{BoxError, Upstream},
};

struct Described {
    descriptor_set: Bytes,
    upstream: Upstream,
    exposure: Exposure,
}

impl Described {
    fn transcoder(self) -> Result<(Transcoder, Upstream), Problems> {
        let schema = Schema::exposing(self.descriptor_set, &self.exposure)?;
        Ok((Transcoder::new(Arc::new(schema))?, self.upstream))
    }
}

/// Collects services and limits; made by [`Gateway::builder`].
#[derive(Default)]
pub struct GatewayBuilder {
    upstreams: Vec<Described>,
    built: Vec<(Arc<Schema>, Upstream)>,
    is_pending: bool,
    limits: Limits,
    deadlines: Deadlines,
    cors: Cors,
}

impl GatewayBuilder {
    /// Adds a tower service (a tonic server in this process, a `Channel`), with the `FileDescriptorSet` that describes it, imports
    /// included. Keep the set as bytes: typed descriptors lose `google.api.http`.
    pub fn service<S, B>(self, descriptor_set: impl Into<Bytes>, service: S) -> Self
    where
        S: Service<Request<tonic::body::Body>, Response = Response<B>> + Clone + Send + Sync,
        S: 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.upstream(descriptor_set, Upstream::service(service))
    }

    /// Adds an upstream that serves every service of a `FileDescriptorSet`.
    pub fn upstream(mut self, descriptor_set: impl Into<Bytes>, upstream: Upstream) -> Self {
        let descriptor_set = descriptor_set.into();
        self.upstreams.push(Described { descriptor_set, upstream, exposure: Exposure::default() });
        self
    }

    /// Limits the upstream that was added last to these services, by full name. None are all.
    pub fn expose(mut self, services: &[String]) -> Self {
        if let Some(last) = self.upstreams.last_mut() {
            last.exposure.services = services.to_vec();
        }
        self
    }

    /// Has the rules of `config` replace annotations of the upstream that was added last.
    pub fn service_config(mut self, config: ServiceConfig) -> Self {
        if let Some(last) = self.upstreams.last_mut() {
            last.exposure.service_config = Some(config);
        }
        self
    }

    /// Adds an upstream whose schema is built already.
    pub fn schema(mut self, schema: Arc<Schema>, upstream: Upstream) -> Self {
        self.built.push((schema, upstream));
        self
    }

    /// Says that further services will come, by [`Gateway::replace`]: until then, what is not
    /// known is UNAVAILABLE instead of not found.
    pub fn pending(mut self, is_pending: bool) -> Self {
        self.is_pending = is_pending;
        self
    }

    /// Sizes and counts.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long calls may take.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Which pages of other origins may open WebSockets: none by default. Nothing else depends on
    /// it here; CORS is for a layer.
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = cors;
        self
    }

    /// Builds all routes, or tells every problem of the schemas.
    pub fn build(self) -> Result<Gateway, Problems> {
        let shared = Shared {
            limits: self.limits.clone(),
            deadlines: self.deadlines.clone(),
            cors: self.cors.clone(),
            calls: Admission::new(self.limits.calls_limit, "calls in flight"),
            streams: Admission::new(self.limits.streams_limit, "open streams"),
            drain: CancellationToken::new(),
            table: ArcSwap::from_pointee(self.table()?),
        };
        Ok(Gateway { shared: Arc::new(shared) })
    }

    pub(super) fn table(self) -> Result<Table, Problems> {
        let mut problems = Vec::new();
        let mut served = Vec::with_capacity(self.upstreams.len() + self.built.len());
        let mut schemas = Vec::with_capacity(self.upstreams.len() + self.built.len());
        let built = self.built.into_iter();
        let built = built.map(|(schema, upstream)| Ok((Transcoder::new(schema)?, upstream)));
        for transcoder in self.upstreams.into_iter().map(Described::transcoder).chain(built) {
            match transcoder {
                Ok((transcoder, upstream)) => {
                    schemas.push(Arc::clone(transcoder.schema()));
                    served.push(Served { transcoder: Arc::new(transcoder), upstream });
                }
                Err(found) => problems.extend(found.0),
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let routes = Arc::new(RouteTable::build(schemas)?);
        Ok(Table { routes, served, is_pending: self.is_pending })
    }
}
