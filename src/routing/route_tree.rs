//! The tree that finds a route: literal before `*` before `**`, with full backtracking.
//!
//! Built once from all templates, then immutable. A lookup walks the path's segments and does
//! not allocate unless a segment is percent-encoded. Backtracking goes on after a terminal whose
//! HTTP method does not match, so that a wildcard sibling can still answer; the methods seen on
//! the way are the 405's `Allow`.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use http::Method;

use super::{
    path_template::{PathTemplate, Segment},
    percent_encoding::{self, PercentError, Slashes},
};
use crate::schema::HttpMethod;

/// Why a path cannot be looked up at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It cannot be percent-decoded.
    #[error("{0}")]
    Percent(#[from] PercentError),
    /// A segment is `.` or `..`, raw or encoded.
    #[error("the path segments . and .. are not allowed")]
    DotSegment,
    /// A `\`, which some take for a `/`.
    #[error("a backslash is not allowed in a path")]
    Backslash,
}

/// What a lookup found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The route with this number.
    Route(usize),
    /// Routes for other HTTP methods only, sorted.
    OtherMethods(BTreeSet<String>),
    /// No route matches the path.
    Nothing,
}

/// All routes, by path. Routes are numbers, given by whoever inserts them.
#[derive(Debug, Default)]
pub struct RouteTree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, usize>,
    any: Option<usize>,
    rest: Option<usize>,
    terminals: Vec<Terminal>,
}

#[derive(Debug)]
struct Terminal {
    verb: Option<String>,
    method: HttpMethod,
    route: usize,
}

impl RouteTree {
    /// Adds a route. Fails with the number of the one that already matches exactly this.
    pub fn insert(
        &mut self,
        template: &PathTemplate,
        method: &HttpMethod,
        route: usize,
    ) -> Result<(), usize> {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut node = 0;
        for segment in &template.segments {
            let next = self.nodes.len();
            let parent = &mut self.nodes[node];
            node = match segment {
                Segment::Literal(text) => *parent.literals.entry(text.clone()).or_insert(next),
                Segment::Any => *parent.any.get_or_insert(next),
                Segment::Rest => *parent.rest.get_or_insert(next),
            };
            if node == next {
                self.nodes.push(Node::default());
            }
        }
        let terminals = &mut self.nodes[node].terminals;
        if let Some(same) =
            terminals.iter().find(|t| t.verb == template.verb && t.method == *method)
        {
            return Err(same.route);
        }
        terminals.push(Terminal { verb: template.verb.clone(), method: method.clone(), route });
        Ok(())
    }

    /// Finds the route for a raw (still percent-encoded) path. `HEAD` follows `GET`.
    pub fn find(&self, method: &Method, path: &str) -> Result<Found, PathError> {
        let segments = Segments::split(path)?;
        let mut search = Search { tree: self, method, segments, allow: BTreeSet::new() };
        if !self.nodes.is_empty() && path.starts_with('/') {
            // `:verb` is a verb only where a route has it; otherwise it is part of the value.
            if let Some((head, verb)) = search.segments.split_verb() {
                let full = search.segments.replace_last(head);
                if let Some(route) = search.descend(0, 0, Some(&verb)) {
                    return Ok(Found::Route(route));
                }
                search.segments.restore_last(full);
            }
            if let Some(route) = search.descend(0, 0, None) {
                return Ok(Found::Route(route));
            }
        }
        if search.allow.is_empty() {
            return Ok(Found::Nothing);
        }
        Ok(Found::OtherMethods(search.allow))
    }
}

/// A path, split and each segment decoded for comparison.
struct Segments<'p> {
    decoded: Vec<Cow<'p, str>>,
    /// The last segment as it was sent: an encoded colon is no verb.
    last_raw: &'p str,
}

impl<'p> Segments<'p> {
    fn split(path: &'p str) -> Result<Self, PathError> {
        if path.contains('\\') {
            return Err(PathError::Backslash);
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut decoded = Vec::with_capacity(8);
        let mut last_raw = "";
        for raw in path.split('/') {
            let segment = percent_encoding::decode(raw, Slashes::Decode)?;
            if segment == "." || segment == ".." {
                return Err(PathError::DotSegment);
            }
            decoded.push(segment);
            last_raw = raw;
        }
        Ok(Self { decoded, last_raw })
    }

    /// The last segment cut at its last colon, each part decoded.
    fn split_verb(&self) -> Option<(Cow<'p, str>, Cow<'p, str>)> {
        let (head, verb) = self.last_raw.rsplit_once(':')?;
        let decode = |text| percent_encoding::decode(text, Slashes::Decode).ok();
        Some((decode(head)?, decode(verb)?))
    }

    fn replace_last(&mut self, segment: Cow<'p, str>) -> Option<Cow<'p, str>> {
        self.decoded.last_mut().map(|last| std::mem::replace(last, segment))
    }

    fn restore_last(&mut self, segment: Option<Cow<'p, str>>) {
        if let (Some(last), Some(segment)) = (self.decoded.last_mut(), segment) {
            *last = segment;
        }
    }
}

struct Search<'t, 'p> {
    tree: &'t RouteTree,
    method: &'p Method,
    segments: Segments<'p>,
    allow: BTreeSet<String>,
}

impl Search<'_, '_> {
    /// Depth is bounded by the longest template: only `**` moves on without descending.
    fn descend(&mut self, node: usize, position: usize, verb: Option<&str>) -> Option<usize> {
        let tree = self.tree;
        let node = &tree.nodes[node];
        let Some(segment) = self.segments.decoded.get(position) else {
            let here = self.terminal(node, verb);
            // `**` matches zero segments too.
            return here.or_else(|| self.descend(node.rest?, position, verb));
        };
        if !segment.is_empty() {
            if let Some(&next) = node.literals.get(segment.as_ref())
                && let Some(route) = self.descend(next, position + 1, verb)
            {
                return Some(route);
            }
            if let Some(next) = node.any
                && let Some(route) = self.descend(next, position + 1, verb)
            {
                return Some(route);
            }
        }
        let next = node.rest?;
        // The shortest rest first, so that fixed segments behind `**` win over a bare `**`.
        let remaining = &self.segments.decoded[position..];
        let longest = remaining.iter().take_while(|segment| !segment.is_empty()).count();
        (0..=longest).find_map(|taken| self.descend(next, position + taken, verb))
    }

    fn terminal(&mut self, node: &Node, verb: Option<&str>) -> Option<usize> {
        let wanted = |method: &Method| {
            method == self.method || (*self.method == Method::HEAD && *method == Method::GET)
        };
        let mut any = None;
        let mut follows_get = None;
        for terminal in node.terminals.iter().filter(|t| t.verb.as_deref() == verb) {
            match &terminal.method {
                HttpMethod::Is(method) if method == self.method => return Some(terminal.route),
                HttpMethod::Is(method) if wanted(method) => follows_get = Some(terminal.route),
                HttpMethod::Is(method) => {
                    if *method == Method::GET {
                        self.allow.insert(Method::HEAD.to_string());
                    }
                    self.allow.insert(method.to_string());
                }
                HttpMethod::Any => any = Some(terminal.route),
            }
        }
        follows_get.or(any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(routes: &[&str]) -> RouteTree {
        let mut tree = RouteTree::default();
        for (number, route) in routes.iter().enumerate() {
            let (method, template) = route.split_once(' ').unwrap();
            let method = match method {
                "*" => HttpMethod::Any,
                method => HttpMethod::Is(method.parse().unwrap()),
            };
            tree.insert(&PathTemplate::parse(template).unwrap(), &method, number).unwrap();
        }
        tree
    }

    fn find(tree: &RouteTree, request: &str) -> Result<Found, PathError> {
        let (method, path) = request.split_once(' ').unwrap();
        tree.find(&method.parse().unwrap(), path)
    }

    #[test]
    fn literal_before_any_before_rest() {
        let tree =
            tree(&["GET /v1/{x=**}", "GET /v1/*", "GET /v1/a", "GET /v1/*/b", "GET /v1/a/c"]);
        for (path, route) in [
            ("/v1/a", 2),
            ("/v1/z", 1),
            ("/v1/a/b", 3),
            ("/v1/a/c", 4),
            ("/v1/a/d", 0),
            ("/v1", 0),
            ("/v1/a/b/c/d", 0),
        ] {
            assert_eq!(find(&tree, &format!("GET {path}")), Ok(Found::Route(route)), "{path}");
        }
        assert_eq!(find(&tree, "GET /v2"), Ok(Found::Nothing));
    }

    #[test]
    fn keeps_searching_after_a_method_mismatch() {
        let tree = tree(&["POST /v1/users", "GET /v1/{id}"]);
        assert_eq!(find(&tree, "GET /v1/users"), Ok(Found::Route(1)));
        assert_eq!(find(&tree, "HEAD /v1/users"), Ok(Found::Route(1)));
        let Ok(Found::OtherMethods(allow)) = find(&tree, "DELETE /v1/users") else { panic!() };
        assert_eq!(allow.into_iter().collect::<Vec<_>>(), ["GET", "HEAD", "POST"]);
    }

    #[test]
    fn a_colon_is_a_verb_only_where_a_route_has_it() {
        let tree = tree(&["GET /v1/{id}", "POST /v1/users:bulk", "GET /v1/{id}:watch"]);
        assert_eq!(find(&tree, "POST /v1/users:bulk"), Ok(Found::Route(1)));
        assert_eq!(find(&tree, "GET /v1/a:archive"), Ok(Found::Route(0)));
        assert_eq!(find(&tree, "GET /v1/a:watch"), Ok(Found::Route(2)));
        assert_eq!(find(&tree, "GET /v1/a%3Awatch"), Ok(Found::Route(0)));
        assert_eq!(find(&tree, "GET /v1/a:b:watch"), Ok(Found::Route(2)));
        assert_eq!(find(&tree, "GET /v1/:watch"), Ok(Found::Route(0)));
    }

    #[test]
    fn empty_segments_and_trailing_slashes_never_match() {
        let tree = tree(&["GET /v1/{id}", "GET /v1/{a}/{b}", "GET /f/{p=**}"]);
        for path in ["/v1/", "/v1//b", "/v1/a/", "//v1/a", "/f/a//b", "/f/a/", "", "/"] {
            assert_eq!(find(&tree, &format!("GET {path}")), Ok(Found::Nothing), "{path}");
        }
    }

    #[test]
    fn literals_compare_decoded_and_dots_are_refused() {
        let tree = tree(&["GET /v1/caf\u{e9}/{x}"]);
        assert_eq!(find(&tree, "GET /%761/caf%C3%A9/a%2Fb"), Ok(Found::Route(0)));
        for path in ["/v1/..", "/v1/%2e%2E/x", "/./v1"] {
            assert_eq!(find(&tree, &format!("GET {path}")), Err(PathError::DotSegment), "{path}");
        }
        assert_eq!(find(&tree, "GET /v1/%zz"), Err(PathError::Percent(PercentError::Malformed)));
        assert_eq!(find(&tree, "GET /v1\\x"), Err(PathError::Backslash));
    }

    #[test]
    fn rest_may_be_followed_by_fixed_segments() {
        let tree = tree(&["GET /a/{x=**}/end", "GET /a/{x=**}/{y}/fin"]);
        assert_eq!(find(&tree, "GET /a/end"), Ok(Found::Route(0)));
        assert_eq!(find(&tree, "GET /a/1/2/end"), Ok(Found::Route(0)));
        assert_eq!(find(&tree, "GET /a/end/end"), Ok(Found::Route(0)));
        assert_eq!(find(&tree, "GET /a/1/fin"), Ok(Found::Route(1)));
        assert_eq!(find(&tree, "GET /a/fin"), Ok(Found::Nothing));
    }

    #[test]
    fn a_bare_rest_does_not_hide_one_with_segments_behind_it() {
        let tree = tree(&["GET /v1/{n=**}", "GET /v1/{n=**}/revisions"]);
        assert_eq!(find(&tree, "GET /v1/a/b/revisions"), Ok(Found::Route(1)));
        assert_eq!(find(&tree, "GET /v1/a/revisions/b"), Ok(Found::Route(0)));
    }

    #[test]
    fn the_same_route_twice_is_refused_whatever_the_variable_is_called() {
        let mut tree = tree(&["GET /v1/{id}"]);
        let same = PathTemplate::parse("/v1/{name}").unwrap();
        assert_eq!(tree.insert(&same, &HttpMethod::Is(Method::GET), 1), Err(0));
        assert_eq!(tree.insert(&same, &HttpMethod::Any, 1), Ok(()));
    }
}
