//! Where the server's own pages are.

use serde::Deserialize;

/// Paths of the server's own pages; an empty one turns its page off. They win over the routes of
/// a schema, so that a route at exactly such a path is refused at start.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pages {
    /// The first page. Default: `/`.
    pub console: String,
    /// Swagger UI. Default: `/docs`.
    pub docs: String,
    /// The OpenAPI document, at this path with `.json` and with `.yaml`. Default: `/openapi`.
    pub openapi: String,
    /// Whether the process lives. Default: `/livez`.
    pub livez: String,
    /// Whether it takes work. Default: `/readyz`.
    pub readyz: String,
    /// The same, for those who look for it there. Default: `/healthz`.
    pub healthz: String,
    /// The keys that tokens of the bundled service are signed with. Default:
    /// `/.well-known/jwks.json`.
    pub jwks: String,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            console: "/".to_owned(),
            docs: "/docs".to_owned(),
            openapi: "/openapi".to_owned(),
            livez: "/livez".to_owned(),
            readyz: "/readyz".to_owned(),
            healthz: "/healthz".to_owned(),
            jwks: "/.well-known/jwks.json".to_owned(),
        }
    }
}

impl Pages {
    /// The key of the page that stands at `path`.
    pub fn key_of(&self, path: &str) -> Option<&'static str> {
        let found = self.entries().into_iter().find(|(key, page)| {
            let is_document = |page: &str| {
                path.strip_prefix(page).is_some_and(|rest| matches!(rest, ".json" | ".yaml"))
            };
            !page.is_empty()
                && match *key {
                    "pages.openapi" => is_document(page),
                    _ => *page == path,
                }
        });
        found.map(|(key, _)| key)
    }

    /// The key of the page that stands at `path`, or has a file there: what a server answers before
    /// any route.
    pub fn page_at(&self, path: &str) -> Option<&'static str> {
        let page = self.key_of(path).or_else(|| self.file_at(path));
        page.filter(|key| *key != "pages.docs" || cfg!(feature = "docs"))
    }

    fn file_at(&self, path: &str) -> Option<&'static str> {
        let below = |page: &str| {
            let rest = path.strip_prefix(page.trim_end_matches('/'))?.strip_prefix('/');
            rest.filter(|_| !page.is_empty())
        };
        if below(&self.docs).is_some_and(|file| !file.contains('/')) {
            return Some("pages.docs");
        }
        let is_console =
            below(&self.console).is_some_and(|f| matches!(f, "console.js" | "console.css"));
        is_console.then_some("pages.console")
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let entries = self.entries();
        for (index, (key, page)) in entries.iter().enumerate() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
            let is_path = page.starts_with('/') && page.chars().all(is_plain);
            if !(page.is_empty() || is_path) {
                return Err(format!("{key}: `{page}` is no path: write /NAME, or nothing"));
            }
            if *page != "/" && page.ends_with('/') {
                return Err(format!("{key}: `{page}` cannot end with a slash"));
            }
            if let Some((other, _)) =
                entries[..index].iter().find(|(_, other)| !page.is_empty() && other == page)
            {
                return Err(format!("{key} and {other} are both `{page}`"));
            }
        }
        Ok(())
    }

    fn entries(&self) -> [(&'static str, &str); 7] {
        [
            ("pages.console", &self.console),
            ("pages.docs", &self.docs),
            ("pages.openapi", &self.openapi),
            ("pages.livez", &self.livez),
            ("pages.readyz", &self.readyz),
            ("pages.healthz", &self.healthz),
            ("pages.jwks", &self.jwks),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_by_the_key_that_moves_it() {
        let pages = Pages { docs: String::new(), ..Pages::default() };
        assert_eq!(pages.key_of("/openapi.yaml"), Some("pages.openapi"));
        assert_eq!(pages.key_of("/"), Some("pages.console"));
        for free in ["/openapi", "/docs", "", "/v1/users"] {
            assert_eq!(pages.key_of(free), None, "{free}");
        }
    }

    #[test]
    fn pages_and_their_files_are_told_from_calls() {
        let docs = cfg!(feature = "docs").then_some("pages.docs");
        let moved = Pages { console: "/c".into(), docs: "/a/docs".into(), ..Pages::default() };
        let off = Pages { console: String::new(), docs: String::new(), ..Pages::default() };
        for (pages, path, expected) in [
            (&Pages::default(), "/", Some("pages.console")),
            (&Pages::default(), "/console.js", Some("pages.console")),
            (&Pages::default(), "/docs/", docs),
            (&Pages::default(), "/docs/index.html", docs),
            (&Pages::default(), "/docs/a/b", None),
            (&Pages::default(), "/livez/x", None),
            (&Pages::default(), "/openapi.yaml", Some("pages.openapi")),
            (&Pages::default(), "/openapi.xml", None),
            (&moved, "/", None),
            (&moved, "/c/console.css", Some("pages.console")),
            (&moved, "/a/docs/x", docs),
            (&off, "/", None),
            (&off, "/console.js", None),
            (&off, "/docs", None),
        ] {
            assert_eq!(pages.page_at(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_and_what_is_there_twice_is_refused() {
        assert_eq!(Pages::default().check(), Ok(()));
        for docs in ["docs", "/docs/", "/{x}", "/a b", "/livez"] {
            assert!(Pages { docs: docs.into(), ..Pages::default() }.check().is_err(), "{docs}");
        }
    }
}
