//! What a server answers in front of its gateway: pages, health and reflection. Only what they are
//! is told, because what they answer is the server's.

use crate::config::Pages;

/// What has a path of the server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// A page or a file of one, by the key that moves it.
    Page(&'static str),
    /// A gRPC service beside the gateway, for gRPC callers.
    Service(&'static str),
}

/// The services that every server has; gRPC fixes their names.
const SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// What stands at `path`, before any route.
pub(super) fn own(pages: &Pages, path: &str) -> Option<Own> {
    let is_method = |service: &&str| {
        let method = path.strip_prefix('/').and_then(|path| path.strip_prefix(*service));
        method.and_then(|method| method.strip_prefix('/')).is_some_and(|name| !name.is_empty())
    };
    if let Some(service) = SERVICES.into_iter().find(is_method) {
        return Some(Own::Service(service));
    }
    let page = pages.key_of(path).or_else(|| file_of(pages, path));
    page.filter(|key| *key != "pages.docs" || cfg!(feature = "docs")).map(Own::Page)
}

/// The page that has a file at `path`.
fn file_of(pages: &Pages, path: &str) -> Option<&'static str> {
    let below = |page: &str| {
        let rest = path.strip_prefix(page.trim_end_matches('/'))?.strip_prefix('/');
        rest.filter(|_| !page.is_empty())
    };
    if below(&pages.docs).is_some_and(|file| !file.contains('/')) {
        return Some("pages.docs");
    }
    let is_console =
        below(&pages.console).is_some_and(|f| matches!(f, "console.js" | "console.css"));
    is_console.then_some("pages.console")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_their_files_and_services_are_told_from_calls() {
        let moved = Pages { console: "/c".into(), docs: "/a/docs".into(), ..Pages::default() };
        let off = Pages { console: String::new(), docs: String::new(), ..Pages::default() };
        for (pages, path, expected) in [
            (&Pages::default(), "/", Some(Own::Page("pages.console"))),
            (&Pages::default(), "/console.js", Some(Own::Page("pages.console"))),
            (&Pages::default(), "/docs/", Some(Own::Page("pages.docs"))),
            (&Pages::default(), "/docs/index.html", Some(Own::Page("pages.docs"))),
            (&Pages::default(), "/docs/a/b", None),
            (&Pages::default(), "/livez/x", None),
            (&Pages::default(), "/openapi.yaml", Some(Own::Page("pages.openapi"))),
            (&Pages::default(), "/openapi.xml", None),
            (&moved, "/", None),
            (&moved, "/c/console.css", Some(Own::Page("pages.console"))),
            (&moved, "/a/docs/x", Some(Own::Page("pages.docs"))),
            (&off, "/", None),
            (&off, "/console.js", None),
            (&off, "/docs", None),
            (&off, "/grpc.health.v1.Health/Check", Some(Own::Service("grpc.health.v1.Health"))),
            (&off, "/grpc.health.v1.Health/", None),
            (&off, "/grpc.health.v1.Healthy/Check", None),
            (&off, "/grpc.mine.v1.Service/Get", None),
        ] {
            assert_eq!(own(pages, path), expected, "{path}");
        }
    }
}
