//! REST cases as data: a request, and what must come of it. `tests/cases/*.yaml`.

use std::{collections::BTreeMap, path::Path};

use axum::body::Body;
use serde::Deserialize;
use serde_json::Value;
use transom::Gateway;
use transom_test_services::inventory::Inventory;

use crate::{
    remote,
    support::{inventory_gateway, request, send},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// `GET /path?query`.
    request: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
    status: u16,
    /// The whole body.
    #[serde(default)]
    json: Option<Value>,
    /// The whole body, to the byte.
    #[serde(default)]
    text: Option<String>,
    /// The code of a Status body.
    #[serde(default)]
    code: Option<i64>,
    /// A part of a Status body's message.
    #[serde(default)]
    message: Option<String>,
    /// The fields of its BadRequest detail, in order.
    #[serde(default)]
    violations: Option<Vec<String>>,
    #[serde(default)]
    answer_headers: BTreeMap<String, String>,
}

async fn run(file: &str) {
    let in_process = inventory_gateway(Inventory::default()).build().unwrap();
    run_through(&in_process, file).await;
    let upstream = remote::serve_inventory(Inventory::default()).await;
    run_through(&remote::gateway(upstream), file).await;
}

async fn run_through(gateway: &Gateway, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    let cases: Vec<Case> = serde_norway::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut failures = Vec::new();
    for case in &cases {
        let mut builder = request(&case.request);
        if case.body.is_some() && !case.headers.contains_key("content-type") {
            builder = builder.header("content-type", "application/json");
        }
        for (name, value) in &case.headers {
            builder = builder.header(name, value);
        }
        let body = Body::from(case.body.clone().unwrap_or_default());
        let answer = send(gateway, builder.body(body).unwrap()).await;

        let mut wrong = Vec::new();
        if answer.status != case.status {
            wrong.push(format!("status {}", answer.status));
        }
        for (name, value) in &case.answer_headers {
            if answer.header(name) != value {
                wrong.push(format!("{name}: {}", answer.header(name)));
            }
        }
        if let Some(json) = &case.json
            && answer.json() != *json
        {
            wrong.push("another body".to_owned());
        }
        if case.text.as_deref().is_some_and(|text| answer.text() != text) {
            wrong.push("another text".to_owned());
        }
        if case.code.is_some_and(|code| answer.json()["code"] != code) {
            wrong.push("another code".to_owned());
        }
        if let Some(message) = &case.message
            && !answer.json()["message"].as_str().unwrap_or_default().contains(message)
        {
            wrong.push("another message".to_owned());
        }
        if let Some(expected) = &case.violations {
            let found = &answer.json()["details"][0]["fieldViolations"];
            let found: Vec<_> = found
                .as_array()
                .into_iter()
                .flatten()
                .map(|v| v["field"].as_str().unwrap_or_default())
                .collect();
            if found != *expected {
                wrong.push(format!("violations {found:?}"));
            }
        }
        if !wrong.is_empty() {
            let body: String = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
            failures.push(format!("{}: {}\n    {body}", case.name, wrong.join(", ")));
        }
    }
    assert!(!cases.is_empty());
    assert!(failures.is_empty(), "{file}\n{}", failures.join("\n"));
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
