//! Path templates as OpenAPI writes them: one parameter for each wildcard.
//!
//! A variable of several segments, `{name=shelves/*/items/*}`, becomes
//! `shelves/{name.1}/items/{name.2}`, because a parameter of OpenAPI is one segment.

use crate::routing::{PathTemplate, Segment, Variable};

/// The OpenAPI path of a template.
pub(super) fn path(template: &PathTemplate) -> String {
    let mut path = String::new();
    for (position, segment) in template.segments.iter().enumerate() {
        path.push('/');
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Any | Segment::Rest => {
                path.push_str(&format!("{{{}}}", parameter(template, position)));
            }
        }
    }
    if let Some(verb) = &template.verb {
        path.push(':');
        path.push_str(verb);
    }
    path
}

/// Each parameter of the path: its name, the variable it is (a part of), and whether it is all
/// of it.
pub(super) fn parameters(template: &PathTemplate) -> Vec<(String, Option<&Variable>, bool)> {
    let wildcards =
        template.segments.iter().enumerate().filter(|(_, segment)| is_wildcard(segment));
    wildcards
        .map(|(position, _)| {
            let variable = variable_at(template, position);
            let is_whole = variable.is_some_and(|v| v.end - v.start == 1);
            (parameter(template, position), variable, is_whole)
        })
        .collect()
}

fn parameter(template: &PathTemplate, position: usize) -> String {
    let count_from = |start: usize| {
        template.segments[start..=position].iter().filter(|segment| is_wildcard(segment)).count()
    };
    match variable_at(template, position) {
        Some(variable) if variable.end - variable.start == 1 => variable.field_path.clone(),
        Some(variable) => format!("{}.{}", variable.field_path, count_from(variable.start)),
        None => format!("segment.{}", count_from(0)),
    }
}

fn variable_at(template: &PathTemplate, position: usize) -> Option<&Variable> {
    template.variables.iter().find(|variable| (variable.start..variable.end).contains(&position))
}

fn is_wildcard(segment: &Segment) -> bool {
    !matches!(segment, Segment::Literal(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wildcard_is_a_parameter() {
        for (template, expected, names) in [
            ("/v1/users/{user_id}", "/v1/users/{user_id}", &["user_id"][..]),
            (
                "/v1/{name=shelves/*/items/*}:copy",
                "/v1/shelves/{name.1}/items/{name.2}:copy",
                &["name.1", "name.2"],
            ),
            ("/v1/*/{rest=**}", "/v1/{segment.1}/{rest}", &["segment.1", "rest"]),
        ] {
            let template = PathTemplate::parse(template).unwrap();
            assert_eq!(path(&template), expected);
            let parameters = parameters(&template);
            assert_eq!(parameters.iter().map(|p| p.0.as_str()).collect::<Vec<_>>(), names);
        }
    }
}
