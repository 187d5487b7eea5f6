//! REST cases as data: a request, and what must come of it. `tests/cases/*.yaml`.
//!
//! Each case goes to the same services in process and on a socket. What is refused with a 4xx, or
//! needs no answer of theirs, must not have reached them, unless the case says that it is `by_upstream`. Every answer has the
//! request's id, and every failure is a Status.

use std::{collections::BTreeMap, path::Path};

use axum::body::Body;
use bytes::BytesMut;
use http::{HeaderValue, Request};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::Value;
use tower::ServiceExt as _;
use transom::config::Config;

use crate::support::{Answer, request};

mod setup;
mod text;

use setup::{App, Setup};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// What `<>` is in the request, the headers, the body and what is expected: the case is run
    /// for each.
    #[serde(default)]
    each: Vec<Each>,
    /// What differs from the configuration by default, as in a configuration file.
    #[serde(default)]
    config: Option<Config>,
    /// `GET /path?query`.
    request: String,
    #[serde(default)]
    headers: BTreeMap<String, OneOrMany>,
    #[serde(default)]
    body: Option<String>,
    /// A body that is no text: `\xff` is a byte.
    #[serde(default)]
    bytes: Option<String>,
    status: u16,
    /// The whole body.
    #[serde(default)]
    json: Option<Value>,
    /// Some members of the body's objects.
    #[serde(default)]
    part: Option<Value>,
    /// The whole body, to the byte.
    #[serde(default)]
    text: Option<String>,
    /// The body breaks off, instead of ending.
    #[serde(default)]
    broken: bool,
    /// The code of a Status body.
    #[serde(default)]
    code: Option<i64>,
    /// A part of a Status body's message.
    #[serde(default)]
    message: Option<String>,
    /// The fields of its BadRequest detail, in order.
    #[serde(default)]
    violations: Option<Vec<String>>,
    /// Headers of the answer; null, or nothing, is none of that name.
    #[serde(default)]
    answer_headers: BTreeMap<String, Option<String>>,
    /// The upstream was asked, although the answer is a 4xx or a 204.
    #[serde(default)]
    by_upstream: bool,
    /// The same, or it was not: how far a stream came before it was refused is nobody's promise.
    #[serde(default)]
    may_reach_upstream: bool,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Each {
    /// What is sent, and expected.
    Same(String),
    /// What is sent, and what is expected.
    Sent(String, Value),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

async fn run(file: &str) {
    run_through(&Setup::in_process(), file).await;
    run_through(&Setup::remote().await, file).await;
}

async fn run_through(setup: &Setup, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    let cases: Vec<Case> = serde_norway::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut failures = Vec::new();
    let by_default = setup.app(&Config::default());
    for (number, case) in cases.iter().enumerate() {
        let app = case.config.as_ref().map_or(by_default.clone(), |config| setup.app(config));
        let once = [Each::Same(String::new())];
        let each = if case.each.is_empty() { &once[..] } else { &case.each };
        for (turn, each) in each.iter().enumerate() {
            let (sent, expected) = match each {
                Each::Same(text) => (text, Value::from(text.as_str())),
                Each::Sent(text, expected) => (text, expected.clone()),
            };
            let id = format!("case-{number}.{turn}");
            let (answer, is_broken) = ask(&app, case.request(sent, &id)).await;
            let mut wrong = case.check(&answer, &expected);
            if is_broken != case.broken {
                wrong.push(format!("broken off: {is_broken}"));
            }
            let is_refused = matches!(answer.status.as_u16(), 204 | 400..500);
            let may_be_asked = case.by_upstream || case.may_reach_upstream;
            if is_refused && !may_be_asked && setup.seen.contains(&id) {
                wrong.push("the upstream was asked".to_owned());
            }
            if case.by_upstream && !setup.seen.contains(&id) {
                wrong.push("the upstream was not asked".to_owned());
            }
            if !case.headers.contains_key("x-request-id") && answer.header("x-request-id") != id {
                wrong.push(format!("x-request-id {}", answer.header("x-request-id")));
            }
            if !wrong.is_empty() {
                let body: String =
                    String::from_utf8_lossy(&answer.body).chars().take(300).collect();
                let name =
                    if sent.is_empty() { &case.name } else { &format!("{} ({sent})", case.name) };
                failures.push(format!("{name}: {}\n    {body}", wrong.join(", ")));
            }
        }
    }
    assert!(!cases.is_empty());
    assert!(failures.is_empty(), "{file}, {}\n{}", setup.place, failures.join("\n"));
}

/// Sends a request through the layers. The answer, and whether it broke off.
async fn ask(app: &App, request: Request<Body>) -> (Answer, bool) {
    let (head, mut body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let mut read = BytesMut::new();
    let mut is_broken = false;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => read.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => {
                is_broken = true;
                break;
            }
        }
    }
    (Answer { status: head.status, headers: head.headers, body: read.freeze() }, is_broken)
}

impl Case {
    fn request(&self, each: &str, id: &str) -> Request<Body> {
        let mut builder = request(&text::expand(&self.request, each));
        let has_body = self.body.is_some() || self.bytes.is_some();
        if has_body && !self.headers.contains_key("content-type") {
            builder = builder.header("content-type", "application/json");
        }
        if !self.headers.contains_key("x-request-id") {
            builder = builder.header("x-request-id", id);
        }
        for (name, values) in &self.headers {
            let values = match values {
                OneOrMany::One(value) => std::slice::from_ref(value),
                OneOrMany::Many(values) => values,
            };
            for value in values {
                let value = HeaderValue::from_bytes(text::expand(value, each).as_bytes());
                builder = builder.header(text::expand(name, each), value.unwrap());
            }
        }
        let body = match (&self.bytes, &self.body) {
            (Some(bytes), _) => text::bytes(&text::expand(bytes, each)),
            (None, Some(body)) => text::expand(body, each).into_bytes(),
            (None, None) => Vec::new(),
        };
        builder.body(Body::from(body)).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// What is wrong with an answer.
    fn check(&self, answer: &Answer, each: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let expand = |expected: &str| text::expand(expected, each.as_str().unwrap_or_default());
        if answer.status != self.status {
            wrong.push(format!("status {}", answer.status));
        }
        for (name, value) in &self.answer_headers {
            let found = answer.header(name);
            if found != expand(value.as_deref().unwrap_or_default()) {
                wrong.push(format!("{name}: {found}"));
            }
        }
        if self.text.as_deref().is_some_and(|text| answer.text() != expand(text)) {
            wrong.push("another text".to_owned());
        }
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        if self
            .json
            .as_ref()
            .is_some_and(|json| !text::equal(&body, &text::expand_json(json, each)))
        {
            wrong.push("another body".to_owned());
        }
        let part = self.part.as_ref().map(|part| text::expand_json(part, each));
        if part.is_some_and(|part| !text::has(&body, &part)) {
            wrong.push("another part".to_owned());
        }
        let is_status =
            body["code"].is_i64() && body["message"].is_string() && body["details"].is_array();
        let is_head = self.request.starts_with("HEAD ");
        if answer.status.as_u16() >= 400 && !is_status && !is_head {
            wrong.push("not a Status".to_owned());
        }
        if self.code.is_some_and(|code| body["code"] != code) {
            wrong.push("another code".to_owned());
        }
        if let Some(message) = &self.message
            && !body["message"].as_str().unwrap_or_default().contains(&expand(message))
        {
            wrong.push("another message".to_owned());
        }
        if let Some(expected) = &self.violations {
            let found = &body["details"][0]["fieldViolations"];
            let found = found.as_array().into_iter().flatten();
            let found: Vec<_> = found.map(|v| v["field"].as_str().unwrap_or_default()).collect();
            if found != expected.iter().map(|field| expand(field)).collect::<Vec<_>>() {
                wrong.push(format!("violations {found:?}"));
            }
        }
        wrong
    }
}

/// A file that no test runs would be a promise that nobody keeps.
#[test]
fn every_file_is_run() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let call = format!("run(\"{name}\").await;");
        assert!(include_str!("cases.rs").contains(&call), "no test runs {name}");
    }
}

#[tokio::test]
async fn routing() {
    run("routing.yaml").await;
}

#[tokio::test]
async fn binding() {
    run("binding.yaml").await;
}

#[tokio::test]
async fn bodies() {
    run("bodies.yaml").await;
}

#[tokio::test]
async fn dialect() {
    run("dialect.yaml").await;
}

#[tokio::test]
async fn streams_in() {
    run("streams_in.yaml").await;
}

#[tokio::test]
async fn endings() {
    run("endings.yaml").await;
}

#[tokio::test]
async fn paths() {
    run("paths.yaml").await;
}

#[tokio::test]
async fn encoding() {
    run("encoding.yaml").await;
}

#[tokio::test]
async fn query_scalars() {
    run("query_scalars.yaml").await;
}

#[tokio::test]
async fn query_types() {
    run("query_types.yaml").await;
}

#[tokio::test]
async fn query_names() {
    run("query_names.yaml").await;
}

#[tokio::test]
async fn conflicts() {
    run("conflicts.yaml").await;
}

#[tokio::test]
async fn body_rules() {
    run("body_rules.yaml").await;
}

#[tokio::test]
async fn response_body() {
    run("response_body.yaml").await;
}

#[tokio::test]
async fn strict() {
    run("strict.yaml").await;
}

#[tokio::test]
async fn statuses() {
    run("statuses.yaml").await;
}

#[tokio::test]
async fn metadata() {
    run("metadata.yaml").await;
}

#[tokio::test]
async fn deadlines() {
    run("deadlines.yaml").await;
}

#[tokio::test]
async fn streams() {
    run("streams.yaml").await;
}

#[tokio::test]
async fn sizes() {
    run("sizes.yaml").await;
}

#[tokio::test]
async fn heads() {
    run("heads.yaml").await;
}

#[tokio::test]
async fn http_surface() {
    run("http_surface.yaml").await;
}

#[tokio::test]
async fn http_body() {
    run("http_body.yaml").await;
}

#[tokio::test]
async fn etag() {
    run("etag.yaml").await;
}

#[tokio::test]
async fn patch() {
    run("patch.yaml").await;
}

#[tokio::test]
async fn violations() {
    run("violations.yaml").await;
}
