//! The bundled user service through the gateway: REST, events and gRPC-Web.

use std::{sync::Arc, time::SystemTime};

use axum::body::Body;
use futures_util::SinkExt as _;
use http::Request;
use prost::Message as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use transom::{
    Gateway,
    users::{self, Bundle, BundleOptions, SqliteStore, v1},
};

use crate::{
    grpc_web,
    server::serve_gateway,
    support::{Answer, open, read_ready, request, send},
    websocket,
};

/// The bundled services, kept in memory.
pub(crate) async fn bundle(options: BundleOptions) -> Bundle {
    let store = Arc::new(SqliteStore::in_memory().await.unwrap());
    Bundle::open(store, options, || SystemTime::UNIX_EPOCH).await.unwrap()
}

/// As the binary puts them together, for as long as the test runs.
pub(crate) fn gateway_of(bundle: &Bundle) -> Gateway {
    let running = bundle.clone();
    tokio::spawn(async move { running.run().await });
    Gateway::builder().service(users::DESCRIPTOR_SET, bundle.service()).build().unwrap()
}

async fn gateway() -> Gateway {
    gateway_of(&bundle(BundleOptions::default()).await)
}

async fn post(gateway: &Gateway, body: &Value) -> Answer {
    let request = request("POST /v1/users").header("content-type", "application/json");
    send(gateway, request.body(Body::from(body.to_string())).unwrap()).await
}

async fn get(gateway: &Gateway, target: &str) -> Answer {
    send(gateway, request(&format!("GET {target}")).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn created_then_read() {
    let gateway = gateway().await;
    let user = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
    let created = post(&gateway, &user).await;
    assert_eq!(created.status, 200);
    let created = created.json();
    let id = created["id"].as_str().unwrap();
    assert_eq!(
        created,
        json!({
            "id": id, "email": "ada@example.com", "name": "Ada",
            "status": "USER_STATUS_ACTIVE", "createdAt": "1970-01-01T00:00:00Z",
        })
    );
    assert_eq!(get(&gateway, &format!("/v1/users/{id}")).await.json(), created);
}

#[tokio::test]
async fn errors_are_those_of_the_contract() {
    let gateway = gateway().await;
    let unknown = get(&gateway, "/v1/users/a%2Fb").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json(), json!({"code": 5, "message": "User a/b not found", "details": []}));

    for email in ["", "ada"] {
        let invalid = post(&gateway, &json!({"email": email})).await;
        assert_eq!(invalid.status, 400);
        let status = invalid.json();
        assert_eq!((&status["code"], &status["message"]), (&json!(3), &json!("Invalid email")));
        assert_eq!(status["details"][0]["@type"], "type.googleapis.com/google.rpc.BadRequest");
        assert_eq!(status["details"][0]["fieldViolations"][0]["field"], "email");
    }
    assert_eq!(post(&gateway, &json!({"email": "a@b"})).await.status, 200);
    let taken = post(&gateway, &json!({"email": "A@B"})).await;
    assert_eq!(taken.status, 409);
    assert_eq!(
        taken.json(),
        json!({"code": 6, "message": "Email already registered", "details": []})
    );
    for password in ["1234567".to_owned(), "x".repeat(1_025)] {
        let refused = post(&gateway, &json!({"email": "c@d", "password": password})).await;
        assert_eq!(refused.json()["message"], "Invalid password");
    }
}

/// The data of each unnamed event, and the last id.
fn events(answer: &Answer) -> (Vec<Value>, String) {
    let blocks: Vec<_> = answer.text().split("\n\n").collect();
    let users = blocks.iter().filter(|block| !block.contains("event:")).filter_map(|block| {
        let data = block.lines().find_map(|line| line.strip_prefix("data: "))?;
        Some(serde_json::from_str(data).unwrap())
    });
    let last = answer.text().lines().rev().find_map(|line| line.strip_prefix("id: "));
    (users.collect(), last.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn listed_in_order_and_resumed_behind_an_event() {
    let gateway = gateway().await;
    let mut created = Vec::new();
    for number in 0..7 {
        created.push(post(&gateway, &json!({"email": format!("{number}@x")})).await.json());
    }
    let (listed, last) = events(&get(&gateway, "/v1/users?page_size=2").await);
    assert_eq!(listed, created);
    assert_eq!(last, "transom-end");

    let id = created[3]["id"].as_str().unwrap();
    let (listed, _) = events(&get(&gateway, &format!("/v1/users?page_token={id}")).await);
    assert_eq!(listed, created[4..]);
    // A reconnect repeats the URL and says how far it came.
    let reconnect =
        request(&format!("GET /v1/users?pageToken={}", created[0]["id"].as_str().unwrap()))
            .header("last-event-id", id);
    let answer = send(&gateway, reconnect.body(Body::empty()).unwrap()).await;
    assert_eq!(events(&answer).0, created[4..]);

    let refused = get(&gateway, "/v1/users?page_size=-1").await;
    assert_eq!(refused.json()["message"], "Invalid page size");
}

fn grpc_web_call(method: &str, message: &impl prost::Message) -> Request<Body> {
    let mut request = grpc_web::call("", grpc_web::frame(message));
    *request.uri_mut() = format!("/user.v1.UserService/{method}").parse().unwrap();
    request
}

#[tokio::test]
async fn over_grpc_web() {
    let gateway = gateway().await;
    let create = v1::CreateUserRequest { email: "a@b".into(), ..Default::default() };
    let answer = send(&gateway, grpc_web_call("CreateUser", &create)).await;
    let created = v1::User::decode(grpc_web::parse(&answer.body).0[0].clone()).unwrap();

    let get = v1::GetUserRequest { user_id: created.id.clone() };
    let answer = send(&gateway, grpc_web_call("GetUser", &get)).await;
    assert_eq!(v1::User::decode(grpc_web::parse(&answer.body).0[0].clone()).unwrap(), created);

    let answer = send(&gateway, grpc_web_call("ListUsers", &v1::ListUsersRequest::default())).await;
    let (messages, trailers) = grpc_web::parse(&answer.body);
    assert_eq!((messages.len(), trailers.as_str()), (1, "grpc-status:0\r\n"));

    let get = v1::GetUserRequest { user_id: "nope".into() };
    let (_, trailers) = grpc_web::parse(&send(&gateway, grpc_web_call("GetUser", &get)).await.body);
    assert_eq!(trailers, "grpc-status:5\r\ngrpc-message:User nope not found\r\n");
}

async fn send_json(gateway: &Gateway, line: &str, body: &Value) -> Answer {
    let request = request(line).header("content-type", "application/json");
    send(gateway, request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn changed_by_what_the_body_names() {
    let gateway = gateway().await;
    let created = post(&gateway, &json!({"email": "a@b", "name": "Ada"})).await.json();
    let id = created["id"].as_str().unwrap();
    let path = format!("/v1/users/{id}");
    let patch = async |body: Value| send_json(&gateway, &format!("PATCH {path}"), &body).await;

    let changed = patch(json!({"name": "", "status": "USER_STATUS_INACTIVE"})).await;
    let mut expected = created.clone();
    expected.as_object_mut().unwrap().remove("name");
    expected["status"] = json!("USER_STATUS_INACTIVE");
    assert_eq!(changed.json(), expected);
    assert_eq!(get(&gateway, &path).await.json(), expected);
    // Nothing named, nothing changed.
    assert_eq!(patch(json!({})).await.json(), expected);
    assert_eq!(patch(json!({"id": id, "email": "A@B"})).await.json()["email"], "A@B");
    let masked = format!("PATCH {path}?update_mask=email");
    let only = send_json(&gateway, &masked, &json!({"email": "c@d", "name": "no"})).await;
    assert_eq!((&only.json()["email"], &only.json()["name"]), (&json!("c@d"), &Value::Null));

    post(&gateway, &json!({"email": "taken@x"})).await;
    for (body, status, message, field) in [
        (json!({"email": "TAKEN@x"}), 409, "Email already registered", ""),
        (json!({"email": "nobody"}), 400, "Invalid email", "user.email"),
        (json!({"status": 7}), 400, "Invalid status", "user.status"),
        (json!({"status": "USER_STATUS_UNSPECIFIED"}), 400, "Invalid status", "user.status"),
        (json!({"createdAt": "2020-01-01T00:00:00Z"}), 400, "Invalid mask", "update_mask"),
    ] {
        let refused = patch(body.clone()).await;
        assert_eq!(refused.status, status, "{body}");
        let told = refused.json();
        assert_eq!(told["message"], message, "{body}");
        if !field.is_empty() {
            assert_eq!(told["details"][0]["fieldViolations"][0]["field"], field, "{body}");
        }
    }
    let nobody = send_json(&gateway, "PATCH /v1/users/nobody", &json!({"name": "N"})).await;
    assert_eq!(
        (nobody.status.as_u16(), &nobody.json()["message"]),
        (404, &json!("User nobody not found"))
    );
}

#[tokio::test]
async fn deleted_and_gone() {
    let gateway = gateway().await;
    let created = post(&gateway, &json!({"email": "a@b"})).await.json();
    let path = format!("/v1/users/{}", created["id"].as_str().unwrap());
    let delete = async || {
        send(&gateway, request(&format!("DELETE {path}")).body(Body::empty()).unwrap()).await
    };
    let deleted = delete().await;
    assert_eq!((deleted.status.as_u16(), deleted.json()), (200, json!({})));
    assert_eq!(delete().await.status, 404);
    assert_eq!(get(&gateway, &path).await.status, 404);
    // The email is free again.
    assert_eq!(post(&gateway, &json!({"email": "A@b"})).await.status, 200);
}

#[tokio::test]
async fn created_in_bulk_without_the_bad_rows() {
    let gateway = gateway().await;
    post(&gateway, &json!({"email": "taken@x"})).await;
    let mut lines: Vec<_> = (0..1_500).map(|n| json!({"email": format!("{n}@x")})).collect();
    lines[3] = json!({"email": "nobody"});
    lines[5] = json!({"email": "taken@X"});
    lines[700] = json!({"email": "7@x"});
    lines[701] = json!({"email": "p@x", "password": "correct horse"});
    lines[702] = json!({"email": "q@x", "password": "short"});
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let request =
        request("POST /v1/users:bulkCreate").header("content-type", "application/x-ndjson");
    let answer = send(&gateway, request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(answer["createdCount"], 1_496);
    let ids: Vec<_> = answer["userIds"].as_array().unwrap().iter().collect();
    assert_eq!(ids.len(), 1_496);

    let (listed, _) = events(&get(&gateway, "/v1/users").await);
    assert_eq!(listed.len(), 1_497);
    let listed: Vec<_> = listed[1..].iter().map(|user| &user["id"]).collect();
    assert!(listed == ids, "not in the order in which they came");
}

#[tokio::test]
async fn what_was_kept_before_a_stream_broke_off_stays() {
    let gateway = gateway().await;
    let lines = "{\"email\":\"a@x\"}\n{\"email\":\"b@x\"}\n{\"email\":7}\n";
    let request =
        request("POST /v1/users:bulkCreate").header("content-type", "application/x-ndjson");
    let answer = send(&gateway, request.body(Body::from(lines)).unwrap()).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["details"][0]["fieldViolations"][0]["field"], "[2].email");
    let (listed, _) = events(&get(&gateway, "/v1/users").await);
    let emails: Vec<_> = listed.iter().map(|user| user["email"].as_str().unwrap()).collect();
    assert_eq!(emails, ["a@x", "b@x"]);
}

/// What pbjson, the typed side, makes of the same user.
#[tokio::test]
async fn the_json_is_what_pbjson_reads() {
    let gateway = gateway().await;
    let created = post(&gateway, &json!({"email": "a@b", "name": "é\n"})).await;
    let user: v1::User = serde_json::from_slice(&created.body).unwrap();
    assert_eq!((user.name.as_str(), user.status()), ("é\n", v1::UserStatus::Active));
    assert_eq!(user.created_at.unwrap().seconds, 0);
}

#[tokio::test]
async fn changes_made_and_heard_as_lines_and_as_events() {
    let gateway = gateway().await;
    let created = post(&gateway, &json!({"email": "a@b"})).await.json();
    let id = created["id"].as_str().unwrap();
    let updates = |body: String| {
        let request = request("POST /v1/users:updates").header("content-type", "application/json");
        request.body(Body::from(body)).unwrap()
    };
    let nobody = send(&gateway, updates("{\"userId\":\"nobody\"}".to_owned())).await;
    assert_eq!(nobody.status, 404);
    let mut hearing = open(&gateway, updates("{}".to_owned())).await.into_body();
    assert_eq!(read_ready(&mut hearing).await, "retry: 3000\n\n");

    let rename = |name: &str| json!({"userId": id, "name": name, "updateMask": "name"}).to_string();
    let lines = format!("{}\n{}\n", rename("A"), rename("B"));
    let mut request = updates(lines);
    request.headers_mut().insert("content-type", "application/x-ndjson".parse().unwrap());
    request.headers_mut().insert("accept", "application/x-ndjson".parse().unwrap());
    let answer = send(&gateway, request).await;
    let names = answer.text().lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_owned()
    });
    assert_eq!(names.collect::<Vec<_>>(), ["A", "B"]);
    let unary = send_json(&gateway, &format!("PATCH /v1/users/{id}"), &json!({"name": "C"})).await;
    assert_eq!(unary.status, 200);

    let mut heard = String::new();
    while heard.matches("data: ").count() < 3 {
        heard.push_str(std::str::from_utf8(&read_ready(&mut hearing).await).unwrap());
    }
    let names: Vec<_> = heard.split("\"name\":\"").skip(1).map(|rest| &rest[..1]).collect();
    assert_eq!(names, ["A", "B", "C"]);
    gateway.end_streams();
    let end = read_ready(&mut hearing).await;
    assert!(end.starts_with(b"event: error\n"), "{end:?}");
}

#[tokio::test]
async fn changes_made_and_heard_over_a_websocket() {
    let gateway = gateway().await;
    let created = post(&gateway, &json!({"email": "a@b"})).await.json();
    let address = serve_gateway(gateway).await;
    let mut socket = websocket::open(address, "/v1/users:updates").await;
    for name in ["A", "B"] {
        let change = json!({"userId": created["id"], "name": name, "updateMask": "name"});
        socket.send(Message::text(change.to_string())).await.unwrap();
        let answer = websocket::next(&mut socket).await;
        let answer: Value = serde_json::from_str(answer.to_text().unwrap()).unwrap();
        assert_eq!((&answer["id"], &answer["name"]), (&created["id"], &json!(name)));
    }
    socket.send(Message::text("")).await.unwrap();
    let heard = websocket::hear(socket).await;
    assert_eq!((heard.code, heard.messages.len()), (1000, 0));
}

/// A version beside the one before: both are what they are.
#[tokio::test]
async fn version_2_beside_version_1() {
    let bundle = bundle(BundleOptions::default()).await;
    let gateway = Gateway::builder()
        .service(users::DESCRIPTOR_SET, bundle.user_service())
        .expose(&["user.v1.UserService".to_owned()])
        .service(
            transom_test_services::USER_V2_DESCRIPTOR_SET,
            transom_test_services::user::UserServiceServer::new(transom_test_services::user::Users),
        )
        .build()
        .unwrap();
    let created = post(&gateway, &json!({"email": "a@b", "name": "Ada"})).await.json();
    let id = created["id"].as_str().unwrap();
    assert_eq!(get(&gateway, &format!("/v1/users/{id}")).await.json()["name"], "Ada");
    assert_eq!(
        get(&gateway, "/v2/users/7").await.json(),
        json!({
            "id": "7", "email": "ada@example.com", "name": {"given": "Ada", "family": "Lovelace"},
        })
    );
    assert_eq!(gateway.services(), ["user.v1.UserService", "user.v2.UserService"]);
}
