//! `google.api.http` rules: from descriptor to bindings.
//!
//! Only what can be said without a routing table is checked here; templates are parsed by
//! `routing::path_template`. The rules follow the comments of `google/api/http.proto`.

use super::{
    descriptor_set,
    problem::{Position, Problem},
};

/// One way to call a method over REST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpBinding {
    /// Which HTTP method.
    pub method: HttpMethod,
    /// The path template as written.
    pub template: String,
    /// What of the request message the HTTP body is.
    pub body: BodyRule,
    /// The response field that is the HTTP body; the whole message if none.
    pub response_body: Option<String>,
    /// Where it is written.
    pub position: Position,
}

/// The HTTP method of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// This one.
    Is(http::Method),
    /// Any, written `custom { kind: "*" }`.
    Any,
}

/// What of the request message an HTTP body carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyRule {
    /// Nothing: every field comes from the path or the query.
    None,
    /// `body: "*"`: every field that the path does not bind; nothing comes from the query.
    All,
    /// `body: "field"`: this top-level field.
    Field(String),
}

/// The bindings of a rule at `position`, its own first; `additional` tells where each of the
/// others is.
pub(super) fn bindings(
    rule: &descriptor_set::HttpRule,
    position: &Position,
    additional: impl Fn(usize) -> Option<Position>,
    problems: &mut Vec<Problem>,
) -> Vec<HttpBinding> {
    let mut bindings = Vec::with_capacity(1 + rule.additional_bindings.len());
    bindings.extend(binding(rule, position, problems));
    for (index, rule) in rule.additional_bindings.iter().enumerate() {
        let position = &additional(index).unwrap_or_else(|| position.clone());
        if !rule.additional_bindings.is_empty() {
            problems.push(Problem::at(
                position,
                "an additional binding cannot have additional bindings of its own",
            ));
        }
        bindings.extend(binding(rule, position, problems));
    }
    bindings
}

fn binding(
    rule: &descriptor_set::HttpRule,
    position: &Position,
    problems: &mut Vec<Problem>,
) -> Option<HttpBinding> {
    let fixed = [
        (&rule.get, http::Method::GET),
        (&rule.put, http::Method::PUT),
        (&rule.post, http::Method::POST),
        (&rule.delete, http::Method::DELETE),
        (&rule.patch, http::Method::PATCH),
    ];
    let (method, template) = if let Some(custom) = &rule.custom {
        let method = match custom.kind.as_str() {
            "*" => HttpMethod::Any,
            kind => match http::Method::from_bytes(kind.as_bytes()) {
                Ok(method) => HttpMethod::Is(method),
                Err(_) => {
                    let message = format!("`{kind}` is not an HTTP method");
                    problems.push(Problem::at(position, message));
                    return None;
                }
            },
        };
        (method, custom.path.clone())
    } else if let Some((template, method)) =
        fixed.into_iter().find_map(|(template, method)| Some((template.clone()?, method)))
    {
        (HttpMethod::Is(method), template)
    } else {
        problems.push(Problem::at(position, "the rule has no pattern: say get, put, post, …"));
        return None;
    };
    let body = match rule.body.as_str() {
        "" => BodyRule::None,
        "*" => BodyRule::All,
        field => BodyRule::Field(field.to_owned()),
    };
    let response_body = (!rule.response_body.is_empty()).then(|| rule.response_body.clone());
    Some(HttpBinding { method, template, body, response_body, position: position.clone() })
}
