//! The `transom` binary as people run it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

struct Process {
    child: Child,
    /// Held open: what is printed later must have somewhere to go.
    _stdout: BufReader<ChildStdout>,
    banner: Vec<String>,
    address: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn transom(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transom"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["TRANSOM_LISTEN", "TRANSOM_DATABASE", "TRANSOM_CONFIG", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command
}

fn start(arguments: &[&str]) -> Process {
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

fn http(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn create(address: &str, email: &str) -> String {
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
    for part in ["user.v1.UserService", "sqlite::memory:", "/readyz", "curl http://127.0.0.1:"] {
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
        (&["--listen", "nowhere"], 2, "--listen"),
        (&["--config", "/nonexistent.toml"], 78, "/nonexistent.toml"),
        (&["--listen", "127.0.0.1:0", "--database", "sqlite:/nonexistent/x.db"], 1, "user store"),
        (&["dance"], 2, "dance"),
    ] {
        let (exit, error) = fails(arguments);
        assert_eq!(exit, code, "{arguments:?}: {error}");
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
}

#[test]
fn version_and_help_go_to_stdout() {
    for (arguments, part) in [
        (&["version"][..], "transom 0."),
        (&["--version"], "transom 0."),
        (&["--help"], "Examples:"),
    ] {
        let output = transom(arguments).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(part));
    }
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
        ("{\"request\":\"PUT /v1/users/7\"}", "{\"http_status\":405,\"allow\":[\"GET\",\"HEAD\"],"),
    ] {
        writeln!(input, "{request}").unwrap();
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with(answer), "{line}");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}
