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
}

/// A rule, and where it and each of its additional bindings stand.
pub(super) struct SelectedRule {
    pub(super) rule: HttpRule,
    pub(super) position: Position,
    pub(super) additional_positions: Vec<Position>,
}

/// Reads the rules.
pub(super) fn read(config: &ServiceConfig) -> Result<Rules, Vec<Problem>> {
    let mut reader = Reader { file: &config.file, problems: Vec::new() };
    let rules = match yaml::parse(&config.text) {
        Ok(root) => reader.service(&root),
        Err(error) => {
            reader.problem(error.at, error.message);
            Rules::default()
        }
    };
    if reader.problems.is_empty() { Ok(rules) } else { Err(reader.problems) }
}

struct Reader<'c> {
    file: &'c str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn service(&mut self, root: &Node) -> Rules {
        let mut rules = Rules::default();
        for (key, value) in self.map("the file", root) {
            if key.name == "http" {
                self.http(value, &mut rules);
            }
        }
        rules
    }

    fn http(&mut self, node: &Node, rules: &mut Rules) {
        for (key, value) in self.map("http", node) {
            match key.name.as_str() {
                "rules" => {
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
        let rule = self.rule(node, &mut additional_positions);
        let selector = rule.selector.clone();
        if selector.is_empty() {
            return self.problem(node.at, "the rule has no selector: say pkg.Service.Method");
        }
        if selector.contains('*') {
            let text = format!(
                "selector `{selector}`: wildcards are not supported, name each method in full"
            );
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

    /// A rule or an additional binding, whose own additional bindings stand at `additional`.
    fn rule(&mut self, node: &Node, additional: &mut Vec<Position>) -> HttpRule {
        let mut rule = HttpRule::default();
        let mut patterns = 0;
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
                        let binding_rule = self.rule(binding, &mut Vec::new());
                        if !binding_rule.selector.is_empty() {
                            self.problem(binding.at, "an additional binding has no selector");
                        }
                        additional.push(self.position(binding.at));
                        rule.additional_bindings.push(binding_rule);
                    }
                    continue;
                }
                name => {
                    self.problem(key.at, format!("a rule has no key `{name}`"));
                    continue;
                }
            };
            patterns += 1;
            *pattern = Some(self.text(name, value).to_owned());
        }
        if patterns > 1 {
            let text = "the rule has several patterns: put the others into additional_bindings";
            self.problem(node.at, text);
        }
        rule
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
