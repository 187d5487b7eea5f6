//! The pages that a server has in front of its gateway. Only that they are pages is told, because
//! what they answer is the server's.

use crate::config::Pages;

/// The key of the page that stands at `path`, or has a file there, before any route.
pub(super) fn page(pages: &Pages, path: &str) -> Option<&'static str> {
    let page = pages.key_of(path).or_else(|| file_of(pages, path));
    page.filter(|key| *key != "pages.docs" || cfg!(feature = "docs"))
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
    fn pages_and_their_files_are_told_from_calls() {
        let moved = Pages { console: "/c".into(), docs: "/a/docs".into(), ..Pages::default() };
        let off = Pages { console: String::new(), docs: String::new(), ..Pages::default() };
        for (pages, path, expected) in [
            (&Pages::default(), "/", Some("pages.console")),
            (&Pages::default(), "/console.js", Some("pages.console")),
            (&Pages::default(), "/docs/", Some("pages.docs")),
            (&Pages::default(), "/docs/index.html", Some("pages.docs")),
            (&Pages::default(), "/docs/a/b", None),
            (&Pages::default(), "/livez/x", None),
            (&Pages::default(), "/openapi.yaml", Some("pages.openapi")),
            (&Pages::default(), "/openapi.xml", None),
            (&moved, "/", None),
            (&moved, "/c/console.css", Some("pages.console")),
            (&moved, "/a/docs/x", Some("pages.docs")),
            (&off, "/", None),
            (&off, "/console.js", None),
            (&off, "/docs", None),
        ] {
            assert_eq!(page(pages, path), expected, "{path}");
        }
    }
}
