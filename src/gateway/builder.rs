//! How a gateway is put together.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{Gateway, Served, Shared, Table};
use crate::{
    config::{Deadlines, Limits},
    routing::RouteTable,
    schema::{Problems, Schema},
    transcoding::Transcoder,
    upstream::{BoxError, Upstream},
};

/// Collects services and limits; made by [`Gateway::builder`].
#[derive(Default)]
pub struct GatewayBuilder {
    upstreams: Vec<(Bytes, Upstream)>,
    limits: Limits,
    deadlines: Deadlines,
}

impl GatewayBuilder {
    /// Adds a service in this process, with the `FileDescriptorSet` that describes it, imports
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
        self.upstream(descriptor_set, Upstream::in_process(service))
    }

    /// Adds an upstream that serves every service of a `FileDescriptorSet`.
    pub fn upstream(mut self, descriptor_set: impl Into<Bytes>, upstream: Upstream) -> Self {
        self.upstreams.push((descriptor_set.into(), upstream));
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

    /// Builds all routes, or tells every problem of the schemas.
    pub fn build(self) -> Result<Gateway, Problems> {
        let mut problems = Vec::new();
        let mut served = Vec::with_capacity(self.upstreams.len());
        let mut schemas = Vec::with_capacity(self.upstreams.len());
        for (descriptor_set, upstream) in self.upstreams {
            let transcoder = Schema::from_descriptor_set(descriptor_set)
                .and_then(|schema| Transcoder::new(Arc::new(schema)));
            match transcoder {
                Ok(transcoder) => {
                    schemas.push(Arc::clone(transcoder.schema()));
                    served.push(Served { transcoder: Arc::new(transcoder), upstream });
                }
                Err(found) => problems.extend(found.0),
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let routes = RouteTable::build(schemas)?;
        let shared = Shared {
            table: ArcSwap::from_pointee(Table { routes, served }),
            limits: self.limits,
            deadlines: self.deadlines,
            drain: CancellationToken::new(),
        };
        Ok(Gateway { shared: Arc::new(shared) })
    }
}
