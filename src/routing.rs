//! Routing: from HTTP method and path to the method of a service.
//!
//! A [`RouteTable`] is built from the schemas of all upstreams at once, all-or-nothing, with
//! every conflict located, and never changes afterwards. Every method answers at
//! `POST /pkg.Service/Method` too, unless a rule of the schema has that route.
//!
//! ```
//! use std::sync::Arc;
//! use transom::{routing::{Found, RouteTable}, schema::Schema};
//!
//! # let source = r#"
//! #     syntax = "proto3";
//! #     package greet.v1;
//! #     import "google/api/annotations.proto";
//! #     service Greeter {
//! #       rpc Greet(Name) returns (Name) { option (google.api.http) = {get: "/v1/greet/{name}"}; }
//! #     }
//! #     message Name { string name = 1; int64 times = 2; }
//! # "#;
//! # let bytes = transom::schema::compile_protos(&[("greet.proto".into(), source.into())])?;
//! let table = RouteTable::build(vec![Arc::new(Schema::from_descriptor_set(bytes)?)])?;
//! let Ok(Found::Route(route)) = table.find(&http::Method::GET, "/v1/greet/Ada%20L") else { panic!() };
//! let route = &table.routes()[route];
//! assert_eq!(table.method(route.method).name, "Greet");
//! assert_eq!(route.captures("/v1/greet/Ada%20L").next().unwrap().unwrap(), "Ada L");
//! # Ok::<_, transom::schema::Problems>(())
//! ```

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use http::Method as Verb;

use crate::schema::{
    BodyRule, Cardinality, Field, FieldPath, HttpBinding, HttpMethod, Kind, Method, Position,
    Problem, Problems, Schema,
};

mod captures;
pub mod explain;
mod lint;
mod path_template;
pub mod percent_encoding;
mod route_tree;

use percent_encoding::Slashes;

pub use lint::{Lint, LintKind};
pub use path_template::{PathTemplate, Segment, TemplateError, Variable};
pub use route_tree::{Found, PathError, RouteTree, RouteTreeBuilder};

/// Which method of which schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MethodId {
    /// Position in the schemas the table was built from.
    pub schema: usize,
    /// Position in the schema's services.
    pub service: usize,
    /// Position in the service's methods.
    pub method: usize,
}

/// One way to call a method over REST, resolved against its schema.
#[derive(Debug)]
pub struct Route {
    /// What it calls.
    pub method: MethodId,
    /// How it is called.
    pub binding: HttpBinding,
    /// Whether a rule has it; if none has, it is the one that every method has.
    pub is_annotated: bool,
    /// Its template, parsed.
    pub template: PathTemplate,
    /// The request field each variable of the template binds.
    pub variables: Vec<FieldPath>,
    /// The request field that the HTTP body is.
    pub body_field: Option<FieldPath>,
    /// The response field that is the HTTP body.
    pub response_field: Option<FieldPath>,
    /// What becomes of a `%2F` in a variable of several segments.
    pub slashes: Slashes,
    /// The field mask that says what a PATCH changes in the body's field.
    pub mask_field: Option<FieldPath>,
}

impl Route {
    /// The text of each variable in a raw path that the template matches.
    pub fn captures<'p>(
        &self,
        path: &'p str,
    ) -> impl Iterator<Item = Result<Cow<'p, str>, percent_encoding::PercentError>> {
        captures::captures(&self.template, self.slashes, path)
    }
}

/// Every route of every upstream.
#[derive(Debug)]
pub struct RouteTable {
    schemas: Vec<Arc<Schema>>,
    routes: Vec<Route>,
    tree: RouteTree,
    rpcs: HashMap<String, MethodId>,
}

impl RouteTable {
    /// Builds the table, or tells everything that keeps it from being built.
    pub fn build(schemas: Vec<Arc<Schema>>) -> Result<Self, Problems> {
        match Self::survey(schemas) {
            (table, Problems(problems)) if problems.is_empty() => Ok(table),
            (_, problems) => Err(problems),
        }
    }

    /// Every route that could be built, and all that keeps the others from it: not to be served,
    /// but to be looked at.
    pub fn survey(schemas: Vec<Arc<Schema>>) -> (Self, Problems) {
        let mut tree = RouteTreeBuilder::default();
        let mut table =
            Self { schemas, routes: Vec::new(), tree: RouteTree::default(), rpcs: HashMap::new() };
        let mut problems = Vec::new();
        table.add_rpcs(&mut problems);
        table.add_annotated(&mut tree, &mut problems);
        table.add_unannotated(&mut tree);
        table.tree = tree.finish();
        problems.sort();
        (table, Problems(problems))
    }

    /// The schemas it was built from.
    pub fn schemas(&self) -> &[Arc<Schema>] {
        &self.schemas
    }

    /// Every route, annotated ones first.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The method a [`MethodId`] of this table stands for.
    pub fn method(&self, id: MethodId) -> &Method {
        &self.schemas[id.schema].services()[id.service].methods[id.method]
    }

    /// The method of a gRPC path, `/pkg.Service/Method`.
    pub fn find_rpc(&self, path: &str) -> Option<MethodId> {
        self.rpcs.get(path).copied()
    }

    /// Every HTTP method that some rule names.
    pub fn http_methods(&self) -> impl Iterator<Item = &Verb> {
        self.tree.methods()
    }

    /// The route of a REST call.
    pub fn find(&self, method: &Verb, path: &str) -> Result<Found, PathError> {
        self.tree.find(method, path)
    }

    fn methods(&self) -> Vec<MethodId> {
        let mut ids = Vec::new();
        for (schema, s) in self.schemas.iter().enumerate() {
            for (service, declared) in s.services().iter().enumerate() {
                let methods = 0..declared.methods.len();
                ids.extend(methods.map(|method| MethodId { schema, service, method }));
            }
        }
        ids
    }

    fn add_rpcs(&mut self, problems: &mut Vec<Problem>) {
        let mut seen: HashMap<&str, &Position> = HashMap::new();
        for service in self.schemas.iter().flat_map(|schema| schema.services()) {
            if let Some(first) = seen.insert(&service.name, &service.position) {
                problems.push(Problem::at(
                    &service.position,
                    format!("service `{}` is already served, from {first}", service.name),
                ));
            }
        }
        let rpcs = self.methods().into_iter().map(|id| (self.method(id).path.clone(), id));
        self.rpcs = rpcs.collect();
    }

    fn add_annotated(&mut self, tree: &mut RouteTreeBuilder, problems: &mut Vec<Problem>) {
        for id in self.methods() {
            let schema = Arc::clone(&self.schemas[id.schema]);
            let method = &schema.services()[id.service].methods[id.method];
            for binding in &method.bindings {
                match resolve(&schema, method, id, binding) {
                    Ok(route) => problems.extend(self.add(tree, route)),
                    Err(found) => problems
                        .extend(found.into_iter().map(|text| Problem::at(&binding.position, text))),
                }
            }
        }
    }

    /// Gives every method its `POST /pkg.Service/Method`, where no rule has taken it.
    fn add_unannotated(&mut self, tree: &mut RouteTreeBuilder) {
        for id in self.methods() {
            let schema = Arc::clone(&self.schemas[id.schema]);
            let method = &schema.services()[id.service].methods[id.method];
            let binding = HttpBinding {
                method: HttpMethod::Is(Verb::POST),
                template: method.path.clone(),
                body: BodyRule::All,
                response_body: None,
                position: method.position.clone(),
            };
            if let Ok(mut route) = resolve(&schema, method, id, &binding) {
                route.is_annotated = false;
                // A clash means that a rule of the schema stands there, which is as wanted.
                self.add(tree, route);
            }
        }
    }

    fn add(&mut self, tree: &mut RouteTreeBuilder, route: Route) -> Option<Problem> {
        let number = self.routes.len();
        match tree.insert(&route.template, &route.binding.method, number) {
            Ok(()) => {
                self.routes.push(route);
                None
            }
            Err(first) => {
                let first = &self.routes[first];
                Some(Problem::at(
                    &route.binding.position,
                    format!(
                        "`{}` is already the route of {}, at {}",
                        route.binding.template,
                        self.method(first.method).full_name(),
                        first.binding.position
                    ),
                ))
            }
        }
    }
}

/// Checks a binding against the types it binds.
fn resolve(
    schema: &Schema,
    method: &Method,
    id: MethodId,
    binding: &HttpBinding,
) -> Result<Route, Vec<String>> {
    let mut problems = Vec::new();
    let template = PathTemplate::parse(&binding.template)
        .map_err(|error| vec![format!("`{}`: {error}", binding.template)])?;
    let mut variables = Vec::with_capacity(template.variables.len());
    for variable in &template.variables {
        match FieldPath::resolve(schema, method.input, &variable.field_path) {
            Ok(path) if is_text(schema, &path) => variables.push(path),
            Ok(_) => problems.push(format!(
                "`{}`: `{}` cannot stand in a path: it is a message, a list or a map",
                binding.template, variable.field_path
            )),
            Err(error) => problems.push(format!("`{}`: {error}", binding.template)),
        }
    }
    // What a caller's `Last-Event-ID` sets must not be what its path was allowed for.
    let resume = method.sse.as_ref().and_then(|sse| sse.resume_field.as_deref());
    if let Some(resume) =
        resume.and_then(|name| FieldPath::resolve(schema, method.input, name).ok())
        && variables.iter().any(|path| resume.is_prefix_of(path))
    {
        let name = resume.display(schema);
        problems.push(format!("`{}`: transom.v1.sse resumes by `{name}`", binding.template));
    }
    let top_level = |what: &str, message, name: &str| {
        if name.contains('.') {
            return Err(format!("{what}: `{name}` is not a top-level field"));
        }
        FieldPath::resolve(schema, message, name).map_err(|error| format!("{what}: {error}"))
    };
    let mut body_field = None;
    if let BodyRule::Field(name) = &binding.body {
        match top_level("body", method.input, name) {
            Ok(path) if variables.contains(&path) => {
                problems.push(format!("body: the path binds `{name}` already"));
            }
            Ok(path) => body_field = Some(path),
            Err(problem) => problems.push(problem),
        }
    }
    let mut response_field = None;
    if let Some(name) = &binding.response_body {
        match top_level("response_body", method.output, name) {
            Ok(path) => response_field = Some(path),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mask_field = mask_field(schema, method, binding, body_field.as_ref(), &variables);
    let binding = binding.clone();
    Ok(Route {
        method: id,
        binding,
        is_annotated: true,
        template,
        variables,
        body_field,
        response_field,
        mask_field,
        slashes: if schema.fully_decodes() { Slashes::Decode } else { Slashes::Keep },
    })
}

/// The mask of a PATCH whose body is a message: the one field of the request that can be it.
fn mask_field(
    schema: &Schema,
    method: &Method,
    binding: &HttpBinding,
    body: Option<&FieldPath>,
    variables: &[FieldPath],
) -> Option<FieldPath> {
    let singular = |field: &Field| match field.cardinality {
        Cardinality::Singular => field.kind.message(),
        Cardinality::Repeated | Cardinality::Map => None,
    };
    let body = body.filter(|_| binding.method == HttpMethod::Is(Verb::PATCH))?.leaf(schema);
    singular(body).filter(|&message| !schema.message(message).is_http_body())?;
    let mut masks = schema.message(method.input).fields.iter().filter(|field| {
        field.number != body.number
            && singular(field).is_some_and(|message| schema.message(message).is_field_mask())
    });
    let mask = masks.next().filter(|_| masks.next().is_none())?;
    let path = FieldPath::resolve(schema, method.input, &mask.json_name).ok()?;
    // A member of a oneof is somebody's choice, and what the path says holds.
    (mask.oneof.is_none() && !variables.contains(&path)).then_some(path)
}

/// Whether a path segment can be the field's value: scalars, enums, and the well-known types
/// whose JSON form is one string or number.
fn is_text(schema: &Schema, path: &FieldPath) -> bool {
    let field = path.leaf(schema);
    field.cardinality == Cardinality::Singular
        && match field.kind {
            Kind::Message(message) => schema.message(message).is_text_in_json(),
            Kind::Group(_) => false,
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(source: &str) -> Vec<String> {
        let schema = Arc::new(crate::schema::compile_for_tests("broken.proto", source).unwrap());
        let problems = RouteTable::build(vec![schema]).unwrap_err();
        problems.to_string().lines().map(str::to_owned).collect()
    }

    const HEAD: &str = r#"syntax = "proto3"; package b; import "google/api/annotations.proto";
message M { string id = 1; M child = 2; repeated string list = 3; }
service S {
"#;

    #[test]
    fn every_problem_is_told_with_its_place() {
        let body = r#"
  rpc A(M) returns (M) { option (google.api.http) = {get: "/v1/{nope}"}; }
  rpc B(M) returns (M) { option (google.api.http) = {get: "/v1/{child}"}; }
  rpc C(M) returns (M) { option (google.api.http) = {get: "/v1/{list}"}; }
  rpc D(M) returns (M) { option (google.api.http) = {get: "/v1//x"}; }
  rpc E(M) returns (M) { option (google.api.http) = {post: "/v1/x" body: "nope"}; }
  rpc F(M) returns (M) { option (google.api.http) = {get: "/v1/y" response_body: "a.b"}; }
  rpc G(M) returns (M) { option (google.api.http) = {get: "/v1/z/{id}"}; }
  rpc H(M) returns (M) { option (google.api.http) = {get: "/v1/z/{child.id}"}; }
  rpc I(M) returns (M) { option (google.api.http) = {put: "/v1/i/{id}" body: "id"}; }
  rpc J(M) returns (M) { option (google.api.http) = {put: "/v1/j/{child.id}" body: "child"}; }
  rpc K(M) returns (M) { option (google.api.http) = {put: "/v1/k" body: "child.id"}; }
}"#;
        let expected = [
            "broken.proto:5:26: `/v1/{nope}`: `b.M` has no field `nope`",
            "broken.proto:6:26: `/v1/{child}`: `child` cannot stand in a path: it is a message, a list or a map",
            "broken.proto:7:26: `/v1/{list}`: `list` cannot stand in a path: it is a message, a list or a map",
            "broken.proto:8:26: `/v1//x`: a segment is empty (at character 5 of the template)",
            "broken.proto:9:26: body: `b.M` has no field `nope`",
            "broken.proto:10:26: response_body: `a.b` is not a top-level field",
            "broken.proto:12:26: `/v1/z/{child.id}` is already the route of b.S/G, at broken.proto:11:26",
            "broken.proto:13:26: body: the path binds `id` already",
            "broken.proto:15:26: body: `child.id` is not a top-level field",
        ];
        assert_eq!(problems(&format!("{HEAD}{body}")), expected);
    }

    #[test]
    fn a_patch_has_a_mask_where_one_field_can_be_it() {
        let mask = |message: &str, rule: &str| {
            let source = format!(
                "syntax = \"proto3\"; package google.api; import \"google/api/annotations.proto\"; \
                 import \"google/protobuf/field_mask.proto\"; \
                 message M {{ string id = 1; }} message HttpBody {{ string content_type = 1; }} message R {{ {message} }} service S {{ \
                 rpc A(R) returns (R) {{ option (google.api.http) = {{ {rule} }}; }} }}"
            )
            .replace("Mask", "google.protobuf.FieldMask");
            let schema = crate::schema::compile_for_tests("mask.proto", &source).unwrap();
            let table = RouteTable::build(vec![Arc::new(schema)]).unwrap();
            let route = &table.routes()[0];
            route.mask_field.as_ref().map(|path| path.display(&table.schemas()[0]))
        };
        let patch = r#"patch: "/v1/x" body: "m""#;
        assert_eq!(mask("M m = 1; Mask mask = 2;", patch).as_deref(), Some("mask"));
        assert_eq!(mask("M m = 1; optional Mask mask = 2;", patch).as_deref(), Some("mask"));
        let in_path = r#"patch: "/v1/{m.id}" body: "m""#;
        assert_eq!(mask("M m = 1; Mask mask = 2;", in_path).as_deref(), Some("mask"));
        let custom = r#"custom { kind: "PATCH" path: "/v1/x" } body: "m""#;
        assert_eq!(mask("M m = 1; Mask mask = 2;", custom).as_deref(), Some("mask"));
        for (message, rule) in [
            ("M m = 1; Mask mask = 2;", r#"put: "/v1/x" body: "m""#),
            ("M m = 1; Mask mask = 2;", r#"patch: "/v1/x" body: "*""#),
            ("M m = 1; Mask mask = 2;", r#"patch: "/v1/x""#),
            ("M m = 1; Mask mask = 2;", r#"custom { kind: "*" path: "/v1/x" } body: "m""#),
            ("M m = 1; Mask mask = 2;", r#"patch: "/v1/{mask}" body: "m""#),
            ("M m = 1; Mask mask = 2; Mask other = 3;", patch),
            ("M m = 1; repeated Mask mask = 2;", patch),
            ("M m = 1; oneof choice { Mask mask = 2; string a = 3; }", patch),
            ("repeated M m = 1; Mask mask = 2;", patch),
            ("string m = 1; Mask mask = 2;", patch),
            ("Mask m = 1;", patch),
            ("M m = 1;", patch),
            ("HttpBody m = 1; Mask mask = 2;", patch),
        ] {
            assert_eq!(mask(message, rule), None, "{message} {rule}");
        }
        // The body is a mask itself, but not the one that is looked for.
        assert_eq!(mask("Mask m = 1; Mask mask = 2;", patch).as_deref(), Some("mask"));
    }

    #[test]
    fn the_path_cannot_bind_what_an_event_id_sets() {
        let head = HEAD.replace("service S", "import \"transom/v1/sse.proto\"; service S");
        let sse = r#"option (transom.v1.sse) = {event_id_field: "id" resume_field: "id"};"#;
        let body = format!(
            r#"rpc A(M) returns (stream M) {{ {sse} option (google.api.http) = {{get: "/v1/{{id}}"}}; }} }}"#
        );
        let problems = problems(&format!("{head}{body}"));
        assert!(
            problems[0].ends_with("`/v1/{id}`: transom.v1.sse resumes by `id`"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_service_served_twice_is_refused() {
        let source = format!("{HEAD} rpc A(M) returns (M); }}");
        let compile = || Arc::new(crate::schema::compile_for_tests("s.proto", &source).unwrap());
        let problems = RouteTable::build(vec![compile(), compile()]).unwrap_err().to_string();
        assert_eq!(problems, "s.proto:3:1: service `b.S` is already served, from s.proto:3:1");
    }

    #[test]
    fn every_method_answers_at_its_own_name() {
        let source = format!("{HEAD} rpc A(M) returns (M); }}");
        let schema = Arc::new(crate::schema::compile_for_tests("s.proto", &source).unwrap());
        let table = RouteTable::build(vec![schema]).unwrap();
        assert!(matches!(table.find(&Verb::POST, "/b.S/A"), Ok(Found::Route(0))));
        assert!(table.find_rpc("/b.S/A").is_some());
    }

    #[test]
    fn conflicts_between_files_and_between_upstreams_name_both_places() {
        let file = |package: &str, path: &str| {
            format!(
                "syntax = \"proto3\"; package {package}; import \"google/api/annotations.proto\";\n\
                 message M {{ string id = 1; }}\nservice S {{\n  rpc R(M) returns (M) {{\n    \
                 option (google.api.http) = {{get: \"{path}\"}};\n  }}\n}}\n"
            )
        };
        let sources = |names: &[&str]| {
            let source = |name: &&str| (format!("{name}.proto"), file(name, "/v1/{id}"));
            let bytes =
                crate::schema::compile_protos(&names.iter().map(source).collect::<Vec<_>>());
            Arc::new(Schema::from_descriptor_set(bytes.unwrap()).unwrap())
        };
        let expected = "b.proto:5:5: `/v1/{id}` is already the route of a.S/R, at a.proto:5:5";
        for schemas in [vec![sources(&["a", "b"])], vec![sources(&["a"]), sources(&["b"])]] {
            let problems = RouteTable::build(schemas).unwrap_err();
            assert_eq!(problems.to_string(), expected);
        }
    }

    #[test]
    fn an_option_in_parts_is_found_where_its_parts_are() {
        let source = format!(
            "{HEAD}  rpc A(M) returns (M) {{\n    option (google.api.http).get = \"/v1/{{nope}}\";\n\
             \x20   option (google.api.http).body = \"nope\";\n  }}\n}}"
        );
        let expected = [
            "broken.proto:5:5: `/v1/{nope}`: `b.M` has no field `nope`",
            "broken.proto:5:5: body: `b.M` has no field `nope`",
        ];
        assert_eq!(problems(&source), expected);
    }

    #[test]
    fn a_survey_has_the_routes_that_could_be_built() {
        let body = r#"
  rpc A(M) returns (M) { option (google.api.http) = {get: "/v1/{nope}"}; }
  rpc B(M) returns (M) { option (google.api.http) = {get: "/v1/{id}"}; }
}"#;
        let source = format!("{HEAD}{body}");
        let schema = crate::schema::compile_for_tests("broken.proto", &source).unwrap();
        let (table, Problems(problems)) = RouteTable::survey(vec![Arc::new(schema)]);
        assert_eq!((table.routes().len(), problems.len()), (3, 1));
    }
}
