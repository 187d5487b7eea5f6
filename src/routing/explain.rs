//! Why a route is not the one that a request is for: what people ask when a call is answered by
//! another method, or by none.

use std::{borrow::Cow, fmt};

use http::Method as Verb;

use super::{
    Found, PathTemplate, Route, RouteTable, Segment,
    percent_encoding::{self, Slashes},
};
use crate::schema::HttpMethod;

/// What a segment that does not fit counts: more than everything else together.
const MISS: usize = 4;

/// A route that a request came near to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number in the table.
    pub route: usize,
    /// Why it was not taken.
    pub why: WhyNot,
}

/// Why a route was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// It is taken by the route with this number, which goes first.
    Shadowed(usize),
    /// The path is its, the HTTP method is not.
    Method,
    /// It has a verb that the path has not.
    Verb {
        /// Without the colon.
        wanted: String,
    },
    /// It has more segments, or fewer.
    Segments {
        /// How many it has; at least so many if `**` is among them.
        wanted: usize,
        /// Whether there may be more.
        or_more: bool,
        /// How many the path has.
        found: usize,
    },
    /// A segment that has to be something else.
    Literal {
        /// Counted from 1, in the path.
        segment: usize,
        /// What the template has there.
        wanted: String,
        /// What the path has there, decoded.
        found: String,
    },
    /// It would fit without the slash at the end.
    TrailingSlash,
    /// A segment is empty: no template matches that.
    Empty {
        /// Counted from 1, in the path.
        segment: usize,
    },
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count: usize| if count == 1 { "" } else { "s" };
        match self {
            Self::Shadowed(_) => f.write_str("shadowed by a route that goes first"),
            Self::Method => f.write_str("method differs"),
            Self::Verb { wanted } => write!(f, "needs the verb `:{wanted}` at its end"),
            Self::Segments { wanted, or_more, found } => {
                let least = if *or_more { "at least " } else { "" };
                write!(f, "needs {least}{wanted} segment{}, found {found}", s(*wanted))
            }
            Self::Literal { segment, wanted, found } => {
                write!(f, "segment {segment} is `{found}`, not `{wanted}`")
            }
            Self::TrailingSlash => f.write_str("needs no slash at its end"),
            Self::Empty { segment } => write!(f, "segment {segment} is empty"),
        }
    }
}

/// The routes that `path` came nearest to, without the one it is for: the nearest first, `limit`
/// at most. None of those that have nothing in common with it.
pub fn candidates(table: &RouteTable, method: &Verb, path: &str, limit: usize) -> Vec<Candidate> {
    let Some(path_segments) = Path::split(path) else { return Vec::new() };
    let matched = match table.find(method, path) {
        Ok(Found::Route(number)) => Some(number),
        _ => None,
    };
    let mut near: Vec<_> = table
        .routes()
        .iter()
        .enumerate()
        .filter(|(number, _)| Some(*number) != matched)
        .filter_map(|(number, route)| {
            let (distance, why) = compare(route, method, &path_segments, matched)?;
            Some((distance, Candidate { route: number, why }))
        })
        .collect();
    // The order of the table among those that are as near.
    near.sort_by_key(|(distance, _)| *distance);
    // A path that is known is no other path misspelt.
    if matched.is_some() || near.first().is_some_and(|(distance, _)| *distance < MISS) {
        near.retain(|(_, candidate)| !matches!(candidate.why, WhyNot::Literal { .. }));
    }
    near.into_iter().take(limit).map(|(_, candidate)| candidate).collect()
}

/// A path's segments, decoded.
struct Path<'p> {
    segments: Vec<Cow<'p, str>>,
    /// The last one cut at its last colon, if it has one.
    with_verb: Option<(Cow<'p, str>, Cow<'p, str>)>,
}

impl<'p> Path<'p> {
    fn split(path: &'p str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let decode = |text| percent_encoding::decode(text, Slashes::Decode).ok();
        let last = path.rsplit('/').next().unwrap_or_default();
        let with_verb =
            last.rsplit_once(':').and_then(|(head, verb)| Some((decode(head)?, decode(verb)?)));
        let segments = path.split('/').map(decode).collect::<Option<_>>()?;
        Some(Self { segments, with_verb })
    }
}

/// How far a route is from the request, and why it is not taken; None if they have nothing in
/// common.
fn compare(
    route: &Route,
    method: &Verb,
    path: &Path<'_>,
    matched: Option<usize>,
) -> Option<(usize, WhyNot)> {
    let template = &route.template;
    let mut segments: Vec<&str> = path.segments.iter().map(AsRef::as_ref).collect();
    let mut wrong_verb = None;
    if let Some(wanted) = &template.verb {
        let (head, found) = path.with_verb.as_ref().map(|(head, verb)| (head, verb)).unzip();
        if let (Some(head), Some(last)) = (head, segments.last_mut()) {
            *last = head;
        }
        if found.is_none_or(|found| found != wanted) {
            wrong_verb = Some(WhyNot::Verb { wanted: wanted.clone() });
        }
    }
    let takes_method = match &route.binding.method {
        HttpMethod::Any => true,
        HttpMethod::Is(wanted) => {
            wanted == method || (*method == Verb::HEAD && *wanted == Verb::GET)
        }
    };
    let (misses, in_common, why) = align(template, &segments);
    if in_common == 0 && misses > 0 {
        return None;
    }
    // A wrong method is the least that can be wrong: most often there is a right one.
    let distance =
        MISS * misses + 2 * usize::from(wrong_verb.is_some()) + usize::from(!takes_method);
    let why = match why.or(wrong_verb) {
        Some(why) => why,
        None if !takes_method => WhyNot::Method,
        None => WhyNot::Shadowed(matched?),
    };
    Some((distance, why))
}

/// How many segments do not fit, how many literals do, and the first reason that there is.
fn align(template: &PathTemplate, path: &[&str]) -> (usize, usize, Option<WhyNot>) {
    let (wanted, found) = (template.segments.len(), path.len());
    let rest = template.rest();
    let least = wanted - usize::from(rest.is_some());
    let fits = if rest.is_some() { found >= least } else { found == least };
    let mut misses = if fits { 0 } else { least.abs_diff(found) };
    let mut in_common = 0;
    let mut first = None;
    for (position, segment) in template.segments.iter().enumerate() {
        // Behind `**`, segments are counted from the end.
        let at = match rest {
            Some(rest) if position > rest && !fits => None,
            Some(rest) if position > rest => (position + found).checked_sub(wanted),
            _ => Some(position),
        };
        let Some((at, text)) = at.and_then(|at| Some((at, path.get(at)?))) else { continue };
        let why = match segment {
            Segment::Literal(literal) if literal == text => {
                in_common += 1;
                continue;
            }
            Segment::Literal(_) | Segment::Any if text.is_empty() => {
                WhyNot::Empty { segment: at + 1 }
            }
            Segment::Literal(literal) => WhyNot::Literal {
                segment: at + 1,
                wanted: literal.clone(),
                found: (*text).to_owned(),
            },
            Segment::Any | Segment::Rest => continue,
        };
        misses += 1;
        first.get_or_insert(why);
    }
    if fits && first.is_none() {
        let empty = path.iter().position(|text| text.is_empty());
        first = empty.map(|at| WhyNot::Empty { segment: at + 1 });
        misses += usize::from(first.is_some());
    }
    if fits {
        return (misses, in_common, first);
    }
    let has_slash = found == least + 1 && path.last().is_some_and(|last| last.is_empty());
    let why = match first {
        None if has_slash => WhyNot::TrailingSlash,
        _ => WhyNot::Segments { wanted: least, or_more: rest.is_some(), found },
    };
    (misses, in_common, Some(why))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SOURCE: &str = r#"syntax = "proto3"; package b; import "google/api/annotations.proto";
message M { string id = 1; string a = 2; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = {get: "/v1/users/{id}"}; }
  rpc Me(M) returns (M) { option (google.api.http) = {get: "/v1/users/me"}; }
  rpc New(M) returns (M) { option (google.api.http) = {post: "/v1/users" body: "*"}; }
  rpc Ban(M) returns (M) { option (google.api.http) = {post: "/v1/users/{id}:ban" body: "*"}; }
  rpc Photo(M) returns (M) { option (google.api.http) = {get: "/v1/users/{id}/photo"}; }
  rpc Files(M) returns (M) { option (google.api.http) = {get: "/v1/files/{id=**}/raw"}; }
  rpc Other(M) returns (M) { option (google.api.http) = {get: "/w1/{id}"}; }
}"#;

    fn table() -> RouteTable {
        let schema = crate::schema::compile_for_tests("s.proto", SOURCE).unwrap();
        RouteTable::build(vec![Arc::new(schema)]).unwrap()
    }

    /// The nearest routes, as they are told.
    fn told(request: &str, limit: usize) -> Vec<String> {
        let table = table();
        let (method, path) = request.split_once(' ').unwrap();
        let near = candidates(&table, &method.parse().unwrap(), path, limit);
        let told = near.into_iter().map(|candidate| {
            let route = &table.routes()[candidate.route];
            format!("{}: {}", table.method(route.method).name, candidate.why)
        });
        told.collect()
    }

    #[test]
    fn the_nearest_come_first() {
        assert_eq!(
            told("GET /v1/users/me", 9),
            [
                "Get: shadowed by a route that goes first",
                "Ban: needs the verb `:ban` at its end",
                "Photo: needs 4 segments, found 3",
                "New: needs 2 segments, found 3",
            ]
        );
        assert_eq!(told("DELETE /v1/users/7", 2)[0], "Get: method differs");
        assert_eq!(told("POST /v1/users/7:ban", 1), ["Get: method differs"]);
        assert_eq!(told("POST /v1/users/7:Ban", 1), ["Get: method differs"]);
        assert_eq!(told("HEAD /v1/users", 2)[0], "New: method differs");
    }

    #[test]
    fn every_reason_is_told() {
        assert_eq!(told("GET /v1/usres/7", 1), ["Get: segment 2 is `usres`, not `users`"]);
        assert_eq!(told("GET /v1/users/", 1)[0], "Get: segment 3 is empty");
        assert_eq!(told("POST /v1/users/", 1), ["New: needs no slash at its end"]);
        assert_eq!(told("POST /v1/users/7:unban", 2)[1], "Ban: needs the verb `:ban` at its end");
        assert_eq!(told("GET /v1/files/a/b", 1), ["Files: segment 4 is `b`, not `raw`"]);
        assert_eq!(told("GET /v1/files//raw", 1), ["Files: segment 3 is empty"]);
        assert_eq!(told("GET /v1/files", 1)[0], "Files: needs at least 3 segments, found 2");
        assert_eq!(told("POST /b.S/Nope", 1), ["Get: segment 2 is `Nope`, not `Get`"]);
        assert_eq!(told("GET /nothing/at/all", 9), [""; 0]);
        assert_eq!(told("GET /%zz", 9), [""; 0]);
    }
}
