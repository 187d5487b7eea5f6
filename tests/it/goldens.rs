//! Generated files that are kept: compared byte for byte, rewritten with `BLESS=1`.

use std::{fmt::Write as _, fs, path::Path};

use axum::body::Body;
use transom::{
    Gateway, GatewayBuilder,
    openapi::{self, Version},
    schema::{BodyRule, HttpMethod},
};
use transom_test_services::{SHAPES_DESCRIPTOR_SET, inventory::Inventory};

use crate::support::inventory_gateway;

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so")]
fn compare(path: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var("BLESS").is_ok() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(path, found).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let first = kept.lines().zip(found.lines()).position(|(kept, found)| kept != found);
    assert!(
        kept == found,
        "{} differs from line {:?}: rewrite it with BLESS=1 and read the difference",
        path.display(),
        first.map(|line| line + 1)
    );
}

fn document(builder: GatewayBuilder, version: Version) -> String {
    let gateway = builder.build().unwrap();
    let document = openapi::document(&gateway.route_table(), version);
    serde_json::to_string_pretty(&document).unwrap() + "\n"
}

#[cfg(feature = "users")]
fn users() -> GatewayBuilder {
    let nobody = transom::upstream::Upstream::service(tonic::service::Routes::default());
    Gateway::builder().upstream(transom::users::DESCRIPTOR_SET, nobody)
}

#[cfg(feature = "users")]
#[test]
fn the_document_of_the_bundled_service() {
    compare("openapi/user.v1.json", &document(users(), Version::V31));
    let gateway = users().build().unwrap();
    let document = openapi::document(&gateway.route_table(), Version::V31);
    compare("openapi/user.v1.yaml", &document.to_yaml().unwrap());
}

#[test]
fn the_document_of_every_shape() {
    let inventory = || inventory_gateway(Inventory::default());
    compare("tests/goldens/inventory.v1.json", &document(inventory(), Version::V31));
    compare("tests/goldens/inventory.v1-3.2.json", &document(inventory(), Version::V32));
}

/// Every reference leads somewhere, and every operation has a name of its own.
#[test]
fn a_document_is_whole() {
    let text = document(inventory_gateway(Inventory::default()), Version::V31);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (_, rest) in text.match_indices("\"$ref\": \"#").map(|(at, m)| (at, &text[at + m.len()..]))
    {
        let pointer = &rest[..rest.find('"').unwrap()];
        assert!(json.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
    let mut ids: Vec<_> =
        text.lines().filter_map(|line| line.trim().strip_prefix("\"operationId\": ")).collect();
    let count = ids.len();
    assert!(count > 10);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn pages_move_and_are_turned_off_by_their_keys() {
    use tower::ServiceExt as _;
    use transom::{
        config::{Config, Pages},
        layers, server,
    };
    let gateway: Gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let pages = Pages {
        console: "/ui".to_owned(),
        openapi: "/api".to_owned(),
        livez: "/alive".to_owned(),
        healthz: String::new(),
        ..Pages::default()
    };
    let config = Config { pages, ..Config::default() };
    let docs = server::Docs::new(&gateway.route_table());
    let behind = docs.router(&config.pages).fallback_service(gateway.clone());
    let router = server::router(behind, server::Readiness::new(), None, &config.pages);
    let app = layers::stack(server::front(router, &config.pages, gateway.clone()), &config);
    for (path, status) in [
        ("/ui", 200),
        ("/ui/console.js", 200),
        ("/api.json", 200),
        ("/alive", 200),
        ("/readyz", 503),
        ("/", 404),
        ("/openapi.json", 404),
        ("/livez", 404),
        ("/healthz", 404),
    ] {
        let request = crate::support::request(&format!("GET {path}")).body(Body::empty()).unwrap();
        let answer =
            crate::support::Answer::read(app.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(answer.status, status, "{path}");
        if status == 200 {
            let options = crate::support::request(&format!("OPTIONS {path}"));
            let options = app.clone().oneshot(options.body(Body::empty()).unwrap()).await.unwrap();
            let options = crate::support::Answer::read(options).await;
            assert_eq!(
                (options.status.as_u16(), options.header("allow")),
                (204, "GET, HEAD, OPTIONS")
            );
        }
        if path == "/ui" {
            assert!(answer.text().contains("\"/ui/console.js\""), "{}", answer.text());
            assert!(answer.text().contains("\"/api.json\""), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn the_pages_come_from_inside_and_name_nothing_outside() {
    use tower::ServiceExt as _;
    use transom::{config::Config, layers, server};
    let gateway: Gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let docs = server::Docs::new(&gateway.route_table());
    let config = Config::default();
    let behind = docs.router(&config.pages).fallback_service(gateway.clone());
    let router = server::router(behind, server::Readiness::new(), None, &config.pages);
    let app = layers::stack(server::front(router, &config.pages, gateway.clone()), &config);
    let mut pages = vec!["/", "/console.js", "/console.css", "/openapi.json", "/openapi.yaml"];
    if cfg!(feature = "docs") {
        pages.extend(["/docs/", "/docs/swagger-initializer.js", "/docs/swagger-ui.css"]);
    }
    for page in pages {
        let request = crate::support::request(&format!("GET {page}")).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let answer = crate::support::Answer::read(response).await;
        assert_eq!(answer.status, 200, "{page}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'self'"));
        if page.ends_with('/') {
            for outside in ["src=\"http", "href=\"http", "src=\"//", "href=\"//"] {
                assert!(!answer.text().contains(outside), "{page} loads from outside");
            }
        }
    }
}

/// Every route, in the order of the schema: what is called, by what method and path, and what of
/// the request the path and the body are.
fn routes(builder: GatewayBuilder) -> String {
    let table = builder.build().unwrap().route_table();
    let mut text = String::new();
    for route in table.routes() {
        let binding = &route.binding;
        let verb = match &binding.method {
            HttpMethod::Is(verb) => verb.as_str(),
            HttpMethod::Any => "*",
        };
        let method = table.method(route.method);
        let stream = match (method.client_streaming, method.server_streaming) {
            (false, false) => "",
            (true, false) => " of client streams",
            (false, true) => " of server streams",
            (true, true) => " of both streams",
        };
        let mut line = format!("{verb:<6} {:<44} {}{stream}", binding.template, method.full_name());
        let schema = &table.schemas()[route.method.schema];
        for path in &route.variables {
            let _ = write!(line, " {{{}}}", path.display(schema));
        }
        match &binding.body {
            BodyRule::None => {}
            BodyRule::All => line.push_str(" body *"),
            BodyRule::Field(name) => {
                let _ = write!(line, " body {name}");
            }
        }
        if let Some(name) = &binding.response_body {
            let _ = write!(line, " response_body {name}");
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(feature = "users")]
#[test]
fn the_routes_of_the_bundled_service() {
    compare("tests/goldens/user.v1.routes", &routes(users()));
}

#[test]
fn the_routes_of_the_test_services() {
    let inventory = inventory_gateway(Inventory::default());
    compare("tests/goldens/inventory.v1.routes", &routes(inventory));
    let nobody = transom::upstream::Upstream::service(tonic::service::Routes::default());
    let shapes = Gateway::builder().upstream(SHAPES_DESCRIPTOR_SET, nobody);
    compare("tests/goldens/shapes.v1.routes", &routes(shapes));
}
