//! An outcome as a page for people.

use std::fmt::Write as _;

use super::{
    outcome::{Ending, Explainer, Outcome},
    request::Described,
};
use crate::{
    protocol::sse,
    routing::{
        Route,
        explain::{Candidate, WhyNot, candidates},
        percent_encoding,
    },
    schema::{BodyRule, HttpMethod},
    status::Code,
};

/// How many routes that were not taken are told.
const CANDIDATES: usize = 8;

/// What became of `request`, and why.
pub(super) fn page(explainer: &Explainer, request: &Described, outcome: &Outcome) -> String {
    let mut page = format!("{} {}\n", request.method, request.uri);
    if let Some(matched) = &outcome.matched {
        let route = &explainer.table.routes()[matched.route];
        let _ = writeln!(page, "\nmatches {}", name(route));
        let _ = writeln!(page, "  calls {}", matched.method);
        let _ = writeln!(page, "  at    {}", route.binding.position);
        let bound = bound(route, request);
        if !bound.is_empty() {
            page.push_str("\ngives\n");
            columns(&bound, &mut page);
        }
    }
    match &outcome.ending {
        Ending::Served(messages) => {
            for (index, message) in messages.iter().enumerate() {
                match messages.len() {
                    1 => page.push_str("\nrequest message\n"),
                    count => {
                        let _ = writeln!(page, "\nrequest message {} of {count}", index + 1);
                    }
                }
                let json = |matched| explainer.json(matched, message, true);
                for line in outcome.matched.as_ref().map(json).unwrap_or_default().lines() {
                    let _ = writeln!(page, "  {line}");
                }
            }
            if messages.is_empty() {
                page.push_str("\na stream of no request messages\n");
            }
        }
        Ending::Alone => {
            let _ = writeln!(page, "\nanswered by the gateway itself: {}", status(outcome));
            if let Some(allow) = &outcome.allow {
                let _ = writeln!(page, "  allow: {}", allow.join(", "));
            }
        }
        Ending::FinishedStream => {
            let _ = writeln!(
                page,
                "\nanswered by the gateway itself: {}, because `last-event-id: {}` says that the \
                 stream is over",
                status(outcome),
                sse::END_ID,
            );
        }
        Ending::Page(key) => {
            let _ = writeln!(
                page,
                "\na page of the server's own: {key} of the configuration, not explained further"
            );
        }
        Ending::Refused(told) => refusal(outcome, told, &mut page),
    }
    let path = request.uri.path();
    let others = match outcome.ending {
        Ending::Page(_) => Vec::new(),
        _ => candidates(&explainer.table, &request.method, path, CANDIDATES),
    };
    if !others.is_empty() {
        page.push_str("\nroutes that were not taken, the nearest first\n");
        let rows: Vec<_> = others.iter().map(|other| candidate(explainer, other)).collect();
        columns(&rows, &mut page);
    }
    page
}

fn status(outcome: &Outcome) -> String {
    outcome.http_status.map(|status| status.to_string()).unwrap_or_default()
}

fn refusal(outcome: &Outcome, told: &serde_json::Value, page: &mut String) {
    let code = Code::from_number(told["code"].as_i64().unwrap_or_default());
    let _ = writeln!(page, "\nrefused: {}, {} ({})", status(outcome), code.name(), code.number());
    let details = told["details"].as_array().into_iter().flatten();
    let violations: Vec<_> = details
        .filter_map(|detail| detail["fieldViolations"].as_array())
        .flatten()
        .map(|violation| {
            let text = |name: &str| violation[name].as_str().unwrap_or_default().to_owned();
            [text("field"), text("description")]
        })
        .collect();
    // The message tells the first violation, and counts the others.
    match violations.is_empty() {
        true => {
            let message = told["message"].as_str().unwrap_or_default();
            let _ = writeln!(page, "  {message}");
        }
        false => columns(&violations, page),
    }
    if let Some(allow) = &outcome.allow {
        let _ = writeln!(page, "  allow: {}", allow.join(", "));
    }
}

/// Where each part of the request goes.
fn bound(route: &Route, request: &Described) -> Vec<[String; 3]> {
    let mut bound = Vec::new();
    let variables = route.template.variables.iter();
    for (variable, text) in variables.zip(route.captures(request.uri.path())) {
        let text = text.map_or_else(|error| error.to_string(), |text| format!("{text:?}"));
        bound.push([variable.field_path.clone(), text, "from the path".to_owned()]);
    }
    let query = request.uri.query().unwrap_or_default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text| {
            percent_encoding::decode_query(text)
                .map_or_else(|_| text.to_owned(), |t| t.into_owned())
        };
        bound.push([decode(name), format!("{:?}", decode(value)), "from the query".to_owned()]);
    }
    if !request.body.is_empty() {
        let field = match &route.binding.body {
            BodyRule::None => "nothing".to_owned(),
            BodyRule::All => "*".to_owned(),
            BodyRule::Field(field) => field.clone(),
        };
        let size = match request.body.len() {
            1 => "1 byte".to_owned(),
            bytes => format!("{bytes} bytes"),
        };
        bound.push([field, size, "from the body".to_owned()]);
    }
    bound
}

fn candidate(explainer: &Explainer, other: &Candidate) -> [String; 2] {
    let routes = explainer.table.routes();
    let why = match other.why {
        WhyNot::Shadowed(by) => format!("shadowed by {}, which goes first", name(&routes[by])),
        _ => other.why.to_string(),
    };
    [name(&routes[other.route]), why]
}

/// `GET /v1/users/{user_id}`.
fn name(route: &Route) -> String {
    let method = match &route.binding.method {
        HttpMethod::Is(method) => method.as_str(),
        HttpMethod::Any => "*",
    };
    format!("{method} {}", route.binding.template)
}

/// Rows below each other, two spaces in.
fn columns<const N: usize>(rows: &[[String; N]], page: &mut String) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or_default());
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(page, "  {}", line.trim_end());
    }
}
