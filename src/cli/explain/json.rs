//! An outcome as one JSON object, for programs.

use bytes::Bytes;
use serde_json::Value;

use super::outcome::{Ending, Explainer, Outcome};

/// The object, on one line.
pub(super) fn object(explainer: &Explainer, outcome: &Outcome) -> String {
    let mut members = Vec::new();
    if let Some(status) = outcome.http_status {
        members.push(("http_status", status.as_u16().to_string()));
    }
    if let Some(allow) = &outcome.allow {
        members.push(("allow", Value::from(allow.clone()).to_string()));
    }
    if let Some(matched) = &outcome.matched {
        members.push(("method", quoted(&matched.method)));
        members.push(("template", quoted(&matched.template)));
    }
    match &outcome.ending {
        Ending::Served(messages) => {
            let Some(matched) = &outcome.matched else { return error("it is for no route") };
            let json = |message: &Bytes| explainer.json(matched, message, false);
            let messages: Vec<_> = messages.iter().map(json).collect();
            let first = messages.first().map_or("null", String::as_str);
            members.push(("request", first.to_owned()));
            if matched.is_client_stream {
                members.push(("requests", format!("[{}]", messages.join(","))));
            }
        }
        Ending::Alone => {}
        Ending::FinishedStream => members.push(("finished_stream", "true".to_owned())),
        Ending::Page(key) => members.push(("page", quoted(key))),
        Ending::Refused(status) => {
            let member = |name: &str| status[name].to_string();
            let [code, message, details] = ["code", "message", "details"].map(member);
            let status = format!("{{\"code\":{code},\"message\":{message},\"details\":{details}}}");
            members.push(("status", status));
        }
    }
    let members: Vec<_> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// What is answered to what is no request.
pub(super) fn error(text: &str) -> String {
    format!("{{\"error\":{}}}", quoted(text))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
