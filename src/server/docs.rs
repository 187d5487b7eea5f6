//! The pages that explain what is served: the OpenAPI document, Swagger UI, and a first page.
//! Everything comes from inside the binary.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Body,
    response::{IntoResponse as _, Redirect},
    routing::get,
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, Uri, header};

use super::pages::page;
use crate::{
    openapi::{self, Version},
    routing::RouteTable,
};

/// Paths that these pages take.
pub(super) const PATHS: [&str; 4] = ["/", "/docs", "/openapi.json", "/openapi.yaml"];

/// Nothing from outside, and no scripts but the pages' own files.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'";

/// The documents of what is served now. Clones share them.
#[derive(Clone)]
pub struct Docs(Arc<ArcSwap<Documents>>);

struct Documents {
    json: Bytes,
    json_32: Bytes,
    yaml: Bytes,
}

impl Docs {
    /// The documents of `table`.
    pub fn new(table: &RouteTable) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Documents::new(table))))
    }

    /// Those of another from now on.
    pub fn update(&self, table: &RouteTable) {
        self.0.store(Arc::new(Documents::new(table)));
    }

    /// The pages, for a router.
    pub fn router(&self) -> Router {
        let (json, yaml) = (Arc::clone(&self.0), Arc::clone(&self.0));
        let json = move |uri: Uri| async move {
            let documents = json.load();
            let is_32 = uri.query() == Some("version=3.2");
            let text = if is_32 { &documents.json_32 } else { &documents.json };
            file("application/json", text.clone())
        };
        let yaml = move || async move { file("application/yaml", yaml.load().yaml.clone()) };
        let router = Router::new()
            .route("/", page(get(|| async { file("text/html", INDEX) })))
            .route("/console.js", page(get(|| async { file("text/javascript", SCRIPT) })))
            .route("/console.css", page(get(|| async { file("text/css", STYLE) })))
            .route("/openapi.json", page(get(json)))
            .route("/openapi.yaml", page(get(yaml)));
        #[cfg(feature = "docs")]
        let router = router
            .route("/docs", page(get(|| async { Redirect::permanent("/docs/") })))
            .route("/docs/", page(get(|| async { swagger_ui("index.html") })))
            .route(
                "/docs/{file}",
                page(get(|axum::extract::Path(file): axum::extract::Path<String>| async move {
                    swagger_ui(&file)
                })),
            );
        router
    }
}

impl Documents {
    fn new(table: &RouteTable) -> Self {
        let document = openapi::document(table, Version::V31);
        let json = |document: &openapi::Document| {
            serde_json::to_vec_pretty(document).unwrap_or_default().into()
        };
        Self {
            json: json(&document),
            json_32: json(&openapi::document(table, Version::V32)),
            yaml: document.to_yaml().unwrap_or_default().into(),
        }
    }
}

const INDEX: &str = include_str!("../../static/index.html");
const SCRIPT: &str = include_str!("../../static/console.js");
const STYLE: &str = include_str!("../../static/console.css");

fn file(content_type: &str, content: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(content.into());
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_str(content_type);
    headers.insert(
        header::CONTENT_TYPE,
        content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(feature = "docs")]
fn swagger_ui(path: &str) -> Response<Body> {
    let config = utoipa_swagger_ui::Config::new(["/openapi.json"])
        .try_it_out_enabled(true)
        .validator_url("none")
        .display_request_duration(true);
    match utoipa_swagger_ui::serve(path, Arc::new(config)) {
        Ok(Some(found)) => file(&found.content_type, found.bytes.into_owned()),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of Swagger UI is broken");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
