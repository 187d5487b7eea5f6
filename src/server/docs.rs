//! The pages that explain what is served: the OpenAPI document, Swagger UI, and a first page.
//! Everything comes from inside the binary.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{HeaderValue, Response, Uri, header};

use super::pages::page;
use crate::{
    config::Pages,
    openapi::{self, Version},
    routing::RouteTable,
};

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
    pub fn router(&self, pages: &Pages) -> Router {
        let mut router = Router::new();
        if !pages.openapi.is_empty() {
            let (json, yaml) = (Arc::clone(&self.0), Arc::clone(&self.0));
            let json = move |uri: Uri| async move {
                let documents = json.load();
                let is_32 = uri.query() == Some("version=3.2");
                let text = if is_32 { &documents.json_32 } else { &documents.json };
                file("application/json", text.clone())
            };
            let yaml = move || async move { file("application/yaml", yaml.load().yaml.clone()) };
            router = router
                .route(&format!("{}.json", pages.openapi), page(get(json)))
                .route(&format!("{}.yaml", pages.openapi), page(get(yaml)));
        }
        if !pages.console.is_empty() {
            let base = pages.console.trim_end_matches('/');
            let links = [
                ("\"/console.", format!("\"{base}/console.")),
                ("\"/openapi.", format!("\"{}.", pages.openapi)),
                ("\"/docs/", format!("\"{}/", pages.docs)),
                ("\"/readyz", format!("\"{}", pages.readyz)),
            ];
            let linked = |text: &str| {
                let text =
                    links.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
                Bytes::from(text)
            };
            let (index, script) = (linked(INDEX), linked(SCRIPT));
            router = router
                .route(&pages.console, page(get(|| async { file("text/html", index) })))
                .route(
                    &format!("{base}/console.js"),
                    page(get(|| async { file("text/javascript", script) })),
                )
                .route(
                    &format!("{base}/console.css"),
                    page(get(|| async { file("text/css", STYLE) })),
                );
        }
        #[cfg(feature = "docs")]
        if !pages.docs.is_empty() {
            router = router.merge(swagger_ui::router(pages));
        }
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
mod swagger_ui {
    use axum::{
        extract::Path,
        response::{IntoResponse as _, Redirect},
    };
    use http::StatusCode;

    use super::{Arc, Body, Pages, Response, Router, file, get, page};

    pub(super) fn router(pages: &Pages) -> Router {
        let directory = format!("{}/", pages.docs);
        let config = utoipa_swagger_ui::Config::new([format!("{}.json", pages.openapi)])
            .try_it_out_enabled(true)
            .validator_url("none")
            .display_request_duration(true);
        let config = Arc::new(config);
        let index = Arc::clone(&config);
        let to_directory = directory.clone();
        Router::new()
            .route(&pages.docs, page(get(|| async move { Redirect::permanent(&to_directory) })))
            .route(&directory, page(get(|| async move { serve("index.html", index) })))
            .route(
                &format!("{directory}{{file}}"),
                page(get(|Path(name): Path<String>| async move { serve(&name, config) })),
            )
    }

    fn serve(name: &str, config: Arc<utoipa_swagger_ui::Config<'static>>) -> Response<Body> {
        match utoipa_swagger_ui::serve(name, config) {
            Ok(Some(found)) => file(&found.content_type, found.bytes.into_owned()),
            Ok(None) => StatusCode::NOT_FOUND.into_response(),
            Err(error) => {
                tracing::error!(%error, "a page of Swagger UI is broken");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
