//! Rules of a service configuration, as a caller sees them: every form a rule can have, over the
//! inventory service.

use axum::body::Body;
use transom::{Gateway, config::Limits, schema::ServiceConfig};
use transom_test_services::inventory::Inventory;

use crate::support::{Answer, inventory_gateway, request, send};

const RULES: &str = r#"
type: google.api.Service
config_version: 3
name: inventory.example.com
title: Inventory
apis:
  - name: inventory.v1.Inventory
http:
  rules:
    - selector: inventory.v1.Inventory.Echo
      post: /message
      body: child
      additional_bindings:
        - {post: /list, body: children}
        - {post: /map, body: labels, response_body: labels}
        - {post: /scalar, body: big, response_body: big}
        - {post: /wrapper, body: maybe_big, response_body: maybe_big}
        - {post: /time, body: at, response_body: at}
        - {post: /enum, body: kinds, response_body: kinds}
        - {get: "/get/{text}", body: "*"}
        - {delete: "/delete/{text}", body: child}
        - {post: "/inner/{child.text}", body: child}
        - custom: {kind: "*", path: "/any/{text=**}"}
        - custom: {kind: m-search, path: "/any/{text}"}
        - custom: {kind: m-search, path: /search}
          responseBody: child
        - {get: "/files/{text=**}", responseBody: text}
        - {get: "/pair/{text=*/*}", responseBody: text}
        - {get: "/one/{text}", responseBody: text}
    - selector: inventory.v1.Inventory.Count
      get: /numbers/{messages}
      response_body: number
    - selector: inventory.v1.Inventory.Ping
      get: /ping
    - selector: inventory.v1.Inventory.Ping
      get: /pong
"#;

fn gateway(rules: &str) -> Gateway {
    let config = ServiceConfig::new("rules.yaml", rules);
    inventory_gateway(Inventory::default()).service_config(config).build().unwrap()
}

async fn ask(gateway: &Gateway, line: &str, body: &str) -> Answer {
    let mut request = request(line);
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    send(gateway, request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn every_form_of_body_and_response_body() {
    let gateway = gateway(RULES);
    for (line, body, answer) in [
        ("POST /message?flag=true", r#"{"text":"x"}"#, r#"{"flag":true,"child":{"text":"x"}}"#),
        ("POST /list", r#"[{"text":"x"},{}]"#, r#"{"children":[{"text":"x"},{}]}"#),
        ("POST /map", r#"{"a":"b"}"#, r#"{"a":"b"}"#),
        ("POST /scalar", r#""7""#, r#""7""#),
        ("POST /scalar", "7", r#""7""#),
        ("POST /wrapper", r#""7""#, r#""7""#),
        ("POST /time", r#""2026-01-02T03:04:05Z""#, r#""2026-01-02T03:04:05Z""#),
        ("POST /enum", r#"["KIND_TOOL",2]"#, r#"["KIND_TOOL","KIND_PART"]"#),
        ("GET /get/x", r#"{"flag":true}"#, r#"{"text":"x","flag":true}"#),
        ("DELETE /delete/x", r#"{"flag":true}"#, r#"{"text":"x","child":{"flag":true}}"#),
        ("POST /inner/x", r#"{"flag":true}"#, r#"{"child":{"text":"x","flag":true}}"#),
    ] {
        let found = ask(&gateway, line, body).await;
        assert_eq!((found.status.as_u16(), found.text()), (200, answer), "{line}");
    }
    let contradicted = ask(&gateway, "POST /inner/x", r#"{"text":"y"}"#).await;
    assert_eq!(contradicted.status, 400);
}

#[tokio::test]
async fn custom_methods_are_any_token_or_every_method() {
    let gateway = gateway(RULES);
    for method in ["GET", "PUT", "BREW", "x-y"] {
        let found = ask(&gateway, &format!("{method} /any/a/b"), "").await;
        assert_eq!((found.status.as_u16(), found.text()), (200, r#"{"text":"a/b"}"#), "{method}");
    }
    // A rule of its own, where a rule for any method stands too.
    let options = ask(&gateway, "OPTIONS /any/a", "").await;
    let every = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, m-search";
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, every));
    let options = ask(&gateway, "OPTIONS /any/a/b", "").await;
    assert_eq!(options.header("allow"), "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    let found = ask(&gateway, "m-search /search?child.text=x", "").await;
    assert_eq!((found.status.as_u16(), found.text()), (200, r#"{"text":"x"}"#));
    let wrong = ask(&gateway, "GET /search", "").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "m-search"));
}

#[tokio::test]
async fn a_response_body_is_of_each_message_of_a_stream() {
    let gateway = gateway(RULES);
    let lines = request("GET /numbers/3").header("accept", "application/x-ndjson");
    let lines = send(&gateway, lines.body(Body::empty()).unwrap()).await;
    assert_eq!(lines.text(), "1\n2\n3\n");
    let array = request("GET /numbers/2").header("accept", "application/json");
    assert_eq!(send(&gateway, array.body(Body::empty()).unwrap()).await.text(), "[1,2]");
    let events = ask(&gateway, "GET /numbers/2", "").await;
    assert!(events.text().contains("data: 1\n\ndata: 2\n\n"), "{}", events.text());
}

#[tokio::test]
async fn rules_replace_annotations_and_the_last_one_wins() {
    let gateway = gateway(RULES);
    for (line, status) in [
        // The annotation is gone, and so is the earlier rule.
        ("GET /v1/everything", 405),
        ("GET /ping", 404),
        ("GET /pong", 200),
        // What no rule selects keeps its annotation, and every method its own name.
        ("GET /v1/items/x", 200),
        ("POST /inventory.v1.Inventory/Echo", 200),
    ] {
        assert_eq!(ask(&gateway, line, "").await.status.as_u16(), status, "{line}");
    }
}

/// `inventory.v1.Inventory.Collect` with a path that goes into every message.
const STREAM: &str = r#"
http:
  rules:
    - selector: inventory.v1.Inventory.Collect
      post: /collect/{padding}
      body: number
"#;

#[tokio::test]
async fn a_path_cannot_make_much_of_a_stream_of_little() {
    let limits = Limits { message_limit_bytes: 1_000, ..Limits::default() };
    let config = ServiceConfig::new("rules.yaml", STREAM);
    let gateway = inventory_gateway(Inventory::default()).limits(limits).service_config(config);
    let gateway = gateway.build().unwrap();
    let (short, long) = ("AAAA", "A".repeat(800));
    for (path, messages, status) in [(short, 1_000, 200), (&long, 1, 200), (&long, 100, 413)] {
        let line = format!("POST /collect/{path}");
        let answer = ask(&gateway, &line, &"1\n".repeat(messages)).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{messages} of {}: {}",
            path.len(),
            answer.text()
        );
    }
}

#[tokio::test]
async fn slashes_are_decoded_where_the_configuration_says_so() {
    let fully = RULES.replace("http:\n", "http:\n  fully_decode_reserved_expansion: true\n");
    for (rules, rest, pair) in [(RULES, "a%2Fb/c !", "a%2Fb/c"), (&fully, "a/b/c !", "a/b/c")] {
        let gateway = gateway(rules);
        for (line, text) in [
            ("GET /files/a%2Fb/c%20%21", rest),
            ("GET /pair/a%2Fb/c", pair),
            ("GET /one/a%2Fb", "a/b"),
        ] {
            let found = ask(&gateway, line, "").await;
            assert_eq!(found.json(), text, "{line}");
        }
    }
    // What is decoded makes segments too.
    for line in ["GET /files/a%2F..%2Fb", "GET /pair/a/b%2f.", "GET /pair/a%2F%2Fb/c"] {
        assert_eq!(ask(&gateway(&fully), line, "").await.status, 400, "{line}");
        assert_eq!(ask(&gateway(RULES), line, "").await.status, 200, "{line}");
    }
}

#[test]
fn a_conflict_names_the_rule_and_the_annotation() {
    let rules = "http:\n  rules:\n    - selector: inventory.v1.Inventory.Ping\n      \
                 get: /v1/metadata\n";
    let config = ServiceConfig::new("rules.yaml", rules);
    let builder = inventory_gateway(Inventory::default()).service_config(config);
    let error = builder.build().err().unwrap().to_string();
    let expected = "rules.yaml:3:7: `/v1/metadata` is already the route of \
                    inventory.v1.Inventory/Metadata, at inventory/v1/inventory.proto:";
    assert!(error.starts_with(expected), "{error}");
}
