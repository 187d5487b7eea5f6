//! Logins, tokens and who asks for them, through the gateway.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::body::Body;
use prost::Message as _;
use serde_json::{Value, json};
use transom::{
    Gateway,
    jwt::{Claims, SigningKey},
    users::{AuthOptions, BundleOptions, SERVICES, auth_v1, v1},
};

use crate::{
    grpc_web,
    support::{Answer, request, send},
    users::{bundle, gateway_of},
};

const PASSWORD: &str = "correct horse";

async fn post(gateway: &Gateway, path: &str, token: Option<&str>, body: &Value) -> Answer {
    let mut request = request(&format!("POST {path}")).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    send(gateway, request.body(Body::from(body.to_string())).unwrap()).await
}

/// The status that a caller at this address gets.
async fn post_from(gateway: &Gateway, address: &str, path: &str, body: &Value) -> u16 {
    let mut request = request(&format!("POST {path}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    request.extensions_mut().insert(address.parse::<SocketAddr>().unwrap());
    send(gateway, request).await.status.as_u16()
}

async fn get(gateway: &Gateway, target: &str, authorization: &[&str]) -> Answer {
    let get = request(&format!("GET {target}"));
    let get = authorization.iter().fold(get, |get, value| get.header("authorization", *value));
    send(gateway, get.body(Body::empty()).unwrap()).await
}

/// A gateway whose methods take tokens, and a user of it: id, and what a login answered.
async fn locked() -> (Gateway, String, Value) {
    let options = BundleOptions { requires_token: true, ..BundleOptions::default() };
    let gateway = gateway_of(&bundle(options).await);
    let user = json!({"email": "Ada@x", "password": PASSWORD});
    let id = post(&gateway, "/v1/users", None, &user).await.json()["id"].clone();
    let tokens = login(&gateway, "ada@X", PASSWORD).await;
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    assert_eq!(tokens.header("cache-control"), "no-store");
    (gateway, id.as_str().unwrap().to_owned(), tokens.json())
}

async fn login(gateway: &Gateway, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    post(gateway, "/v1/auth:login", None, &body).await
}

async fn refresh(gateway: &Gateway, token: &Value) -> Answer {
    post(gateway, "/v1/auth:refresh", None, &json!({ "refreshToken": token })).await
}

fn assert_invalid_token(answer: &Answer, what: &str) {
    let expected = json!({"code": 16, "message": "Invalid token", "details": []});
    assert_eq!((answer.status.as_u16(), answer.json()), (401, expected), "{what}");
}

#[tokio::test]
async fn a_login_opens_what_is_locked() {
    let (gateway, id, tokens) = locked().await;
    assert_eq!(tokens["expiresIn"], 900);
    let bearer = format!("Bearer {}", tokens["accessToken"].as_str().unwrap());
    let path = format!("/v1/users/{id}");
    assert_eq!(get(&gateway, &path, &[&bearer]).await.json()["email"], "Ada@x");
    let listed = get(&gateway, "/v1/users", &[&bearer]).await;
    assert!(listed.text().contains("event: end"), "{}", listed.text());
    // Over gRPC-Web too.
    let message = v1::GetUserRequest { user_id: id };
    let mut call = grpc_web::call("", grpc_web::frame(&message));
    *call.uri_mut() = "/user.v1.UserService/GetUser".parse().unwrap();
    call.headers_mut().insert("authorization", bearer.parse().unwrap());
    let (messages, trailers) = grpc_web::parse(&send(&gateway, call).await.body);
    assert_eq!(v1::User::decode(messages[0].clone()).unwrap().email, "Ada@x");
    assert_eq!(trailers, "grpc-status:0\r\n");
}

/// Every method there is, from the descriptors: one that is added is locked on that day.
#[tokio::test]
async fn every_method_but_the_public_ones_takes_a_token() {
    let (gateway, id, _) = locked().await;
    let public = [
        "user.v1.UserService/CreateUser",
        "auth.v1.AuthService/Login",
        "auth.v1.AuthService/Refresh",
    ];
    let foreign = SigningKey::from_pkcs8("k", &SigningKey::generate().unwrap()).unwrap();
    let claims = Claims::new("transom", "transom", &id, 0, 900);
    let foreign = format!("Bearer {}", foreign.sign(&claims).unwrap());
    let long = format!("Bearer {}", "a".repeat(9_000));
    let tokens = [None, Some("Bearer"), Some("Basic YTpi"), Some(&*foreign), Some(&*long)];
    let table = gateway.route_table();
    let schemas = table.schemas();
    let mut locked = 0;
    for service in schemas.iter().flat_map(|schema| schema.services()) {
        assert!(SERVICES.contains(&service.name.as_str()));
        for method in &service.methods {
            let path = format!("{}/{}", service.name, method.name);
            for token in tokens {
                let mut call = grpc_web::call("", vec![0; 5]);
                *call.uri_mut() = format!("/{path}").parse().unwrap();
                if let Some(token) = token {
                    call.headers_mut().insert("authorization", token.parse().unwrap());
                }
                let answer = send(&gateway, call).await;
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                let is_refused = body.contains("grpc-message:Invalid token")
                    || answer.header("grpc-message") == "Invalid token";
                // An empty refresh token is no good one either.
                let is_public = public.contains(&path.as_str()) && !path.ends_with("Refresh");
                assert_eq!(is_refused, !is_public, "{path} with {token:?}: {body}");
                locked += usize::from(is_refused);
            }
        }
    }
    assert!(locked >= 7 * tokens.len());
}

#[tokio::test]
async fn without_a_good_token_it_is_401_and_says_what_to_show() {
    let (gateway, id, tokens) = locked().await;
    let path = format!("/v1/users/{id}");
    let good = format!("Bearer {}", tokens["accessToken"].as_str().unwrap());
    let refresh_token = format!("Bearer {}", tokens["refreshToken"].as_str().unwrap());
    for authorization in [&[][..], &["Bearer"], &["Bearer x"], &[&refresh_token], &[&good, &good]] {
        let answer = get(&gateway, &path, authorization).await;
        assert_invalid_token(&answer, &format!("{authorization:?}"));
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_copy_ends_the_login() {
    let (gateway, _, first) = locked().await;
    let second = refresh(&gateway, &first["refreshToken"]).await.json();
    assert_ne!(second["refreshToken"], first["refreshToken"]);
    let third = refresh(&gateway, &second["refreshToken"]).await.json();
    assert_eq!(third["expiresIn"], 900);
    assert_invalid_token(&refresh(&gateway, &first["refreshToken"]).await, "used twice");
    assert_invalid_token(&refresh(&gateway, &third["refreshToken"]).await, "its family is gone");
    for nonsense in [json!(""), json!("x"), json!("x".repeat(1_000))] {
        assert_invalid_token(&refresh(&gateway, &nonsense).await, "nonsense");
    }
}

/// Whatever is wrong with a login is told alike.
#[tokio::test]
async fn a_login_does_not_tell_who_is_registered() {
    let options = AuthOptions { account_attempts_per_minute: 0, ..AuthOptions::default() };
    let gateway = gateway_of(&bundle(BundleOptions { auth: options, ..Default::default() }).await);
    post(&gateway, "/v1/users", None, &json!({"email": "a@x", "password": PASSWORD})).await;
    post(&gateway, "/v1/users", None, &json!({"email": "nopassword@x"})).await;
    let inactive = json!({"email": "inactive@x", "password": PASSWORD});
    let inactive = post(&gateway, "/v1/users", None, &inactive).await.json();
    let patch = request(&format!("PATCH /v1/users/{}", inactive["id"].as_str().unwrap()))
        .header("content-type", "application/json")
        .body(Body::from(r#"{"status":"USER_STATUS_INACTIVE"}"#));
    assert_eq!(send(&gateway, patch.unwrap()).await.status, 200);
    let long = "p".repeat(2_000);
    let wrong = [
        ("a@x", "wrong horse"),
        ("a@x", ""),
        ("a@x", &long),
        ("nobody@x", PASSWORD),
        ("nopassword@x", ""),
        ("inactive@x", PASSWORD),
        ("", ""),
    ];
    for (email, password) in wrong {
        let answer = login(&gateway, email, password).await;
        let expected = json!({"code": 16, "message": "Invalid email or password", "details": []});
        assert_eq!((answer.status.as_u16(), answer.json()), (401, expected), "{email}");
    }
    assert_eq!(login(&gateway, "a@x", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn who_may_not_log_in_may_not_refresh() {
    let options = BundleOptions::default();
    let gateway = gateway_of(&bundle(options).await);
    let user = json!({"email": "a@x", "password": PASSWORD});
    let id = post(&gateway, "/v1/users", None, &user).await.json()["id"].clone();
    let path = format!("/v1/users/{}", id.as_str().unwrap());
    let tokens = login(&gateway, "a@x", PASSWORD).await.json();
    let become_ = async |status: &str| {
        let patch = request(&format!("PATCH {path}")).header("content-type", "application/json");
        let body = json!({ "status": status }).to_string();
        let patched = send(&gateway, patch.body(Body::from(body)).unwrap()).await;
        assert_eq!(patched.status, 200);
    };
    become_("USER_STATUS_INACTIVE").await;
    assert_invalid_token(&refresh(&gateway, &tokens["refreshToken"]).await, "inactive");
    become_("USER_STATUS_ACTIVE").await;
    let tokens = refresh(&gateway, &tokens["refreshToken"]).await.json();
    let delete = request(&format!("DELETE {path}")).body(Body::empty()).unwrap();
    assert_eq!(send(&gateway, delete).await.status, 200);
    assert_invalid_token(&refresh(&gateway, &tokens["refreshToken"]).await, "deleted");
}

#[tokio::test]
async fn failed_logins_are_limited_by_account_and_good_ones_are_not() {
    let options = AuthOptions { account_attempts_per_minute: 3, ..AuthOptions::default() };
    let gateway = gateway_of(&bundle(BundleOptions { auth: options, ..Default::default() }).await);
    post(&gateway, "/v1/users", None, &json!({"email": "a@x", "password": PASSWORD})).await;
    for _ in 0..5 {
        assert_eq!(login(&gateway, "a@x", PASSWORD).await.status, 200);
    }
    for email in ["a@x", "A@x", "a@X"] {
        assert_eq!(login(&gateway, email, "wrong").await.status, 401);
    }
    let refused = login(&gateway, "a@x", PASSWORD).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (429, &json!(8)));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(login(&gateway, "b@x", PASSWORD).await.status, 401, "another account");
}

#[tokio::test]
async fn failed_logins_are_limited_by_address() {
    let options = AuthOptions { address_attempts_per_minute: 2, ..AuthOptions::default() };
    let gateway = gateway_of(&bundle(BundleOptions { auth: options, ..Default::default() }).await);
    let attempt = async |address: &str, number: usize| {
        let body = json!({"email": format!("{number}@x"), "password": "p"});
        post_from(&gateway, address, "/v1/auth:login", &body).await
    };
    // Ports do not matter, nor does what is below a /64, nor how IPv4 is written.
    for (here, there, another) in [
        ("10.0.0.1:1", "[::ffff:10.0.0.1]:2", "10.0.0.2:1"),
        ("[2001:db8::1]:1", "[2001:db8::ffff:2]:2", "[2001:db8:0:1::1]:1"),
    ] {
        assert_eq!(attempt(here, 1).await, 401);
        assert_eq!(attempt(there, 2).await, 401);
        assert_eq!(attempt(here, 3).await, 429);
        assert_eq!(attempt(another, 4).await, 401);
    }
}

#[tokio::test]
async fn who_signs_up_with_a_password_is_limited_by_address() {
    let options = BundleOptions { sign_ups_per_minute: 2, ..BundleOptions::default() };
    let gateway = gateway_of(&bundle(options).await);
    let sign_up = async |number: usize, password: &str| {
        let body = json!({"email": format!("{number}@x"), "password": password});
        post_from(&gateway, "10.0.0.1:1", "/v1/users", &body).await
    };
    assert_eq!(sign_up(1, PASSWORD).await, 200);
    // What costs no hash is not counted: known emails, faults, users without a password.
    assert_eq!((sign_up(1, PASSWORD).await, sign_up(2, "short").await), (409, 400));
    assert_eq!((sign_up(3, "").await, sign_up(4, "").await), (200, 200));
    assert_eq!(sign_up(5, PASSWORD).await, 200);
    assert_eq!(sign_up(6, PASSWORD).await, 429);
}

#[tokio::test]
async fn more_logins_at_once_than_there_is_room_for_are_refused() {
    let options =
        BundleOptions { password_concurrency: 1, password_queue_limit: 1, ..Default::default() };
    let gateway = gateway_of(&bundle(options).await);
    let logins = (0..8).map(|number| {
        let gateway = gateway.clone();
        async move { login(&gateway, &format!("{number}@x"), PASSWORD).await.status.as_u16() }
    });
    let statuses = futures_util::future::join_all(logins).await;
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}");
}

/// Everything that is logged while the test's thread has it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Canaries in every place that is secret: none is in a log, an error or anything's `Debug`.
#[cfg(feature = "cli")]
#[tokio::test]
async fn nothing_secret_is_told() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let canary = |place: &str| format!("canary-{place}-5f1c");
    let password = canary("password");
    let email = format!("{}@x", canary("email"));

    let options = BundleOptions { requires_token: true, ..BundleOptions::default() };
    let bundle = bundle(options).await;
    let gateway = gateway_of(&bundle);
    let mut told = Vec::new();
    let user = json!({"email": email, "password": password});
    for _ in 0..2 {
        told.push(post(&gateway, "/v1/users", None, &user).await);
    }
    told.push(login(&gateway, &email, &canary("wrongpassword")).await);
    told.push(login(&gateway, &email, &canary("x").repeat(100)).await);
    let tokens = login(&gateway, &email, &password).await.json();
    let (access, refreshing) =
        (tokens["accessToken"].as_str().unwrap(), tokens["refreshToken"].as_str().unwrap());
    told.push(refresh(&gateway, &json!(canary("refresh"))).await);
    assert_eq!(refresh(&gateway, &json!(refreshing)).await.status, 200);
    told.push(refresh(&gateway, &json!(refreshing)).await);
    told.push(get(&gateway, "/v1/users", &[&canary("authorization")]).await);
    told.push(get(&gateway, "/v1/users/x", &[&format!("Bearer {access}x")]).await);
    let target = format!("/v1/users?page_size={}", canary("query"));
    let ok = get(&gateway, &target, &[&format!("Bearer {access}")]).await;
    assert_eq!(ok.status, 400);
    let bad = format!("{{\"email\":\"nobody\",\"password\":\"{password}\"}}\n");
    let bulk = request("POST /v1/users:bulkCreate")
        .header("content-type", "application/x-ndjson")
        .header("authorization", format!("Bearer {access}"))
        .body(Body::from(format!("{bad}{{\"email\":\"{email}\"}}\n")));
    assert_eq!(send(&gateway, bulk.unwrap()).await.status, 200);

    let debugs = [
        format!("{bundle:?}"),
        format!("{:?}", v1::CreateUserRequest { password: password.clone(), ..Default::default() }),
        format!("{:?}", auth_v1::LoginRequest { password: password.clone(), email: email.clone() }),
        format!("{:?}", auth_v1::RefreshRequest { refresh_token: refreshing.into() }),
        format!(
            "{:?}",
            auth_v1::TokenResponse {
                access_token: access.into(),
                refresh_token: refreshing.into(),
                expires_in: 900,
            }
        ),
    ];
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("passed over"), "nothing was logged at all");
    let secrets = ["canary-", access, refreshing, "$argon2id"];
    for secret in secrets {
        let at = logged.find(secret);
        assert!(at.is_none(), "logged: {}", &logged[at.unwrap().saturating_sub(300)..][..400]);
        for debug in &debugs {
            assert!(!debug.contains(secret), "{debug}");
        }
        for answer in told.iter().filter(|answer| answer.status != 200) {
            assert!(!answer.text().contains(secret), "{}", answer.text());
        }
    }
}
