//! What is allowed and yet probably not meant: routes that nothing reaches, verbs that take
//! data, methods that nobody has annotated. Each lint says where, and what to do about it.

use std::collections::HashSet;

use http::Method as Verb;

use super::{Found, Route, RouteTable, path_template::Segment};
use crate::schema::{BodyRule, HttpMethod, MessageIndex, Position, Schema};

/// How many fields a finding names.
const NAMES: usize = 5;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// What sort of finding.
    pub kind: LintKind,
    /// Where it is.
    pub position: Position,
    /// What it is, and what to do.
    pub message: String,
}

/// The sorts of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LintKind {
    /// Other routes answer every path of this one.
    Shadowed,
    /// A verb takes values that belong to another route; or a colon looks like a verb and is none.
    VerbCaptured,
    /// No rule: the method is reached at `POST /pkg.Service/Method` alone.
    Unannotated,
    /// A body on a `GET`, which browsers do not send.
    BodyOnGet,
    /// Fields of a `POST`, `PUT` or `PATCH` that only the query can set.
    MissingBody,
    /// A rule of a service configuration that a later one replaces.
    Overridden,
}

impl LintKind {
    /// As it is printed: `verb-captured`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shadowed => "shadowed",
            Self::VerbCaptured => "verb-captured",
            Self::Unannotated => "unannotated",
            Self::BodyOnGet => "body-on-get",
            Self::MissingBody => "missing-body",
            Self::Overridden => "overridden",
        }
    }
}

impl RouteTable {
    /// Everything that is probably not meant, by place.
    pub fn lints(&self) -> Vec<Lint> {
        let mut lints = Vec::new();
        self.lint_methods(&mut lints);
        self.lint_shadows(&mut lints);
        self.lint_verbs(&mut lints);
        for route in self.annotated() {
            lints.extend(self.lint_body(route));
            lints.extend(lint_colon(route));
        }
        lints.sort_by(|a, b| (&a.position, a.kind).cmp(&(&b.position, b.kind)));
        lints
    }

    fn annotated(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().filter(|route| route.is_annotated)
    }

    fn lint_methods(&self, lints: &mut Vec<Lint>) {
        for schema in &self.schemas {
            for method in schema.services().iter().flat_map(|service| &service.methods) {
                if !method.has_rule {
                    lints.push(Lint {
                        kind: LintKind::Unannotated,
                        position: method.position.clone(),
                        message: format!(
                            "{} has no HTTP rule and is reached at POST {} alone: add a \
                             google.api.http option, or a rule to the service configuration",
                            method.full_name(),
                            method.path
                        ),
                    });
                }
            }
            lints.extend(schema.overridden_rules().iter().filter_map(|problem| {
                let (position, message) = (problem.position.clone()?, problem.message.clone());
                Some(Lint { kind: LintKind::Overridden, position, message })
            }));
        }
    }

    /// A template is reached at all if it is with values that no template names: whatever else
    /// matches those matches any value, and comes first for any. So one path tells, or where
    /// there is a `**`, one for each length of it up to where lengths make no difference.
    fn lint_shadows(&self, lints: &mut Vec<Lint>) {
        let templates = || self.routes.iter().map(|route| &route.template);
        let segments = templates().flat_map(|template| &template.segments);
        let literals: HashSet<&str> = segments
            .filter_map(|segment| match segment {
                Segment::Literal(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let value = unused("x", |value| literals.contains(value));
        let is_bound = |name: &str| self.annotated().any(|route| method_name(route) == Some(name));
        let any_method = unused("X", is_bound);
        let longest = templates().map(|template| template.segments.len()).max().unwrap_or_default();
        for (number, route) in self.routes.iter().enumerate().filter(|(_, r)| r.is_annotated) {
            let Ok(method) = method_name(route).unwrap_or(&any_method).parse::<Verb>() else {
                continue;
            };
            let rests = if route.template.rest().is_some() { longest + 1 } else { 0 };
            let mut winner = None;
            let is_reached =
                (0..=rests).any(|rest| match self.tree.find(&method, &path(route, &value, rest)) {
                    Ok(Found::Route(found)) if found == number => true,
                    Ok(Found::Route(found)) => {
                        winner.get_or_insert(found);
                        false
                    }
                    _ => false,
                });
            if let (false, Some(winner)) = (is_reached, winner) {
                lints.push(Lint {
                    kind: LintKind::Shadowed,
                    position: route.binding.position.clone(),
                    message: format!(
                        "no path reaches `{}`: {} comes first; leave one of them out, or make \
                         this one more specific",
                        route.binding.template,
                        self.name(&self.routes[winner])
                    ),
                });
            }
        }
    }

    /// `/v1/{id}` beside `/v1/{id}:watch`, for one HTTP method: the value `a:watch` is cut.
    fn lint_verbs(&self, lints: &mut Vec<Lint>) {
        for route in self.annotated() {
            let Some(verb) = &route.template.verb else { continue };
            let takes_from = |data: &&Route| {
                data.template.verb.is_none()
                    && shares_method(route, data)
                    && takes_last(&route.template.segments, &data.template.segments)
            };
            if let Some(data) = self.annotated().find(takes_from) {
                lints.push(Lint {
                    kind: LintKind::VerbCaptured,
                    position: route.binding.position.clone(),
                    message: format!(
                        "`{}` takes the values of {} that end in `:{verb}`: keep such values out, \
                         or give one of them another HTTP method",
                        route.binding.template,
                        self.name(data)
                    ),
                });
            }
        }
    }

    fn lint_body(&self, route: &Route) -> Option<Lint> {
        let has_body = route.binding.body != BodyRule::None;
        let (kind, message) = match method_name(route)? {
            "GET" | "HEAD" if has_body => {
                let text = "browsers send no body with a GET, and proxies may drop it: use post, \
                            or leave the body out";
                (LintKind::BodyOnGet, text.to_owned())
            }
            "POST" | "PUT" | "PATCH" if !has_body => {
                let schema = &self.schemas[route.method.schema];
                let unbound = unbound_fields(schema, self.method(route.method).input, route);
                if unbound.is_empty() {
                    return None;
                }
                let text = format!(
                    "only the query can set {}: say `body: \"*\"` if the body should",
                    first_few(&unbound)
                );
                (LintKind::MissingBody, text)
            }
            _ => return None,
        };
        Some(Lint { kind, position: route.binding.position.clone(), message })
    }

    fn name(&self, route: &Route) -> String {
        let rpc = self.method(route.method).full_name();
        format!("`{}` of {rpc} ({})", route.binding.template, route.binding.position)
    }
}

/// The first [`NAMES`], and how many there are besides.
fn first_few(names: &[String]) -> String {
    let first = names[..names.len().min(NAMES)].join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// A colon in the middle of a template.
fn lint_colon(route: &Route) -> Option<Lint> {
    let (_, before) = route.template.segments.split_last()?;
    let literal = before.iter().find_map(|segment| match segment {
        // Who writes %3A knows that it is no verb.
        Segment::Literal(text) if text.contains(':') && route.binding.template.contains(text) => {
            Some(text)
        }
        _ => None,
    })?;
    let message = format!(
        "the colon of `{literal}` begins no verb: only the last segment can have one; write %3A \
         if a plain colon is meant"
    );
    Some(Lint { kind: LintKind::VerbCaptured, position: route.binding.position.clone(), message })
}

/// None for a route of every method.
fn method_name(route: &Route) -> Option<&str> {
    match &route.binding.method {
        HttpMethod::Is(method) => Some(method.as_str()),
        HttpMethod::Any => None,
    }
}

fn shares_method(a: &Route, b: &Route) -> bool {
    match (method_name(a), method_name(b)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

/// `base`, as often as it takes to be something else than all there is.
fn unused(base: &str, is_used: impl Fn(&str) -> bool) -> String {
    let mut text = base.to_owned();
    while is_used(&text) {
        text.push_str(base);
    }
    text
}

/// A path that the route's template matches: `value` for each `*`, and `rest` of them for `**`.
fn path(route: &Route, value: &str, rest: usize) -> String {
    let mut path = String::new();
    let mut add = |segment: &str| {
        path.push('/');
        path.push_str(segment);
    };
    for segment in &route.template.segments {
        match segment {
            Segment::Literal(text) => add(&encoded(text)),
            Segment::Any => add(value),
            Segment::Rest => (0..rest).for_each(|_| add(value)),
        }
    }
    if let Some(verb) = &route.template.verb {
        path.push(':');
        path.push_str(&encoded(verb));
    }
    path
}

/// Every byte that could mean something is encoded.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Whether a path of the template with a verb is one of the other template too, the verb in the
/// value of its last wildcard.
fn takes_last(with_verb: &[Segment], data: &[Segment]) -> bool {
    match data.split_last() {
        Some((Segment::Any, _)) => intersect(with_verb, data),
        // The verb is behind a segment: the rest must not be empty.
        Some((Segment::Rest, _)) => intersect(with_verb, &[data, &[Segment::Any]].concat()),
        _ => false,
    }
}

/// Whether some path matches both.
fn intersect(a: &[Segment], b: &[Segment]) -> bool {
    match (a.split_first(), b.split_first()) {
        (None, None) => true,
        (Some((Segment::Rest, behind)), _) => {
            intersect(behind, b) || b.split_first().is_some_and(|(_, b)| intersect(a, b))
        }
        (_, Some((Segment::Rest, _))) => intersect(b, a),
        (Some((x, a)), Some((y, b))) => {
            (x == y || *x == Segment::Any || *y == Segment::Any) && intersect(a, b)
        }
        _ => false,
    }
}

/// The fields of the request that no variable binds, or binds a part of.
fn unbound_fields(schema: &Schema, input: MessageIndex, route: &Route) -> Vec<String> {
    let is_bound = |name: &str| {
        let mut outer = route.variables.iter().filter_map(|path| path.fields(schema).next());
        outer.any(|field| field.name == name)
    };
    let fields = schema.message(input).fields.iter().filter(|field| !is_bound(&field.name));
    fields.map(|field| format!("`{}`", field.name)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The lints of a service whose methods have these rules, one a line, in order.
    fn lints(rules: &[&str]) -> Vec<String> {
        let mut source =
            "syntax = \"proto3\"; package l; import \"google/api/annotations.proto\"; \
             message M { string id = 1; M child = 2; string other = 3; } service S {\n"
                .to_owned();
        for (number, rule) in rules.iter().enumerate() {
            let option = format!("option (google.api.http) = {{{rule}}};");
            let option = if rule.is_empty() { "" } else { &option };
            source.push_str(&format!("rpc R{number}(M) returns (M) {{ {option} }}\n"));
        }
        source.push('}');
        let schema = Arc::new(crate::schema::compile_for_tests("l.proto", &source).unwrap());
        let table = RouteTable::build(vec![schema]).unwrap();
        let line = |lint: Lint| {
            let line = lint.position.line_column.unwrap().0;
            format!("R{} {}: {}", line - 2, lint.kind.name(), lint.message)
        };
        table.lints().into_iter().map(line).collect()
    }

    /// The same, without messages.
    fn kinds(rules: &[&str]) -> Vec<String> {
        let first = |lint: String| lint.split(": ").next().unwrap().to_owned();
        lints(rules).into_iter().map(first).collect()
    }

    #[test]
    fn what_apis_usually_have_is_clean() {
        let usual = [
            r#"get: "/v1/{id=users/*}""#,
            r#"get: "/v1/users""#,
            r#"post: "/v1/users" body: "*""#,
            r#"patch: "/v1/{child.id=users/*}" body: "child""#,
            r#"delete: "/v1/{id=users/*}""#,
            r#"post: "/v1/{id=users/*}:archive" body: "*""#,
            r#"post: "/v1/users:bulk" body: "*""#,
            r#"get: "/v1/{id=**}""#,
            r#"get: "/v2/users/{id}" additional_bindings {get: "/v2/{id=**}"}"#,
            r#"custom {kind: "*" path: "/v3/{id=**}"}"#,
        ];
        assert_eq!(lints(&usual), [""; 0]);
    }

    #[test]
    fn a_route_that_nothing_reaches_is_shadowed() {
        let rules = [r#"get: "/v1/{id=projects/*/**}""#, r#"get: "/v1/projects/{id=**}/logs""#];
        assert_eq!(
            lints(&rules),
            ["R1 shadowed: no path reaches `/v1/projects/{id=**}/logs`: \
              `/v1/{id=projects/*/**}` of l.S/R0 (l.proto:2:25) comes first; leave one of them \
              out, or make this one more specific"]
        );
        // Three others together answer all of it.
        let together = [
            r#"get: "/a/{id=**}""#,
            r#"get: "/a""#,
            r#"get: "/a/{id}""#,
            r#"get: "/a/{id}/{other=**}""#,
        ];
        assert_eq!(kinds(&together), ["R0 shadowed"]);
        // Two do not: `/a` itself is left.
        assert_eq!(kinds(&[together[0], together[3]]), [""; 0]);
        let any = [r#"custom {kind: "*" path: "/a/*/**"}"#, r#"get: "/a/**/b""#];
        assert_eq!(kinds(&any), ["R1 shadowed"]);
        let another_method = [r#"delete: "/a/*/**""#, r#"get: "/a/**/b""#];
        assert_eq!(kinds(&another_method), [""; 0]);
    }

    #[test]
    fn a_verb_that_takes_the_values_of_another_route_is_told() {
        let rules = [r#"get: "/v1/{id}""#, r#"get: "/v1/{id}:watch""#];
        assert_eq!(
            lints(&rules),
            ["R1 verb-captured: `/v1/{id}:watch` takes the values of `/v1/{id}` of l.S/R0 \
              (l.proto:2:25) that end in `:watch`: keep such values out, or give one of them \
              another HTTP method"]
        );
        for (data, verb, is_told) in [
            (r#"get: "/v1/users/{id}""#, r#"get: "/v1/{id=*/*}:watch""#, true),
            (r#"get: "/v1/{id=**}""#, r#"get: "/v1/users:watch""#, true),
            (r#"get: "/v1/{id=**}""#, r#"get: "/v1:watch""#, false),
            (r#"get: "/v1/{id=**}""#, r#"get: "/{id}/users:watch""#, true),
            (r#"get: "/v1/users""#, r#"get: "/v1/{id}:watch""#, false),
            (r#"get: "/v1/{id}""#, r#"delete: "/v1/{id}:watch""#, false),
            (r#"get: "/v1/{id}""#, r#"custom {kind: "*" path: "/v1/{id}:watch"}"#, true),
            (r#"get: "/v1/{id}""#, r#"get: "/v2/{id}:watch""#, false),
            (r#"get: "/v1/{id}:look""#, r#"get: "/v1/{id}:watch""#, false),
        ] {
            let told = kinds(&[data, verb]).contains(&"R1 verb-captured".to_owned());
            assert_eq!(told, is_told, "{data} {verb}");
        }
    }

    #[test]
    fn a_colon_that_is_no_verb_is_told_unless_it_is_encoded() {
        let found = lints(&[r#"get: "/v1/users:all/{id}""#, r#"get: "/v1/users%3Aall/x""#]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("R0 verb-captured: the colon of `users:all` begins no verb"));
    }

    #[test]
    fn of_many_names_the_first_are_told() {
        let names: Vec<_> = (1..=58).map(|n| n.to_string()).collect();
        assert_eq!(first_few(&names), "1, 2, 3, 4, 5 and 53 more");
        assert_eq!(first_few(&names[..5]), "1, 2, 3, 4, 5");
        assert_eq!(first_few(&names[..6]), "1, 2, 3, 4, 5 and 1 more");
        assert_eq!(first_few(&names[..1]), "1");
    }

    #[test]
    fn bodies_and_missing_rules_are_told() {
        let found = lints(&[
            r#"get: "/a" body: "*""#,
            r#"post: "/b/{child.id}""#,
            "",
            r#"put: "/c/{id}" body: "child""#,
            r#"delete: "/d" body: "*""#,
        ]);
        let begins = [
            "R0 body-on-get: browsers send no body",
            "R1 missing-body: only the query can set `id`, `other`: say `body: \"*\"`",
            "R2 unannotated: l.S/R2 has no HTTP rule and is reached at POST /l.S/R2 alone",
        ];
        assert_eq!(found.len(), begins.len(), "{found:?}");
        for (found, begin) in found.iter().zip(begins) {
            assert!(found.starts_with(begin), "{found}");
        }
    }
}
