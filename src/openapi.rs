//! OpenAPI: the document of everything that REST callers can call.
//!
//! Built at run time with utoipa's builders from the route table that routes, so that it cannot
//! say what is not so. OpenAPI 3.1, comments taken from the proto sources.

use std::collections::BTreeSet;

use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, OpenApiVersion, PathsBuilder,
    tag::TagBuilder,
};

mod operation;
mod schemas;
mod template;

use crate::routing::RouteTable;
use schemas::Schemas;

/// A document; serde writes it as JSON.
pub type Document = OpenApi;

/// Which OpenAPI a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// What every tool reads. The messages of a stream stand in `x-item-schema`.
    V31,
    /// Says what a stream's messages are, in `itemSchema`.
    V32,
}

/// The document of a table's routes.
///
/// Every annotated route has an operation, and every method without annotation the one at its
/// own name. An HTTP method that OpenAPI does not know has none.
pub fn document(table: &RouteTable, version: Version) -> OpenApi {
    let mut schemas = Schemas::new(table, version);
    let mut paths = PathsBuilder::new().build();
    let mut ids = BTreeSet::new();
    for (number, route) in table.routes().iter().enumerate() {
        let method = table.method(route.method);
        let is_own_name = route.binding.template == method.path;
        if is_own_name && !method.bindings.is_empty() {
            continue;
        }
        let Some(verbs) = operation::verbs(&route.binding.method) else { continue };
        let binding = table.routes()[..number].iter().filter(|r| r.method == route.method).count();
        for verb in verbs {
            let mut operation = operation::operation(table, route, binding, &mut schemas);
            operation.operation_id = operation.operation_id.map(|id| unique(id, &mut ids));
            paths.add_path_operation(template::path(&route.template), vec![verb], operation);
        }
    }
    let services: Vec<_> = table.schemas().iter().flat_map(|schema| schema.services()).collect();
    let tags = services.iter().map(|service| {
        let comment = (!service.comment.is_empty()).then(|| service.comment.clone());
        TagBuilder::new().name(&service.name).description(comment).build()
    });
    let title = services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut document = OpenApiBuilder::new()
        .info(InfoBuilder::new().title(title).version(env!("CARGO_PKG_VERSION")).build())
        .paths(paths)
        .components(Some(
            ComponentsBuilder::new().schemas_from_iter(schemas.into_components()).build(),
        ))
        .tags(Some(tags.collect::<Vec<_>>()))
        .build();
    if version == Version::V32 {
        document.openapi = OpenApiVersion::Version32;
    }
    document
}

/// `id`, or `id` with the first number that makes it the only one.
fn unique(id: String, ids: &mut BTreeSet<String>) -> String {
    let mut candidates =
        std::iter::once(id.clone()).chain((2..).map(|number| format!("{id}_{number}")));
    let free = candidates.find(|candidate| !ids.contains(candidate)).unwrap_or(id);
    ids.insert(free.clone());
    free
}
