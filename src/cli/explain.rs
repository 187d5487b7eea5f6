//! `transom explain`: what a request would be, without an upstream.
//!
//! The request goes through a real gateway, whose upstream only writes down what it is asked: so
//! what is told of it cannot differ from what is served. What a server has in front of its gateway
//! is not gone through: limits of the head (`target_limit_bytes`, `header_count_limit`), the check
//! of `Host`, TRACE and CONNECT, CORS. The server's own pages are told
//! for what they are, and not what they answer.

use std::io::{self, BufRead, Write};

use clap::Args;

use super::{Action, Error, schema::SchemaOptions};

mod json;
mod outcome;
mod recorder;
mod request;
mod text;

use outcome::Explainer;
use request::Described;

#[derive(Args)]
pub(super) struct Explain {
    /// The request: 'GET /v1/users?page_size=1'
    #[arg(required_unless_present = "stdin")]
    request: Option<String>,

    /// A header of it, as NAME: VALUE; may be given again
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,

    /// Its body, as it is sent; @FILE reads a file, @- standard input
    #[arg(short, long, value_name = "TEXT")]
    data: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Answer each line {"request":"GET /…","headers":{},"body":"…"} of standard input with one
    /// JSON object
    #[arg(long, conflicts_with_all = ["request", "headers", "data"])]
    stdin: bool,

    #[command(flatten)]
    schema: SchemaOptions,
}

impl Explain {
    pub(super) fn action(self) -> Result<Action, Error> {
        let explainer = Explainer::new(&self.schema)?;
        let request = match &self.request {
            None => None,
            Some(line) => {
                let data = self.data.as_deref().map(read_data).transpose()?;
                let described = Described::new(line, &self.headers, data.unwrap_or_default());
                Some(described.map_err(Error::Request)?)
            }
        };
        Ok(Action::Explain(Box::new(Explanation { explainer, request, json: self.json })))
    }
}

/// The bytes that `--data` stands for.
fn read_data(data: &str) -> Result<Vec<u8>, Error> {
    let Some(file) = data.strip_prefix('@') else { return Ok(data.into()) };
    let read = match file {
        "-" => {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes).map(|_| bytes)
        }
        file => std::fs::read(file),
    };
    read.map_err(|error| Error::Request(format!("--data {data}: {error}")))
}

/// Everything that `transom explain` was told.
pub struct Explanation {
    explainer: Explainer,
    /// None where requests come from standard input.
    request: Option<Described>,
    json: bool,
}

impl Explanation {
    /// Explains to `output`. The exit code is 1 where the one request is refused; the result tells
    /// whether everything was read and written.
    pub fn run(self, input: &mut dyn BufRead, output: &mut dyn Write) -> (u8, io::Result<()>) {
        let Some(request) = self.request else {
            return (0, explain_lines(&self.explainer, input, output));
        };
        let outcome = self.explainer.explain(&request);
        let text = match self.json {
            true => json::object(&self.explainer, &outcome) + "\n",
            false => text::page(&self.explainer, &request, &outcome),
        };
        let result = output.write_all(text.as_bytes()).and_then(|()| output.flush());
        (u8::from(outcome.is_refused()), result)
    }
}

/// One object for each line; what a line has wrong concerns that line only.
fn explain_lines(
    explainer: &Explainer,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> io::Result<()> {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        if !line.trim_ascii().is_empty() {
            let object = match Described::from_json(&line) {
                Ok(request) => json::object(explainer, &explainer.explain(&request)),
                Err(error) => json::error(&error),
            };
            writeln!(output, "{object}")?;
            output.flush()?;
        }
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        explain: Explain,
    }

    fn explanation(arguments: &[&str]) -> Explanation {
        let arguments = ["explain"].iter().chain(arguments);
        let Ok(Action::Explain(explanation)) =
            Cli::try_parse_from(arguments).unwrap().explain.action()
        else {
            panic!("not explained")
        };
        *explanation
    }

    /// The exit code and what is printed.
    fn explain(arguments: &[&str]) -> (u8, String) {
        let mut output = Vec::new();
        let code = explanation(arguments).run(&mut io::empty(), &mut output).0;
        (code, String::from_utf8(output).unwrap())
    }

    #[test]
    fn a_request_that_is_served_is_one_object() {
        let (code, text) = explain(&["GET /v1/users/x%20y", "--json"]);
        assert_eq!(code, 0);
        assert_eq!(
            text,
            "{\"http_status\":200,\"method\":\"user.v1.UserService/GetUser\",\
             \"template\":\"/v1/users/{user_id}\",\"request\":{\"userId\":\"x y\"}}\n"
        );
        let (_, head) = explain(&["HEAD /v1/users/x%20y", "--json"]);
        assert_eq!(head, text);
    }

    #[test]
    fn a_refusal_is_told_as_the_caller_would_be() {
        let (code, text) = explain(&["GET /v1/users?colour=red&page_size=x", "--json"]);
        assert_eq!(code, 1);
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&object["http_status"], &object["status"]["code"]), (&400.into(), &3.into()));
        let violations = &object["status"]["details"][0]["fieldViolations"];
        assert_eq!(violations.as_array().unwrap().len(), 2);
        assert_eq!(object.get("allow"), None);

        let (code, text) = explain(&["DELETE /v1/users", "--json"]);
        assert_eq!(code, 1);
        assert!(
            text.starts_with("{\"http_status\":405,\"allow\":[\"GET\",\"HEAD\",\"POST\"],"),
            "{text}"
        );
        // Whatever form the caller would like.
        for accept in ["accept: application/problem+json", "accept: */*"] {
            let arguments = ["HEAD /nowhere", "--json", "-H", accept];
            let (_, text) = explain(&arguments);
            assert_eq!(
                text,
                "{\"http_status\":404,\"status\":{\"code\":5,\
                 \"message\":\"no route for /nowhere\",\"details\":[]}}\n"
            );
        }
    }

    #[test]
    fn what_the_gateway_answers_itself_is_no_refusal() {
        let (code, text) = explain(&["OPTIONS /v1/users", "--json"]);
        assert_eq!(code, 0);
        assert_eq!(
            text,
            "{\"http_status\":204,\"allow\":[\"GET\",\"HEAD\",\"OPTIONS\",\"POST\"]}\n"
        );
        let (code, text) = explain(&["OPTIONS /v1/users", "-H", "last-event-id: transom-end"]);
        assert!(code == 0 && !text.contains("stream is over"), "{text}");
        let (code, text) = explain(&["GET /v1/users/x", "--json", "-H", "if-none-match: *"]);
        assert_eq!(code, 0);
        assert!(text.starts_with("{\"http_status\":200,"), "{text}");
    }

    #[test]
    fn what_is_in_front_of_the_gateway_is_named_and_not_answered() {
        for (request, json, part) in [
            ("GET /readyz", "{\"page\":\"pages.readyz\"}\n", "pages.readyz of the configuration"),
            ("POST /livez", "{\"page\":\"pages.livez\"}\n", "not explained further"),
            ("GET /console.js", "{\"page\":\"pages.console\"}\n", "pages.console"),
        ] {
            assert_eq!(explain(&[request, "--json"]), (0, json.to_owned()), "{request}");
            let (code, text) = explain(&[request]);
            assert!(code == 0 && text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_stream_is_told_with_its_route() {
        let arguments = ["GET /v1/users", "-H", "last-event-id: transom-end"];
        let (code, text) = explain(&arguments);
        assert_eq!(code, 0);
        for part in ["matches GET /v1/users\n", "204", "`last-event-id: transom-end`", "is over"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let (_, json) = explain(&[&arguments[..], &["--json"]].concat());
        assert_eq!(
            json,
            "{\"http_status\":204,\"method\":\"user.v1.UserService/ListUsers\",\
             \"template\":\"/v1/users\",\"finished_stream\":true}\n"
        );
    }

    #[test]
    fn a_stream_of_requests_is_every_message_of_it() {
        let bulk = "POST /v1/users:bulkCreate";
        let (code, text) =
            explain(&[bulk, "--json", "--data", r#"[{"email":"a@b"},{"email":"c@d"}]"#]);
        assert_eq!(code, 0, "{text}");
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["request"]["email"], "a@b");
        assert_eq!(object["requests"].as_array().unwrap().len(), 2);
        let (code, text) = explain(&[bulk, "--json", "--data", r#"[{"email":"a@b"},{"x":1}]"#]);
        assert_eq!(code, 1);
        assert!(text.contains("[1].x") && !text.contains("\"request\""), "{text}");
    }

    #[test]
    fn each_line_has_its_answer_whatever_is_in_it() {
        let lines = concat!(
            "{\"request\":\"GET /v1/users/x\"}\n",
            "no\n",
            "\n",
            "{\"request\":\"GET\"}\n",
            "{\"request\":\"GET /v1/users/x\",\"colour\":1}\n",
            "{\"request\":\"GET /v1/users/x\",\"headers\":{\"a b\":\"c\"}}\n",
            "{\"request\":\"POST /v1/users\",\"headers\":{\"Content-Type\":\"text/csv\"},\"body\":\"x\"}\n",
            "\u{ff}\n",
            "{\"request\":\"POST /v1/users\",\"headers\":{\"x\":[\"a\",\"b\"]},\"body\":\"{}\"}",
        );
        let mut output = Vec::new();
        let code = explanation(&["--stdin"]).run(&mut lines.as_bytes(), &mut output);
        assert!(matches!(code, (0, Ok(()))));
        let output = String::from_utf8(output).unwrap();
        let objects: Vec<serde_json::Value> =
            output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = objects.iter().map(|object| match object.get("error") {
            Some(error) => error.as_str().unwrap().split(' ').next().unwrap().to_owned(),
            None => object["http_status"].to_string(),
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told[0], "200");
        assert!(objects[1..=4].iter().all(|object| object.get("error").is_some()), "{output}");
        assert_eq!(told[5], "415");
        assert!(objects[6].get("error").is_some());
        assert_eq!((told[7].as_str(), told.len()), ("200", 8));
    }

    #[test]
    fn people_are_told_the_way_of_a_request() {
        let (code, text) = explain(&["GET /v1/users/x?read_mask=", "-H", "authorization: y"]);
        assert_eq!(code, 1, "{text}");
        let (code, text) = explain(&["GET /v1/users/x"]);
        assert_eq!(code, 0);
        for part in [
            "GET /v1/users/x\n",
            "/v1/users/{user_id}",
            "user.v1.UserService/GetUser",
            "user_service.proto:",
            "user_id",
            "\"userId\": \"x\"",
            "POST /v1/users  ",
            "needs 2 segments, found 3",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let (code, text) = explain(&["POST /v1/users", "--data", r#"{"email":1,"nope":2}"#]);
        assert_eq!(code, 1);
        assert!(text.contains("400 Bad Request") && text.contains("email"), "{text}");
    }
}
