//! `transom users` as people run it, against a service that fails as it is told.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    pin::Pin,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::Notify;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use transom::users::{
    UserServiceServer,
    v1::{
        BulkCreateResponse, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest,
        UpdateUserRequest, User, UserUpdateRequest, user_service_server::UserService,
    },
};

use crate::process::{start, transom};

/// Lists users without end; keeps what is created.
#[derive(Clone, Default)]
struct Stub {
    created: Arc<Mutex<Vec<CreateUserRequest>>>,
    /// What the next bulk calls are answered, none being success.
    bulk: Arc<Mutex<Vec<Option<Status>>>>,
    authorization: Arc<Mutex<Vec<String>>>,
    /// Whether a bulk call waits, and what it waits for.
    held: Option<Arc<Notify>>,
}

type UserStream = Pin<Box<dyn Stream<Item = Result<User, Status>> + Send>>;

#[tonic::async_trait]
impl UserService for Stub {
    type ListUsersStream = UserStream;
    type UserUpdatesStream = UserStream;

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.map_or("-", |value| value.to_str().unwrap());
        self.authorization.lock().unwrap().push(authorization.to_owned());
        Err(Status::not_found(format!("User {} not found", request.into_inner().user_id)))
    }

    async fn create_user(
        &self,
        request: Request<CreateUserRequest>,
    ) -> Result<Response<User>, Status> {
        self.created.lock().unwrap().push(request.into_inner());
        Ok(Response::new(User::default()))
    }

    async fn list_users(
        &self,
        _: Request<ListUsersRequest>,
    ) -> Result<Response<UserStream>, Status> {
        let user = |number| User {
            id: format!("{number:036}"),
            email: format!("{number}@b"),
            ..User::default()
        };
        Ok(Response::new(Box::pin(stream::iter(1_u64..).map(user).map(Ok))))
    }

    async fn bulk_create_users(
        &self,
        request: Request<Streaming<CreateUserRequest>>,
    ) -> Result<Response<BulkCreateResponse>, Status> {
        let mut rows = request.into_inner();
        let mut created = Vec::new();
        while let Some(row) = rows.message().await? {
            created.push(row);
        }
        if let Some(held) = &self.held {
            held.notified().await;
        }
        let answer = self.bulk.lock().unwrap().pop().flatten();
        if let Some(status) = answer {
            return Err(status);
        }
        // A row without an @ is passed over.
        let created_count = created.iter().filter(|row| row.email.contains('@')).count() as i32;
        self.created.lock().unwrap().extend(created);
        Ok(Response::new(BulkCreateResponse { created_count, user_ids: Vec::new() }))
    }

    async fn update_user(&self, _: Request<UpdateUserRequest>) -> Result<Response<User>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn delete_user(
        &self,
        _: Request<DeleteUserRequest>,
    ) -> Result<Response<pbjson_types::Empty>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn user_updates(
        &self,
        _: Request<Streaming<UserUpdateRequest>>,
    ) -> Result<Response<UserStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

impl Stub {
    /// Where it is, from now on.
    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().add_service(UserServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        url
    }

    fn emails(&self) -> Vec<String> {
        self.created.lock().unwrap().iter().map(|row| row.email.clone()).collect()
    }
}

fn users(url: &str, arguments: &[&str]) -> Command {
    let mut command = transom(&["users"]);
    command.args(arguments).env("TRANSOM_URL", url);
    command
}

/// Runs it, with `input` as its standard input.
async fn run(mut command: Command, input: &str) -> (i32, String, String) {
    let input = input.to_owned();
    let run = move || -> Output {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // Whoever does not read it says so in its output.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

fn lines(emails: impl Iterator<Item = usize>) -> String {
    emails.map(|number| format!("{{\"email\":\"{number}@b\"}}\n")).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_creates_a_user_for_each_line_and_tells_those_that_are_none() {
    let stub = Stub::default();
    let url = stub.serve().await;
    let input = "{\"email\":\"1@b\",\"password\":\"hunter22\"}\n\
                 \n\
                 {\"email\":\"hunter22\n\
                 {\"email\":\"2@b\",\"password\":12345678}\n\
                 {\"id\":\"x\",\"email\":\"3@b\",\"name\":\"C\",\"status\":\"USER_STATUS_ACTIVE\",\
                 \"createdAt\":\"2026-01-01T00:00:00Z\"}\n\
                 {\"email\":\"no at\"}";
    let (code, out, err) = run(users(&url, &["import", "-"]), input).await;
    assert_eq!(stub.emails(), ["1@b", "3@b", "no at"]);
    assert_eq!(
        (code, out.as_str()),
        (
            1,
            "2 created, 1 not created (already there or invalid; the service's log says why), \
             2 lines malformed\n"
        )
    );
    assert!(err.contains("line 3: no JSON") && err.contains("line 4: expected a string"), "{err}");
    assert!(!err.contains("hunter22") && !err.contains("12345678"), "{err}");

    let many = "nope\n".repeat(15) + &lines(1..=2);
    let (code, out, err) = run(users(&url, &["import", "-", "--output", "json"]), &many).await;
    let json = "{\"created\":2,\"not_created\":0,\"malformed\":15,\"finished\":true}\n";
    assert_eq!((code, out.as_str(), err.lines().count()), (1, json, 10), "{err}");
    let (code, out, _) = run(users(&url, &["import", "-"]), &lines(1..=2)).await;
    assert_eq!((code, out.as_str()), (0, "2 created, 0 not created, 0 lines malformed\n"));

    let (code, out, err) = run(users(&url, &["import", "-", "--strict"]), &many).await;
    assert!(code == 1 && out.starts_with("0 created"), "{out}");
    assert!(err.contains("line 1: no JSON: ") && err.contains("(--strict)"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_where_a_call_failed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.jsonl");
    fs::write(&file, lines(1..=7)).unwrap();
    let file = file.to_str().unwrap();
    let stub = Stub::default();
    let url = stub.serve().await;
    let import = ["import", file, "--batch", "2"];

    *stub.bulk.lock().unwrap() = vec![Some(Status::unavailable("not now")), None];
    let (code, out, err) = run(users(&url, &import), "").await;
    assert_eq!((code, out.as_str()), (1, "2 created, 0 not created, 0 lines malformed\n"));
    assert_eq!(
        err,
        "transom: UNAVAILABLE: not now\nsome of lines 3 to 4 may have been created\n\
         the same command goes on with line 3\n"
    );
    assert_eq!(names(folder.path()), ["users.jsonl", "users.jsonl.transom-import"]);

    let (code, out, err) = run(users(&url, &import), "").await;
    assert_eq!((code, out.as_str()), (0, "7 created, 0 not created, 0 lines malformed\n"));
    assert!(err.contains("going on with line 3"), "{err}");
    assert_eq!(stub.emails(), ["1@b", "2@b", "3@b", "4@b", "5@b", "6@b", "7@b"]);
    assert_eq!(names(folder.path()), ["users.jsonl"]);

    // Elsewhere, of another file, or told to, it begins anew.
    for change in 0..3 {
        stub.created.lock().unwrap().clear();
        *stub.bulk.lock().unwrap() = vec![Some(Status::unavailable("not now")), None];
        assert_eq!(run(users(&url, &import), "").await.0, 1);
        let mut again = import.to_vec();
        let mut url = url.clone();
        match change {
            0 => url = stub.serve().await,
            1 => fs::write(file, lines(1..=8)).unwrap(),
            _ => again.push("--restart"),
        }
        let (code, _, err) = run(users(&url, &again), "").await;
        assert_eq!((code, err.contains("begins anew")), (0, change < 2), "{change}: {err}");
        assert_eq!(stub.emails()[2], "1@b", "{change}");
        assert_eq!(names(folder.path()), ["users.jsonl"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_an_import_with_the_call_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.jsonl");
    fs::write(&file, lines(1..=6)).unwrap();
    let file = file.to_str().unwrap();
    let held = Arc::new(Notify::new());
    let stub = Stub { held: Some(Arc::clone(&held)), ..Stub::default() };
    let url = stub.serve().await;

    held.notify_one();
    let mut child = users(&url, &["import", file, "--batch", "2"]).spawn().unwrap();
    // The first call is answered, the second waits.
    let journal = folder.path().join("users.jsonl.transom-import");
    crate::support::until(|| journal.exists()).await;
    interrupt(&child);
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.contains("ends with the call under way"), "{line}");
    held.notify_one();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(rest, "transom: interrupted\nthe same command goes on with line 5\n");
    assert_eq!(stub.emails().len(), 4);

    held.notify_one();
    let (code, out, _) = run(users(&url, &["import", file]), "").await;
    assert_eq!((code, out.as_str()), (0, "6 created, 0 not created, 0 lines malformed\n"));
    assert_eq!(stub.emails().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_ends_with_its_reader() {
    let url = Stub::default().serve().await;
    for arguments in [&["list"][..], &["list", "--output", "table"], &["export"]] {
        let mut child = users(&url, arguments).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        drop(output);
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert_eq!((child.wait().unwrap().code(), error.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(line.starts_with("{\"id\":") || line.starts_with("ID "), "{line}");

        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = users(&url, arguments);
        command.stdout(full);
        let (code, _, error) = run(command, "").await;
        assert!(code == 1 && error.contains("No space left"), "{arguments:?}: {error}");
    }
    let (code, out, _) = run(users(&url, &["list", "--limit", "250"]), "").await;
    assert_eq!((code, out.lines().count()), (0, 250));
    let (code, out, _) = run(users(&url, &["list", "--limit", "0", "--output", "table"]), "").await;
    assert_eq!((code, out.lines().count()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_interrupted_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.jsonl");
    let url = Stub::default().serve().await;
    let mut child = users(&url, &["export", file.to_str().unwrap()]).spawn().unwrap();
    crate::support::until(|| names(folder.path()).len() == 1).await;
    interrupt(&child);
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(error.contains("interrupted: "), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told_with_its_code() {
    let stub = Stub::default();
    let url = stub.serve().await;
    let nowhere = "http://127.0.0.1:1";
    for (arguments, code, part) in [
        (&["get", "x"][..], 1, "transom: NOT_FOUND: User x not found\n"),
        (&["get", "x", "--url", nowhere], 1, "UNAVAILABLE: no connection to http://127.0.0.1:1: "),
        (&["list", "--url", nowhere], 1, "UNAVAILABLE: no connection"),
        (&["import", "-", "--url", "127.0.0.1"], 2, "http://HOST:PORT"),
        (&["list", "--page-size", "1001"], 2, "--page-size"),
        (&["get", "x", "--deadline-ms", "0"], 2, "--deadline-ms"),
        (&["get"], 2, "<ID>"),
        (&["create"], 2, "--email"),
        (&["create", "--email", "a@b", "--password-stdin"], 2, "standard input is empty"),
        (&["import", "/nonexistent.jsonl"], 2, "/nonexistent.jsonl: No such file"),
        (&["import", "/"], 2, "is a directory"),
        (&["export", "/nonexistent/x"], 1, "/nonexistent/x: No such file"),
        (&["list", "--ca-file", "/nonexistent.pem", "--url", "https://a"], 2, "/nonexistent.pem"),
    ] {
        let (exit, out, error) = run(users(&url, arguments), "").await;
        assert_eq!((exit, out.as_str()), (code, ""), "{arguments:?}: {error}");
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
    let mut command = users(&url, &["get", "x"]);
    command.env("TRANSOM_TOKEN", "t0ken");
    run(command, "").await;
    run(users(&url, &["get", "x", "--token", "other"]), "").await;
    let (code, _, error) = run(users(&url, &["get", "x", "--token", "s3crét"]), "").await;
    assert!(code == 2 && !error.contains("s3cr"), "{error}");
    let sent = stub.authorization.lock().unwrap().clone();
    assert_eq!(sent, ["-", "Bearer t0ken", "Bearer other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_may_be_behind_tls() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = certified.cert.pem();
    let identity = Identity::from_pem(&pem, certified.signing_key.serialize_pem());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let tls = ServerTlsConfig::new().identity(identity);
    let mut server = Server::builder().tls_config(tls).unwrap();
    let server = server.add_service(UserServiceServer::new(Stub::default()));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    fs::write(&ca_file, pem).unwrap();
    let list = ["list", "--limit", "3"];
    let trusted = [&list[..], &["--ca-file", ca_file.to_str().unwrap()]].concat();
    let (code, out, error) = run(users(&url, &trusted), "").await;
    assert_eq!((code, out.lines().count()), (0, 3), "{error}");
    let (code, _, error) = run(users(&url, &list), "").await;
    assert!(code == 1 && error.contains("UNAVAILABLE: no connection to https://"), "{error}");
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_comes_from_standard_input() {
    let stub = Stub::default();
    let url = stub.serve().await;
    let create = ["create", "--email", "a@b", "--name", "A", "--password-stdin"];
    let (code, out, err) = run(users(&url, &create), "correct horse\n").await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(!out.contains("horse"), "{out}");
    let created = stub.created.lock().unwrap().clone();
    let [row] = &created[..] else { panic!("not one") };
    assert_eq!((row.email.as_str(), row.password.as_str()), ("a@b", "correct horse"));
}

#[test]
fn each_help_has_examples_first_and_exit_codes() {
    for command in [None, Some("list"), Some("get"), Some("create"), Some("export"), Some("import")]
    {
        let mut help = transom(&["users"]);
        help.args(command).arg("--help").env("TRANSOM_TOKEN", "s3cret");
        let help = String::from_utf8(help.output().unwrap().stdout).unwrap();
        assert!(help.starts_with("Examples:\n  transom users "), "{command:?}: {help}");
        assert!(help.contains("Exit codes:\n  0  "), "{command:?}: {help}");
        assert!(!help.contains("s3cret"), "{command:?}: {help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_move_from_one_service_to_another() {
    let store = ["--listen", "127.0.0.1:0", "--database", "sqlite::memory:"];
    let gateway = start(&store);
    let service = start(&[&["user-service"], &store[..]].concat());
    let from = format!("http://{}", gateway.address);
    let to = format!("http://{}", service.address);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();

    let text = lines(1..=2_500) + "{\"email\":\"7@B\"}\n{\"email\":\"no at\"}\nnope\n";
    fs::write(path("in.jsonl"), text).unwrap();
    let import = ["import", &path("in.jsonl"), "--batch", "1000", "--output", "json"];
    let (code, out, error) = run(users(&from, &import), "").await;
    let json = "{\"created\":2500,\"not_created\":2,\"malformed\":1,\"finished\":true}\n";
    assert_eq!((code, out.as_str()), (1, json), "{error}");

    let (code, out, error) = run(users(&from, &["export", &path("out.jsonl")]), "").await;
    assert_eq!((code, out.as_str()), (0, ""), "{error}");
    let exported = fs::read_to_string(path("out.jsonl")).unwrap();
    assert_eq!(exported.lines().count(), 2_500);
    let import = ["import", &path("out.jsonl")];
    let (code, out, error) = run(users(&to, &import), "").await;
    assert_eq!(
        (code, out.as_str()),
        (0, "2500 created, 0 not created, 0 lines malformed\n"),
        "{error}"
    );
    let (code, out, _) = run(users(&to, &import), "").await;
    assert!(code == 1 && out.starts_with("0 created, 2500 not created (already there"), "{out}");

    let emails = |text: &str| -> Vec<String> {
        let user = |line| serde_json::from_str::<User>(line).unwrap();
        text.lines().map(|line| user(line).email).collect()
    };
    let (_, listed, _) = run(users(&to, &["list", "--page-size", "1000"]), "").await;
    assert_eq!(emails(&listed), emails(&exported));
    let user: User = serde_json::from_str(listed.lines().nth(6).unwrap()).unwrap();
    let (code, one, _) = run(users(&to, &["get", &user.id]), "").await;
    assert_eq!((code, one.trim_end()), (0, listed.lines().nth(6).unwrap()));
}
