//! Rules beside the protos: the `http` part of a `google.api.Service` YAML file, whose rules
//! replace the annotations of the methods they select.
//!
//! The other parts of such a file are for others, and are passed over; what is unknown inside
//! `http` is a problem. Follows the comments of `google/api/http.proto` and `service.proto`.

use std::collections::HashMap;

use super::{
    descriptor_set::{CustomHttpPattern, HttpRule},
    problem::{Position, Problem},
    yaml::{self, LineColumn, Node, Value},
};

/// A service configuration: YAML text, and the name that its problems are told under.
///
/// ```
/// use transom::schema::{Exposure, Schema, ServiceConfig, compile_protos};
///
/// let source = r#"
///     syntax = "proto3";
///     package greet.v1;
///     service Greeter { rpc Greet(Name) returns (Name); }
///     message Name { string name = 1; }
/// "#;
/// let rules = "
/// http:
///   rules:
///     - selector: greet.v1.Greeter.Greet
///       get: /v1/greet/{name}
/// ";
/// let bytes = compile_protos(&[("greet.proto".to_owned(), source.to_owned())])?;
/// let service_config = Some(ServiceConfig::new("rules.yaml", rules));
/// let exposure = Exposure { service_config, ..Exposure::default() };
/// let schema = Schema::exposing(bytes, &exposure)?;
/// assert_eq!(schema.services()[0].methods[0].bindings[0].template, "/v1/greet/{name}");
/// # Ok::<_, transom::schema::Problems>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    file: String,
    text: String,
}

impl ServiceConfig {
    /// The configuration of this text; it is read when a schema is built.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into() }
    }
}

/// What a service configuration says.
#[derive(Default)]
pub(super) struct Rules {
    /// The last rule of each selector: it wins.
    pub(super) by_selector: HashMap<String, SelectedRule>,
    /// Those before it.
    pub(super) overridden: Vec<Problem>,
    /// `fully_decode_reserved_expansion`.
    pub(super) fully_decode: bool,
    /// Whether there are rules that nobody can read, and so nobody knows for which methods.
    pub(super) is_lost: bool,
}

/// A rule, and where it and each of its additional bindings stand.
pub(super) struct SelectedRule {
    /// None if its pattern cannot be read.
    pub(super) rule: Option<HttpRule>,
    pub(super) position: Position,
    pub(super) additional_positions: Vec<Position>,
}

/// Reads the rules, as far as they can be read, and tells what is wrong with them.
pub(super) fn read(config: &ServiceConfig) -> (Rules, Vec<Problem>) {
    let mut reader = Reader { file: &config.file, problems: Vec::new() };
    let mut rules = Rules::default();
    match yaml::parse(&config.text) {
        Ok(root) => reader.service(&root, &mut rules),
        Err(error) => {
            reader.problem(error.at, error.message);
            rules.is_lost = true;
        }
    }
    (rules, reader.problems)
}

struct Reader<'c> {
    file: &'c str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn service(&mut self, root: &Node, rules: &mut Rules) {
        rules.is_lost |= !matches!(root.value, Value::Map(_) | Value::Null);
        for (key, value) in self.map("the file", root) {
            if key.name == "http" {
                self.http(value, rules);
            }
        }
    }

    fn http(&mut self, node: &Node, rules: &mut Rules) {
        rules.is_lost |= !matches!(node.value, Value::Map(_) | Value::Null);
        for (key, value) in self.map("http", node) {
            match key.name.as_str() {
                "rules" => {
                    rules.is_lost |= !matches!(value.value, Value::List(_) | Value::Null);
                    for rule in self.list("rules", value) {
                        self.selected_rule(rule, rules);
                    }
                }
                "fully_decode_reserved_expansion" | "fullyDecodeReservedExpansion" => {
                    match self.text(&key.name, value) {
                        "true" => rules.fully_decode = true,
                        "false" | "" => rules.fully_decode = false,
                        _ => self.problem(value.at, format!("{}: say true or false", key.name)),
                    }
                }
                name => self.problem(key.at, format!("http has no key `{name}`")),
            }
        }
    }

    fn selected_rule(&mut self, node: &Node, rules: &mut Rules) {
        let mut additional_positions = Vec::new();
        let (selector, rule) = self.rule(node, &mut additional_positions);
        if selector.is_empty() {
            return self.problem(node.at, "the rule has no selector: say pkg.Service.Method");
        }
        if selector.contains('*') {
            let text = format!(
                "selector `{selector}`: wildcards are not supported, name each method in full"
            );
            return self.problem(node.at, text);
        }
        let is_name = |part: &str| part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !selector.contains('.') || !selector.split('.').all(is_name) {
            let text = format!("selector `{selector}` names no method: say pkg.Service.Method");
            return self.problem(node.at, text);
        }
        let position = self.position(node.at);
        let selected = SelectedRule { rule, position, additional_positions };
        if let Some(earlier) = rules.by_selector.insert(selector.clone(), selected) {
            let text = format!(
                "the rule has no effect: the last one for `{selector}` wins, at {}",
                self.position(node.at)
            );
            rules.overridden.push(Problem::at(&earlier.position, text));
        }
    }

    /// A rule or an additional binding with its selector; its own additional bindings stand at
    /// `additional`. There is none if its pattern cannot be read: what else it says is of no use.
    fn rule(&mut self, node: &Node, additional: &mut Vec<Position>) -> (String, Option<HttpRule>) {
        let mut rule = HttpRule::default();
        let (mut patterns, mut is_read) = (0, matches!(node.value, Value::Map(_) | Value::Null));
        for (key, value) in self.map("a rule", node) {
            let name = key.name.as_str();
            let pattern = match name {
                "get" => &mut rule.get,
                "put" => &mut rule.put,
                "post" => &mut rule.post,
                "delete" => &mut rule.delete,
                "patch" => &mut rule.patch,
                "custom" => {
                    patterns += 1;
                    is_read &= matches!(value.value, Value::Map(_));
                    rule.custom = Some(self.custom(value));
                    continue;
                }
                "selector" => {
                    rule.selector = self.text(name, value).to_owned();
                    continue;
                }
                "body" => {
                    rule.body = self.text(name, value).to_owned();
                    continue;
                }
                "response_body" | "responseBody" => {
                    rule.response_body = self.text(name, value).to_owned();
                    continue;
                }
                "additional_bindings" | "additionalBindings" => {
                    for binding in self.list(name, value) {
                        // What is bound there again is a problem, wherever it stands.
                        let (selector, binding_rule) = self.rule(binding, &mut Vec::new());
                        if !selector.is_empty() {
                            self.problem(binding.at, "an additional binding has no selector");
                        }
                        if let Some(binding_rule) = binding_rule {
                            additional.push(self.position(binding.at));
                            rule.additional_bindings.push(binding_rule);
                        }
                    }
                    continue;
                }
                name => {
                    self.problem(key.at, format!("a rule has no key `{name}`"));
                    continue;
                }
            };
            patterns += 1;
            is_read &= matches!(value.value, Value::Scalar(_) | Value::Null);
            *pattern = Some(self.text(name, value).to_owned());
        }
        if patterns > 1 {
            let text = "the rule has several patterns: put the others into additional_bindings";
            self.problem(node.at, text);
        }
        let selector = rule.selector.clone();
        (selector, Some(rule).filter(|_| is_read && patterns < 2))
    }

    fn custom(&mut self, node: &Node) -> CustomHttpPattern {
        let mut custom = CustomHttpPattern::default();
        for (key, value) in self.map("custom", node) {
            match key.name.as_str() {
                "kind" => custom.kind = self.text("kind", value).to_owned(),
                "path" => custom.path = self.text("path", value).to_owned(),
                name => self.problem(key.at, format!("custom has no key `{name}`")),
            }
        }
        custom
    }

    /// The entries of a map; none if it is something else, or nothing.
    fn map<'n>(&mut self, what: &str, node: &'n Node) -> &'n [(yaml::Key, Node)] {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            other => {
                self.problem(node.at, format!("{what} must be a map, not {}", other.noun()));
                &[]
            }
        };
        for (index, (key, _)) in entries.iter().enumerate() {
            if entries[..index].iter().any(|(earlier, _)| spelled(earlier) == spelled(key)) {
                self.problem(key.at, format!("`{}` stands there twice", key.name));
            }
        }
        entries
    }

    fn list<'n>(&mut self, what: &str, node: &'n Node) -> &'n [Node] {
        match &node.value {
            Value::List(list) => list,
            Value::Null => &[],
            other => {
                self.problem(node.at, format!("{what} must be a list, not {}", other.noun()));
                &[]
            }
        }
    }

    fn text<'n>(&mut self, what: &str, node: &'n Node) -> &'n str {
        match &node.value {
            Value::Scalar(text) => text,
            Value::Null => "",
            other => {
                self.problem(node.at, format!("{what} must be a text, not {}", other.noun()));
                ""
            }
        }
    }

    fn problem(&mut self, at: LineColumn, message: impl Into<String>) {
        self.problems.push(Problem::at(&self.position(at), message));
    }

    fn position(&self, at: LineColumn) -> Position {
        Position { file: self.file.to_owned(), line_column: Some(at) }
    }
}

/// In JSON spelling: `additionalBindings` and `additional_bindings` are one key.
fn spelled(key: &yaml::Key) -> String {
    let mut words = key.name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name + letters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use crate::schema::{Exposure, HttpMethod, Problems, Schema, compile_protos};

    const SOURCE: &str = r#"syntax = "proto3"; package s; import "google/api/annotations.proto";
message M { string id = 1; M child = 2; }
service A {
  rpc Get(M) returns (M) { option (google.api.http) = {get: "/annotated/{id}"}; }
  rpc Put(M) returns (M);
}
service B { rpc Broken(M) returns (M) { option (google.api.http) = {body: "*"}; } }
"#;

    fn schema(rules: &str, services: &[&str]) -> Result<Schema, Problems> {
        let bytes = compile_protos(&[("s.proto".to_owned(), SOURCE.to_owned())]).unwrap();
        let service_config = Some(super::ServiceConfig::new("r.yaml", rules));
        let services = services.iter().map(|name| (*name).to_owned()).collect();
        Schema::exposing(bytes, &Exposure { services, service_config })
    }

    /// The bindings of `s.A`, each as `METHOD template body response_body position`.
    fn bindings(rules: &str) -> Vec<String> {
        let schema = schema(rules, &["s.A"]).unwrap();
        let methods = schema.services().iter().flat_map(|service| &service.methods);
        let bindings = methods.flat_map(|method| &method.bindings);
        let show = |binding: &crate::schema::HttpBinding| {
            let method = match &binding.method {
                HttpMethod::Is(method) => method.to_string(),
                HttpMethod::Any => "*".to_owned(),
            };
            let (template, body) = (&binding.template, &binding.body);
            let response = binding.response_body.as_deref().unwrap_or("-");
            format!("{method} {template} {body:?} {response} {}", binding.position)
        };
        bindings.map(show).collect()
    }

    fn problems(rules: &str) -> Vec<String> {
        let problems = schema(rules, &["s.A"]).unwrap_err().to_string();
        problems.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_rule_replaces_the_annotation_and_the_last_one_wins() {
        let rules = r#"
type: google.api.Service
config_version: 3
apis: [{name: s.A}]
http:
  rules:
    - selector: s.A.Get
      get: /lost
    - selector: s.A.Put
      put: /v1/{id}
      body: "*"
      response_body: child
      additional_bindings:
        - patch: /v1/{id}
          body: child
        - custom: {kind: "*", path: "/any/{id}"}
          responseBody: id
    - {selector: s.A.Get, get: "/v2/{id}"}
"#;
        let expected = [
            "GET /v2/{id} None - r.yaml:18:7",
            "PUT /v1/{id} All child r.yaml:9:7",
            "PATCH /v1/{id} Field(\"child\") - r.yaml:14:11",
            "* /any/{id} None id r.yaml:16:11",
        ];
        assert_eq!(bindings(rules), expected);
        let schema = schema(rules, &["s.A"]).unwrap();
        let overridden: Vec<_> = schema.overridden_rules().iter().collect();
        assert_eq!(overridden.len(), 1);
        assert_eq!(overridden[0].position.as_ref().unwrap().to_string(), "r.yaml:7:7");
        assert!(overridden[0].message.ends_with("the last one for `s.A.Get` wins, at r.yaml:18:7"));
        assert!(!schema.fully_decodes());
    }

    #[test]
    fn json_and_its_spelling_are_read_too() {
        let rules = r#"{"http": {"fullyDecodeReservedExpansion": true, "rules": [{
            "selector": "s.A.Put", "post": "/p", "additionalBindings": [{"get": "/q"}]}]}}"#;
        assert_eq!(bindings(rules).len(), 3);
        assert!(schema(rules, &["s.A"]).unwrap().fully_decodes());
        for nothing in ["", "http:", "http: {rules: }", "name: x\napis: *alias\n"] {
            let nothing = nothing.replace("*alias", "[]");
            assert_eq!(bindings(&nothing), ["GET /annotated/{id} None - s.proto:4:28"]);
        }
    }

    #[test]
    fn every_problem_is_told_where_it_is() {
        let rules = r#"
http:
  colour: red
  fully_decode_reserved_expansion: maybe
  rules:
    - get: /no-selector
    - selector: s.A.*
      get: /x
    - selector: s.A.Put
      get: /x
      post: /x
      bodi: "*"
    - selector: s.A.Get
      get: [a]
      get: /b
      additional_bindings:
        - selector: s.A.Put
          custom: {kind: GET, path: /y, verb: z}
    - nonsense
"#;
        let expected = [
            "r.yaml:3:3: http has no key `colour`",
            "r.yaml:4:36: fully_decode_reserved_expansion: say true or false",
            "r.yaml:6:7: the rule has no selector: say pkg.Service.Method",
            "r.yaml:7:7: selector `s.A.*`: wildcards are not supported, name each method in full",
            "r.yaml:9:7: the rule has several patterns: put the others into additional_bindings",
            "r.yaml:12:7: a rule has no key `bodi`",
            "r.yaml:14:12: get must be a text, not a list",
            "r.yaml:15:7: `get` stands there twice",
            "r.yaml:17:11: an additional binding has no selector",
            "r.yaml:18:41: custom has no key `verb`",
            "r.yaml:19:7: a rule must be a map, not a text",
        ];
        let found = problems(rules);
        for expected in expected {
            assert!(found.iter().any(|problem| problem == expected), "{expected}\n{found:#?}");
        }
        assert_eq!(problems("http:\n  - x\n"), ["r.yaml:2:3: http must be a map, not a list"]);
        let bare_star = problems("http:\n  rules:\n    - selector: s.A.Put\n      body: *\n");
        assert!(bare_star[0].starts_with("r.yaml:4:") && bare_star[0].contains("in quotes"));
    }

    #[test]
    fn a_rule_itself_is_checked_where_it_stands() {
        let rules = r#"
http:
  rules:
    - selector: s.A.Put
      additional_bindings:
        - custom: {kind: "not a token", path: /y}
        - get: /z
          additional_bindings: [{get: /zz}]
"#;
        let expected = [
            "r.yaml:4:7: the rule has no pattern: say get, put, post, …",
            "r.yaml:6:11: `not a token` is not an HTTP method",
            "r.yaml:7:11: an additional binding cannot have additional bindings of its own",
        ];
        assert_eq!(problems(rules), expected);
    }

    #[test]
    fn a_selector_of_nothing_is_a_problem_unless_its_service_is_left_out() {
        let rule = |selector: &str| format!("http: {{rules: [{{selector: {selector}, get: /x}}]}}");
        for (selector, expected) in [
            ("s.A.Gat", "no method is called `s.A.Gat`: did you mean `s.A.Get`?"),
            ("s.A/Put", "selector `s.A/Put` names no method: say pkg.Service.Method"),
            ("s.A.Something", "no method is called `s.A.Something`: say pkg.Service.Method"),
        ] {
            assert_eq!(problems(&rule(selector)), [format!("r.yaml:1:16: {expected}")]);
        }
        for left_out in ["s.B.Broken", "s.C.Get"] {
            assert!(schema(&rule(left_out), &["s.A"]).is_ok(), "{left_out}");
        }
        let everything = schema(&rule("s.C.Something"), &[]).unwrap_err().to_string();
        assert!(everything.contains("`s.C.Something`") && everything.contains("no pattern"));
        let health = schema(&rule("grpc.health.v1.Health.Check"), &[]).unwrap_err().to_string();
        assert!(
            health.contains("`grpc.health.v1.Health.Check` is a method that never gets routes")
        );
    }
}
