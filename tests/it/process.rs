//! The `transom` binary as people run it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

pub(crate) struct Process {
    child: Child,
    /// Held open: what is printed later must have somewhere to go.
    _stdout: BufReader<ChildStdout>,
    banner: Vec<String>,
    pub(crate) address: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn transom(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transom"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ours = |name: &str| name.starts_with("TRANSOM_") || name == "RUST_LOG";
    for (variable, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(variable);
    }
    command
}

pub(crate) fn start(arguments: &[&str]) -> Process {
    let mut child = transom(arguments).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut banner = Vec::new();
    while !banner.last().is_some_and(|line: &String| line.contains(" try ")) {
        let mut line = String::new();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "it ended: {banner:?}");
        banner.push(line);
    }
    let address = banner[0].trim().rsplit("http://").next().unwrap().to_owned();
    Process { child, _stdout: stdout, banner, address }
}

fn fails(arguments: &[&str]) -> (i32, String) {
    let output = transom(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

pub(crate) fn http(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn create(address: &str, email: &str) -> String {
    let body = format!("{{\"email\":\"{email}\"}}");
    let length = body.len();
    http(
        address,
        &format!(
            "POST /v1/users HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

fn signal(process: &Process, name: &str) {
    let pid = process.child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

fn in_memory() -> Process {
    start(&["--listen", "127.0.0.1:0", "--database", "sqlite::memory:"])
}

#[test]
fn a_start_says_what_is_served_where_in_eight_lines() {
    let process = in_memory();
    assert!(process.banner.len() <= 8);
    let banner = process.banner.concat();
    let protocols = "REST/JSON, server-sent events, NDJSON, WebSocket, gRPC-Web, gRPC, Connect";
    for part in
        ["user.v1.UserService", "sqlite::memory:", protocols, "/readyz", "curl http://127.0.0.1:"]
    {
        assert!(banner.contains(part), "{banner}");
    }
    // The line to paste works as it is.
    let line = process.banner.last().unwrap().trim().trim_start_matches("try").trim();
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(answer.contains("\"email\":\"ada@example.com\""), "{answer}");
}

#[test]
fn a_second_start_says_what_to_do_and_leaves_the_store_alone() {
    let folder = tempfile::tempdir().unwrap();
    let process = in_memory();
    let store = folder.path().join("second.db");
    let database = format!("sqlite:{}", store.display());
    let (code, error) = fails(&["--listen", &process.address, "--database", &database]);
    assert_eq!(code, 1);
    assert!(error.contains("address in use") && error.contains("--listen 127.0.0.1:"), "{error}");
    assert!(!store.exists());
}

#[test]
fn users_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("users.db").display());
    for (attempt, status) in ["HTTP/1.1 200", "HTTP/1.1 409"].into_iter().enumerate() {
        let mut process = start(&["serve", "--listen", "127.0.0.1:0", "--database", &database]);
        let answer = create(&process.address, "a@b");
        assert!(answer.starts_with(status), "start {attempt}: {answer}");
        signal(&process, "-INT");
        assert!(process.child.wait().unwrap().success());
        assert!(!Path::new(&format!("{database}-wal")).exists());
    }
}

#[test]
fn both_signals_stop_it_with_an_open_stream() {
    for name in ["-INT", "-TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("transom.toml");
        std::fs::write(&config, "[drain]\nready_wait_ms = 10\nstream_end_ms = 20\n").unwrap();
        let config = config.to_str().unwrap();
        let mut process = start(&[
            "--listen",
            "127.0.0.1:0",
            "--database",
            "sqlite::memory:",
            "--config",
            config,
        ]);
        let mut stream = TcpStream::connect(&process.address).unwrap();
        write!(stream, "GET /v1/users HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 64]).unwrap();
        signal(&process, name);
        assert_eq!(process.child.wait().unwrap().code(), Some(0), "{name}");
    }
}

#[test]
fn what_cannot_work_is_refused_with_a_reason_and_a_code() {
    for (arguments, code, part) in [
        (&["--listen", "0.0.0.0:0"][..], 78, "--allow-unauthenticated"),
        (&["--database", "mysql://x"], 2, "sqlite:FILE"),
        (
            &["--listen", "127.0.0.1:0", "--database", "postgres://ada:secret@127.0.0.1:1/users"],
            1,
            "user store postgres://ada@127.0.0.1:1/users: ",
        ),
        (&["--listen", "nowhere"], 2, "--listen"),
        (&["--config", "/nonexistent.toml"], 78, "/nonexistent.toml"),
        (&["--listen", "127.0.0.1:0", "--database", "sqlite:/nonexistent/x.db"], 1, "user store"),
        (&["dance"], 2, "dance"),
        (&["serve", "--proto", "protos"], 2, "--upstream URL"),
        (&["serve", "--service-config", "rules.yaml"], 2, "--upstream URL"),
        (&["routes", "--service-config", "/nonexistent.yaml"], 78, "/nonexistent.yaml"),
        (&["routes", "--descriptor-set", "/nonexistent.bin"], 78, "/nonexistent.bin"),
        (
            &["serve", "--upstream", "http://a", "--service-config", "/nonexistent.yaml"],
            78,
            ".yaml",
        ),
    ] {
        let (exit, error) = fails(arguments);
        assert_eq!(exit, code, "{arguments:?}: {error}");
        assert!(error.contains(part), "{arguments:?}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn version_and_help_go_to_stdout() {
    for (arguments, part) in [
        (&["version"][..], "transom 0."),
        (&["--version"], "transom 0."),
        (&["--help"], "Examples:"),
        (&["--help"], "Exit codes:\n  0 "),
        (&["serve", "--help"], "Exit codes:\n  0 "),
        (&["serve", "--help"], "[default: 127.0.0.1:8080]"),
        (&["user-service", "--help"], "Exit codes:\n  0 "),
        (&["user-service", "--help"], "[default: 127.0.0.1:50051]"),
        (&["routes", "--help"], "Examples:"),
        (&["routes", "--help"], "Exit codes:\n  0 "),
        (&["check", "--help"], "Examples:"),
        (&["check", "--help"], "Exit codes:\n  0 "),
        (&["explain", "--help"], "Exit codes:\n  0 "),
        (&["explain", "--help"], "the method is not called"),
    ] {
        let output = transom(arguments).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(part));
    }
}

#[test]
fn what_cannot_be_written_is_told_and_a_reader_that_went_away_is_not() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for arguments in
        [&["routes"][..], &["check"], &["explain", "GET /v1/users"], &["version"], &["--help"]]
    {
        let output = transom(arguments).stdout(full()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains("No space left"), "{arguments:?}: {error}");
        let mut child = transom(arguments).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn the_first_example_of_explain_succeeds() {
    let output = transom(&["explain", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let example = help.lines().find(|line| line.trim_start().starts_with("transom explain '"));
    let request = example.unwrap().split('\'').nth(1).unwrap();
    assert_eq!(prints(&["explain", request]).0, 0, "{request}");
}

#[test]
fn explain_and_serve_agree_on_what_is_in_front_of_the_gateway() {
    let process = in_memory();
    for (path, is_in_front) in [
        ("/", true),
        ("/console.js", true),
        ("/console.css", true),
        ("/console.html", false),
        ("/docs", true),
        ("/docs/", true),
        ("/docs/index.html", true),
        ("/docs/nothing", true),
        ("/docs/a/b", false),
        ("/openapi.json", true),
        ("/openapi.yaml", true),
        ("/openapi", false),
        ("/livez", true),
        ("/livez/x", false),
        ("/readyz", true),
        ("/healthz", true),
        ("/grpc.health.v1.Health/Check", false),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", false),
        ("/grpc.other.v1.Service/Get", false),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let served = http(&process.address, &request);
        let is_of_gateway = served.contains(&format!("no route for {path}"));
        assert_eq!(!is_of_gateway, is_in_front, "{path}: {served}");
        let (code, told) = prints(&["explain", &format!("GET {path}"), "--json"]);
        let is_told = told.starts_with("{\"page\":");
        assert_eq!((is_told, code == 0), (is_in_front, is_in_front), "{path}: {told}");
    }
}

#[test]
fn an_upstream_that_cannot_be_reached_is_logged_once_for_each_attempt() {
    let arguments = ["--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1"];
    let mut child = transom(&arguments).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let warnings: Vec<_> =
        log.lines().map_while(Result::ok).filter(|line| line.contains("WARN")).take(3).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(warnings.len(), 3);
    assert!(warnings.iter().all(|line| line.contains("no connection")), "{warnings:#?}");
}

#[test]
fn explain_answers_one_request_and_many() {
    let output = |arguments: &[&str]| {
        let output = transom(arguments).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    };
    let folder = tempfile::tempdir().unwrap();
    let proto = "syntax = \"proto3\"; package greet.v1; import \"google/api/annotations.proto\";\n\
                 import \"google/api/httpbody.proto\";\n\
                 message Name { string name = 1; google.api.HttpBody card = 2; }\n\
                 service Greeter {\n  rpc Greet(Name) returns (Name) {\n    \
                 option (google.api.http) = {post: \"/v1/greet/{name}\" body: \"card\"};\n  }\n}\n";
    std::fs::write(folder.path().join("greet.proto"), proto).unwrap();
    std::fs::write(folder.path().join("card.txt"), "hello").unwrap();
    let protos = folder.path().to_str().unwrap();
    let card = format!("@{protos}/card.txt");
    let greet = ["explain", "--proto", protos, "POST /v1/greet/Ada", "-d", &card];
    let (code, text) =
        output(&[&greet[..], &["-H", "content-type: text/plain", "--json"]].concat());
    assert_eq!(
        (code, text.as_str()),
        (
            0,
            "{\"http_status\":200,\"method\":\"greet.v1.Greeter/Greet\",\
             \"template\":\"/v1/greet/{name}\",\"request\":{\"name\":\"Ada\",\
             \"card\":{\"contentType\":\"text/plain\",\"data\":\"aGVsbG8=\"}}}\n"
        )
    );
    let (code, text) = output(&greet);
    assert_eq!(code, 0);
    assert!(text.contains("greet.proto:6:") && text.contains("5 bytes  from the body"), "{text}");

    for (arguments, code, part) in [
        (&["explain", "GET /nowhere"][..], 1, "no route for /nowhere"),
        (&["explain"], 2, "REQUEST"),
        (&["explain", "nothing"], 2, "is no request"),
        (&["explain", "GET /", "--stdin"], 2, "cannot be used with"),
        (&["explain", "GET /", "-d", "@/nonexistent"], 2, "/nonexistent"),
        (&["explain", "GET /", "-H", "content-type: application/grpc"], 2, "only REST"),
        (&["explain", "GET /", "--descriptor-set", "/nonexistent"], 78, "/nonexistent"),
        (&["explain", "--help"], 0, "Examples:"),
    ] {
        let (found, text) = output(arguments);
        assert_eq!(found, code, "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
}

#[test]
fn explain_answers_each_line_before_it_waits_for_the_next() {
    let mut command = transom(&["explain", "--stdin"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for (request, answer) in [
        ("{\"request\":\"GET /v1/users/7\"}", "{\"http_status\":200,"),
        ("not JSON", "{\"error\":"),
        (
            "{\"request\":\"PUT /v1/users\"}",
            "{\"http_status\":405,\"allow\":[\"GET\",\"HEAD\",\"POST\"],",
        ),
    ] {
        writeln!(input, "{request}").unwrap();
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with(answer), "{line}");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// What it prints, and the code it exits with.
fn prints(arguments: &[&str]) -> (i32, String) {
    let output = transom(arguments).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn routes_are_printed_for_people_and_for_programs() {
    let (code, text) = prints(&["routes"]);
    let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!((code, &lines[0][..]), (0, &["METHOD", "TEMPLATE", "RPC", "STREAM", "BODY"][..]));
    let list = ["GET", "/v1/users", "user.v1.UserService/ListUsers", "server", "-"];
    assert!(lines.iter().any(|line| line[..] == list), "{text}");
    let column = |line: &str| {
        let rpc = line.split_whitespace().nth(2).unwrap_or_default();
        line.find(&format!(" {rpc} ")).unwrap_or_default()
    };
    let columns: Vec<_> =
        text.lines().skip(1).filter(|l| l.contains(" /v1/")).map(column).collect();
    assert!(columns.iter().all(|at| *at == columns[0] && *at > 0), "{text}");

    let (code, json) = prints(&["routes", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| row["template"] == "/v1/users/{user_id}");
    let source = &row.unwrap()["source"];
    assert!(source.as_str().unwrap().starts_with("user/v1/user_service.proto:"), "{source}");
    let expected = serde_json::json!({
        "method": "GET", "template": "/v1/users/{user_id}", "rpc": "user.v1.UserService/GetUser",
        "stream": "unary", "body": null, "response_body": null, "variables": ["user_id"],
        "source": source, "annotated": true,
    });
    assert_eq!((code, row), (0, Some(&expected)));
}

#[test]
fn check_tells_errors_and_warnings_with_their_places() {
    assert_eq!(prints(&["check"]), (0, "9 methods, 18 routes, 0 errors, 0 warnings\n".to_owned()));

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let proto = "syntax = \"proto3\";\npackage c;\nservice S {\n  rpc A(M) returns (M);\n  \
                 rpc B(M) returns (M);\n}\nmessage M { string id = 1; M child = 2; }\n";
    std::fs::create_dir(path("protos")).unwrap();
    std::fs::write(path("protos/c.proto"), proto).unwrap();
    let rules = |rules: &str| std::fs::write(path("rules.yaml"), rules).unwrap();
    rules("http:\n  rules:\n    - selector: c.S.A\n      get: /v1/{child}\n");
    let (protos, file) = (path("protos"), path("rules.yaml"));
    let check = ["check", "--proto", &protos, "--service-config", &file];
    let (code, text) = prints(&check);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((code, lines.len()), (1, 3), "{text}");
    let error = format!("{file}:3:7: error: `/v1/{{child}}`: `child` cannot stand in a path");
    assert!(lines[0].starts_with(&error), "{text}");
    assert!(lines[1].starts_with("c.proto:5:3: warning[unannotated]: c.S/B has no"), "{text}");
    assert_eq!(lines[2], "2 methods, 2 routes, 1 error, 1 warning");

    let (code, json) = prints(&[&check[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &report["ok"], &report["methods"]), (1, &false.into(), &2.into()));
    let [error, warning] = &report["problems"].as_array().unwrap()[..] else { panic!("{json}") };
    let of = |finding: &serde_json::Value| {
        ["level", "lint", "file", "line", "column"].map(|key| finding[key].clone())
    };
    let null = serde_json::Value::Null;
    assert_eq!(of(error), ["error".into(), null, file.clone().into(), 3.into(), 7.into()]);
    let place: [serde_json::Value; 2] = ["warning".into(), "unannotated".into()];
    assert_eq!(of(warning)[..2], place);

    // A file of upstreams; a page that a route takes; a file that is wrong itself.
    rules(
        "http:\n  rules:\n    - selector: c.S.A\n      get: /docs\n    - selector: c.S.B\n      \
           get: /b\n",
    );
    let upstream = format!(
        "[[upstreams]]\nurl = \"http://a\"\nproto = {protos:?}\nservice_config = {file:?}\n"
    );
    let config = path("transom.toml");
    std::fs::write(&config, &upstream).unwrap();
    let (code, text) = prints(&["check", "--config", &config]);
    let taken = format!("{file}:3:7: error: `/docs` is a page of the server's own: move");
    assert!(code == 1 && text.starts_with(&taken) && text.contains("pages.docs"), "{text}");
    std::fs::write(&config, format!("pages.docs = \"/d\"\n{upstream}")).unwrap();
    assert_eq!(prints(&["check", "--config", &config]).0, 0);
    std::fs::write(&config, format!("{upstream}\ncolour = 1\n")).unwrap();
    let (code, text) = prints(&["check", "--config", &config]);
    assert!(code == 1 && text.starts_with(&format!("{config}:6:1: error: unknown")), "{text}");
    std::fs::write(&config, upstream.replace("http:", "gopher:")).unwrap();
    let (code, text) = prints(&["check", "--config", &config]);
    assert!(code == 1 && text.contains(&format!("{config}: error: `gopher://a` is no")), "{text}");
}

#[test]
fn check_goes_on_behind_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (protos, rules) = (path("protos"), path("rules.yaml"));
    std::fs::create_dir(&protos).unwrap();
    let proto = "syntax = \"proto3\";\npackage c;\nservice S {\n  rpc A(Nope) returns (M);\n  \
                 rpc B(M) returns (M);\n  rpc C(M) returns (M);\n}\nmessage M { string id = 1; }\n";
    let write = |text: &str| std::fs::write(path("protos/c.proto"), text).unwrap();
    write(proto);
    let rule = |selector: &str, rest: &str| format!("    - selector: c.S.{selector}\n{rest}");
    let text = [
        "http:\n  rules:\n".to_owned(),
        rule("A", "      get: /v1/a\n"),
        rule("Bee", "      get: /v1/b\n"),
        rule("B", "      get: /v1/{nope}\n      colour: red\n"),
    ];
    std::fs::write(&rules, text.concat()).unwrap();
    let check = ["check", "--proto", &protos, "--service-config", &rules];
    let (code, text) = prints(&check);
    let expected = format!(
        "{rules}:5:7: error: no method is called `c.S.Bee`: did you mean `c.S.B`?\n\
         {rules}:7:7: error: `/v1/{{nope}}`: `c.M` has no field `nope`\n\
         {rules}:9:7: error: a rule has no key `colour`\n\
         c.proto:4:9: error: `A` uses the unknown type `Nope`\n\
         c.proto:6:3: warning[unannotated]: c.S/C has no HTTP rule and is reached at POST \
         /c.S/C alone: add a google.api.http option, or a rule to the service configuration\n\
         2 methods, 2 routes, 4 errors, 1 warning\n"
    );
    assert_eq!((code, text.as_str()), (1, expected.as_str()));

    // Who serves is told of the schema as much.
    let serve = ["serve", "--upstream", "http://a", "--listen", "127.0.0.1:0"];
    let (code, error) = fails(&[&serve[..], &check[1..]].concat());
    let places = [":5:7: no method", ":9:7: a rule has", "c.proto:4:9: `A` uses"];
    assert!(code == 78 && places.iter().all(|place| error.contains(place)), "{error}");

    // Where nothing further can be looked at, no count is made up.
    let counts = |json: &str| {
        let report: serde_json::Value = serde_json::from_str(json).unwrap();
        [report["methods"].clone(), report["routes"].clone(), report["problems"][0]["file"].clone()]
    };
    write("syntax = \"proto3\";\nmessage M { string x = 1 }");
    let (code, text) = prints(&["check", "--proto", &protos]);
    assert!(code == 1 && text.starts_with("c.proto:2:26: error: "), "{text}");
    assert!(text.ends_with("\n1 error, 0 warnings; nothing further was looked at\n"), "{text}");
    let null = serde_json::Value::Null;
    let (_, json) = prints(&["check", "--proto", &protos, "--json"]);
    assert_eq!(counts(&json), [null.clone(), null.clone(), "c.proto".into()]);
    write(proto);
    std::fs::write(&rules, "http:\n  rules: [\n").unwrap();
    let (_, text) = prints(&check);
    assert!(text.contains("rules.yaml:") && text.contains("c.proto:4:9"), "{text}");
    assert!(
        !text.contains("warning[") && text.ends_with("nothing further was looked at\n"),
        "{text}"
    );

    // A file that is no set of descriptors is named, by every command.
    let junk = path("junk.bin");
    std::fs::write(&junk, b"junk").unwrap();
    let (_, json) = prints(&["check", "--descriptor-set", &junk, "--json"]);
    assert_eq!(counts(&json), [null.clone(), null, junk.clone().into()]);
    for command in
        [&["routes"][..], &["serve", "--listen", "127.0.0.1:0", "--upstream", "http://a"]]
    {
        let (code, error) = fails(&[command, &["--descriptor-set", &junk]].concat());
        assert!(code == 78 && error.contains("junk.bin: not a FileDescriptorSet"), "{error}");
    }

    // One upstream that cannot be looked at keeps no other from being told.
    std::fs::write(&rules, "http:\n  rules:\n    - {selector: c.S.B, get: /b, body: \"*\"}\n")
        .unwrap();
    let config = path("transom.toml");
    let text = format!(
        "[[upstreams]]\nurl = \"http://a\"\ndescriptor_set = {junk:?}\n\
         [[upstreams]]\nurl = \"http://b\"\nproto = {protos:?}\nservice_config = {rules:?}\n"
    );
    std::fs::write(&config, text).unwrap();
    let (_, text) = prints(&["check", "--config", &config]);
    assert!(text.contains("junk.bin: error: ") && text.contains("warning[body-on-get]"), "{text}");
    assert!(text.ends_with("2 warnings; not every upstream was looked at further\n"), "{text}");
}

#[test]
fn rules_without_an_upstream_are_for_the_bundled_service() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml").to_str().unwrap().to_owned();
    let rule =
        "http: {rules: [{selector: user.v1.UserService.GetUser, get: \"/people/{user_id}\"}]}";
    std::fs::write(&rules, rule).unwrap();
    let flags = ["--service-config", rules.as_str()];
    let (code, text) = prints(&[&["routes"][..], &flags].concat());
    assert!(code == 0 && text.contains("/people/{user_id}"), "{text}");
    assert_eq!(prints(&[&["check"][..], &flags].concat()).0, 0);
    let (code, text) = prints(&[&["explain", "GET /people/7", "--json"][..], &flags].concat());
    assert!(code == 0 && text.contains("\"userId\":\"7\""), "{text}");
    let (code, text) = prints(&["check", "--services", "user.v1.Nope"]);
    assert!(code == 1 && text.contains("no service is called `user.v1.Nope`"), "{text}");
    // Which of several upstreams they are for has to be said.
    let config = folder.path().join("transom.toml").to_str().unwrap().to_owned();
    std::fs::write(&config, "[[upstreams]]\nurl = \"http://a\"\n").unwrap();
    let (code, error) = fails(&[&["routes", "--config", &config][..], &flags].concat());
    assert!(code == 2 && error.contains("--upstream URL"), "{error}");
}

/// The answer to a GET, with a token if there is one.
fn get_with(address: &str, path: &str, token: Option<&str>) -> String {
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
    http(address, &format!("{head}{}\r\n", token.unwrap_or_default()))
}

#[test]
fn with_auth_jwt_methods_take_a_token_that_the_store_signs() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("users.db").display());
    let token = |arguments: &[&str]| {
        let output = transom(&[&["token"], arguments].concat()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    let of_store = ["--database", database.as_str()];
    assert_eq!(token(&of_store), (2, String::new()), "there is no store yet");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--auth", "jwt", "--database", &database];
    let process = start(&arguments);
    assert!(process.banner.concat().contains("auth    jwt: "), "{:?}", process.banner);
    assert!(create(&process.address, "a@b").starts_with("HTTP/1.1 200"), "signing up is public");
    let list = |token: Option<&str>| get_with(&process.address, "/v1/users", token);
    let refused = list(None);
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("Invalid token"), "{refused}");

    let (code, good) = token(&[&of_store[..], &["--subject", "me"]].concat());
    assert_eq!((code, good.split('.').count()), (0, 3));
    assert!(list(Some(&good)).starts_with("HTTP/1.1 200"));
    let keys = get_with(&process.address, "/.well-known/jwks.json", None);
    assert!(keys.starts_with("HTTP/1.1 200") && keys.contains("\"crv\":\"Ed25519\""), "{keys}");

    // A key of one's own signs too; the server does not know it.
    let key = folder.path().join("key.pem");
    let pem = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    std::fs::write(&key, pem).unwrap();
    let (code, foreign) = token(&["--key", key.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(list(Some(&foreign)).starts_with("HTTP/1.1 401"));
}

#[test]
fn the_keys_of_tokens_are_shown_for_the_bundled_service_alone() {
    let service =
        start(&["user-service", "--listen", "127.0.0.1:0", "--database", "sqlite::memory:"]);
    let keys = |process: &Process| get_with(&process.address, "/.well-known/jwks.json", None);
    assert!(keys(&service).starts_with("HTTP/1.1 200"));
    let upstream = format!("http://{}", service.address);
    let gateway = start(&["serve", "--listen", "127.0.0.1:0", "--upstream", &upstream]);
    assert!(keys(&gateway).starts_with("HTTP/1.1 404"), "{}", keys(&gateway));
    let (code, error) = fails(&["serve", "--upstream", &upstream, "--auth", "jwt"]);
    assert!(code == 78 && error.contains("auth.mode"), "{code} {error}");
}
