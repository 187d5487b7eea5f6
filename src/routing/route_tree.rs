//! The tree that finds a route: literal before `*` before `**`, with full backtracking.
//!
//! Built once from all templates, then immutable and flat, so that a lookup among thousands of
//! routes touches little more memory than one among ten. It walks the path's segments and does
//! not allocate unless a segment is percent-encoded or there are very many. Backtracking goes on
//! after a terminal whose HTTP method does not match, so that a wildcard sibling can still
//! answer; only when nothing does, the methods are collected for the 405's `Allow`.
//!
//! A lookup visits a node at most once for each way to lay its `**` over the path, and a `**` is
//! only laid where the fixed segments behind it still fit: what it costs is bounded by the table,
//! whatever the path.

use std::collections::BTreeSet;

use http::Method;

use super::percent_encoding::PercentError;

mod build;
mod segments;

pub use build::RouteTreeBuilder;
use segments::{Segments, is_dots};

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

/// All routes, by path. Routes are numbers, given by whoever inserts them into its builder.
#[derive(Debug, Default)]
pub struct RouteTree {
    /// The root first, and each node behind its parent.
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// The texts of all edges.
    texts: Vec<u8>,
    terminals: Vec<Terminal>,
    /// By their numbers in terminals.
    methods: Vec<Method>,
    /// Sorted; by their numbers in terminals.
    verbs: Vec<String>,
}

/// No node, no verb, no method: nothing has this number.
const NONE: u32 = u32::MAX;

/// A terminal for any HTTP method.
const ANY_METHOD: u32 = NONE - 1;

/// Up to so many literals are compared one by one; hashing costs more.
const SCAN_LIMIT: u32 = 6;

#[derive(Debug)]
struct Node {
    /// The node behind `*`.
    any: u32,
    /// The node behind `**`.
    rest: u32,
    /// Its literals, from this edge on: so many, or where there are more than [`SCAN_LIMIT`], a
    /// table of so many slots, a power of two.
    first_edge: u32,
    edge_count: u32,
    first_terminal: u32,
    terminal_count: u32,
    /// The most segments that can follow.
    depth: u32,
}

/// A literal that leads to a node, or an empty slot of a table.
#[derive(Clone, Debug)]
struct Edge {
    hash: u32,
    node: u32,
    text: u32,
    length: u32,
}

#[derive(Debug)]
struct Terminal {
    verb: u32,
    method: u32,
    route: u32,
}

impl RouteTree {
    /// Finds the route for a raw (still percent-encoded) path. `HEAD` follows `GET`.
    pub fn find(&self, method: &Method, path: &str) -> Result<Found, PathError> {
        self.search(method, path).map(|(found, _)| found)
    }

    /// Every HTTP method that some route is for.
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        self.methods.iter()
    }

    /// What it finds, and how many nodes it has visited.
    fn search(&self, method: &Method, path: &str) -> Result<(Found, usize), PathError> {
        let mut segments = Segments::none();
        segments.split(path)?;
        let number = |method| self.methods.iter().position(|known| known == method);
        let number = |method| number(method).map_or(NONE, |number| number as u32);
        let mut search = Search {
            tree: self,
            method: number(method),
            followed: if method == Method::HEAD { number(&Method::GET) } else { NONE },
            others: Others::Unseen,
            visits: 0,
        };
        // Nothing matches an empty segment.
        if self.nodes.is_empty() || !path.starts_with('/') || segments.has_empty() {
            return Ok((Found::Nothing, 0));
        }
        let mut found = search.run(&mut segments)?;
        if found.is_none() && matches!(search.others, Others::Seen) {
            search.others = Others::Collected(BTreeSet::new());
            found = search.run(&mut segments)?;
        }
        let visits = search.visits;
        let found = match (found, search.others) {
            (Some(route), _) => Found::Route(route as usize),
            (None, Others::Collected(allow)) => Found::OtherMethods(allow),
            (None, _) => Found::Nothing,
        };
        Ok((found, visits))
    }

    /// The node that the literal `text` leads to.
    fn literal(&self, node: &Node, text: &[u8]) -> Option<u32> {
        let is_it = |edge: &Edge| {
            let start = edge.text as usize;
            edge.length as usize == text.len() && self.texts[start..][..text.len()] == *text
        };
        let edges = &self.edges[node.first_edge as usize..][..node.edge_count as usize];
        if node.edge_count <= SCAN_LIMIT {
            return edges.iter().find(|edge| is_it(edge)).map(|edge| edge.node);
        }
        let hash = hash(text);
        let mask = edges.len() - 1;
        let slots = (0..edges.len()).map(|step| &edges[(hash as usize + step) & mask]);
        slots
            .take_while(|edge| edge.node != NONE)
            .find(|edge| edge.hash == hash && is_it(edge))
            .map(|edge| edge.node)
    }

    fn verb(&self, text: &str) -> Option<u32> {
        let found = self.verbs.binary_search_by(|verb| verb.as_str().cmp(text));
        found.ok().map(|number| number as u32)
    }
}

/// Eight bytes at a time. The texts in a table are the operator's, so nobody else can make them
/// collide; a text looked up costs at most the longest run of its table.
fn hash(text: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut hash = text.len() as u64;
    let mut add = |word: u64| hash = (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    let (words, rest) = text.as_chunks::<8>();
    words.iter().for_each(|word| add(u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    add(u64::from_le_bytes(last));
    (hash ^ hash >> 32) as u32
}

/// Routes on the path for other HTTP methods than the one that is looked for.
enum Others {
    Unseen,
    Seen,
    /// Every method is collected, and no route found.
    Collected(BTreeSet<String>),
}

struct Search<'t> {
    tree: &'t RouteTree,
    method: u32,
    /// The method whose routes answer too: `GET` for a `HEAD`.
    followed: u32,
    others: Others,
    visits: usize,
}

impl Search<'_> {
    fn run(&mut self, segments: &mut Segments<'_>) -> Result<Option<u32>, PathError> {
        // `:verb` is a verb only where a route has it; otherwise it is part of the value.
        let split = if self.tree.verbs.is_empty() { None } else { segments.split_verb() };
        if let Some((head, verb)) = split.and_then(|(h, v)| Some((h, self.tree.verb(&v)?)))
            && !head.is_empty()
        {
            let full = segments.replace_last(head);
            let found = self.descend(0, segments.as_slice(), verb);
            let head = segments.replace_last(full);
            if found.is_some() {
                return match is_dots(&head) {
                    true => Err(PathError::DotSegment),
                    false => Ok(found),
                };
            }
        }
        Ok(self.descend(0, segments.as_slice(), NONE))
    }

    /// Goes on from a node with the segments that are left. As deep as the longest template: only
    /// `**` takes several segments.
    fn descend(&mut self, node: u32, left: &[segments::Segment<'_>], verb: u32) -> Option<u32> {
        self.visits += 1;
        let tree = self.tree;
        let node = &tree.nodes[node as usize];
        let Some((segment, behind)) = left.split_first() else {
            let here = self.terminal(node, verb);
            // `**` matches zero segments too.
            return here.or_else(|| self.follow(node.rest, left, verb));
        };
        let literal = tree.literal(node, segment.as_bytes());
        literal
            .and_then(|next| self.descend(next, behind, verb))
            .or_else(|| self.follow(node.any, behind, verb))
            .or_else(|| self.rest(node.rest, left, verb))
    }

    fn follow(&mut self, node: u32, left: &[segments::Segment<'_>], verb: u32) -> Option<u32> {
        if node == NONE { None } else { self.descend(node, left, verb) }
    }

    /// The shortest rest first, so that fixed segments behind `**` win over a bare `**`; but not
    /// so short that more is left than any of them takes.
    fn rest(&mut self, node: u32, left: &[segments::Segment<'_>], verb: u32) -> Option<u32> {
        let behind = self.tree.nodes.get(node as usize)?.depth as usize;
        let shortest = left.len().saturating_sub(behind);
        (shortest..=left.len()).find_map(|taken| self.descend(node, &left[taken..], verb))
    }

    fn terminal(&mut self, node: &Node, verb: u32) -> Option<u32> {
        let terminals = &self.tree.terminals[node.first_terminal as usize..];
        let terminals = &terminals[..node.terminal_count as usize];
        let mut any = None;
        let mut follows = None;
        for terminal in terminals.iter().filter(|terminal| terminal.verb == verb) {
            match (&mut self.others, terminal.method) {
                (Others::Collected(methods), method) => {
                    let method = self.tree.methods.get(method as usize);
                    if method == Some(&Method::GET) {
                        methods.insert(Method::HEAD.to_string());
                    }
                    methods.extend(method.map(Method::to_string));
                }
                (_, ANY_METHOD) => any = Some(terminal.route),
                (_, method) if method == self.method => return Some(terminal.route),
                (_, method) if method == self.followed => follows = Some(terminal.route),
                (others, _) => *others = Others::Seen,
            }
        }
        follows.or(any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{routing::path_template::PathTemplate, schema::HttpMethod};

    fn builder(routes: &[&str]) -> RouteTreeBuilder {
        let mut tree = RouteTreeBuilder::default();
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

    fn tree(routes: &[&str]) -> RouteTree {
        builder(routes).finish()
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
        assert_eq!(find(&tree, "GET /v1/..:watch"), Err(PathError::DotSegment));
        assert_eq!(find(&tree, "GET /v1/..:archive"), Ok(Found::Route(0)));
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
        let mut tree = builder(&["GET /v1/{id}"]);
        let same = PathTemplate::parse("/v1/{name}").unwrap();
        assert_eq!(tree.insert(&same, &HttpMethod::Is(Method::GET), 1), Err(0));
        assert_eq!(tree.insert(&same, &HttpMethod::Any, 1), Ok(()));
    }

    #[test]
    fn many_literals_are_found_and_others_are_not() {
        let templates: Vec<_> = (0..1000).map(|n| format!("GET /v1/resource{n}/{{id}}")).collect();
        let tree = tree(&templates.iter().map(String::as_str).collect::<Vec<_>>());
        for n in 0..1000 {
            let found = find(&tree, &format!("GET /v1/resource{n}/x"));
            assert_eq!(found, Ok(Found::Route(n)), "{n}");
        }
        for path in ["/v1/resource1000/x", "/v1/resource/x", "/v1/resourc\u{e9}/x"] {
            assert_eq!(find(&tree, &format!("GET {path}")), Ok(Found::Nothing), "{path}");
        }
    }

    #[test]
    fn a_path_of_more_segments_than_have_room_is_found() {
        let template = format!("GET {}", "/a".repeat(40));
        let tree = tree(&[&template, "GET /b/{x=**}"]);
        assert_eq!(find(&tree, &template), Ok(Found::Route(0)));
        assert_eq!(find(&tree, &format!("GET /b{}", "/%61".repeat(100))), Ok(Found::Route(1)));
        assert_eq!(find(&tree, &format!("{template}:verb")), Ok(Found::Nothing));
    }

    /// Every way to put a literal or a `*` at each of `depth` places.
    fn bushy(depth: usize, prefix: &str, end: &str) -> Vec<String> {
        let segment = |bits: usize, place: usize| if bits >> place & 1 == 0 { "/a" } else { "/*" };
        (0..1 << depth)
            .map(|bits| {
                let middle: String = (0..depth).map(|place| segment(bits, place)).collect();
                format!("POST {prefix}{middle}{end}")
            })
            .collect()
    }

    #[test]
    fn no_path_costs_more_than_the_table_is_large() {
        let mut templates = bushy(8, "", "/x");
        templates.extend(bushy(5, "/r/**", "/x:verb"));
        templates.push("GET /r/**".to_owned());
        let tree = tree(&templates.iter().map(String::as_str).collect::<Vec<_>>());
        let nodes = tree.nodes.len();
        for path in [
            "/a".repeat(9),
            "/a".repeat(4_000),
            format!("/r{}", "/a".repeat(4_000)),
            format!("/r{}/x:verb", "/a".repeat(4_000)),
            format!("/r{}/y:verb", "/a".repeat(4_000)),
            format!("/r{}", "/x:verb".repeat(500)),
        ] {
            // With a verb and without; to find, and to collect what a 405 says; and a rest may be
            // laid as often as there are lengths of what follows it.
            let (_, visits) = tree.search(&Method::PUT, &path).unwrap();
            let limit = 2 * 2 * nodes * 7;
            assert!(visits <= limit, "{visits} visits, {nodes} nodes: {}", &path[..20]);
        }
        // Many more segments are no more visits.
        let visits = |length: usize| {
            tree.search(&Method::PUT, &format!("/r{}/x", "/a".repeat(length))).unwrap().1
        };
        assert_eq!(visits(100), visits(4_000));
    }
}
