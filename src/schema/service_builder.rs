//! Services and methods: from their descriptors, once every type is known, with the rules of the
//! service configuration over their annotations.

use std::collections::HashMap;

use super::{
    Cardinality, Exposure, HttpBinding, Idempotency, MessageIndex, MessageType, Method, Position,
    Problem, Service, SseResume,
    builder::join,
    descriptor_set::{self, MethodDescriptor},
    http_rule,
    near_miss::nearest,
    service_config::{self, Rules},
    source_map::SourceMap,
};

/// Field number of `google.api.http` in a method's options, and of its additional bindings.
const HTTP: i32 = 72_295_728;
const ADDITIONAL_BINDINGS: i32 = 11;

/// Collects the services that are exposed, and what is wrong with them.
pub(super) struct ServiceBuilder<'b> {
    exposure: &'b Exposure,
    /// The rules that no method has taken yet.
    rules: Rules,
    messages_by_name: &'b HashMap<String, MessageIndex>,
    messages: &'b [MessageType],
    services: Vec<Service>,
    /// The full name of every service that could be exposed.
    declared: Vec<String>,
    problems: &'b mut Vec<Problem>,
}

/// What it has collected.
pub(super) struct Services {
    pub(super) services: Vec<Service>,
    pub(super) overridden_rules: Vec<Problem>,
    pub(super) fully_decode: bool,
    /// Whether the bindings of every method could be told.
    pub(super) is_whole: bool,
}

impl<'b> ServiceBuilder<'b> {
    pub(super) fn new(
        exposure: &'b Exposure,
        messages_by_name: &'b HashMap<String, MessageIndex>,
        messages: &'b [MessageType],
        problems: &'b mut Vec<Problem>,
    ) -> Self {
        let (rules, found) =
            exposure.service_config.as_ref().map(service_config::read).unwrap_or_default();
        problems.extend(found);
        let (services, declared) = (Vec::new(), Vec::new());
        Self { exposure, rules, messages_by_name, messages, services, declared, problems }
    }

    /// Adds the services of a file that can be exposed.
    pub(super) fn add_file(&mut self, file: &descriptor_set::FileDescriptor) {
        if is_infrastructure(&file.package) {
            return;
        }
        let source = SourceMap::new(file);
        for (s, service) in file.service.iter().enumerate() {
            let name = join(&file.package, &service.name);
            if self.is_exposed(&name) {
                let mut methods = Vec::with_capacity(service.method.len());
                for (m, method) in service.method.iter().enumerate() {
                    let path = [6, s as i32, 2, m as i32];
                    methods.extend(self.method(&name, method, &source, &path));
                }
                let path = [6, s as i32];
                let (position, comment) = (source.position(&path), source.comment(&path));
                self.services.push(Service { name: name.clone(), comment, position, methods });
            }
            self.declared.push(name);
        }
    }

    /// Tells what was named and is not there.
    pub(super) fn finish(mut self) -> Services {
        for name in &self.exposure.services {
            if !self.declared.contains(name) {
                let known = self.declared.join(", ");
                let text = format!("no service is called `{name}`; there are {known}");
                self.problems.push(Problem::nowhere(text));
            }
        }
        self.check_selectors();
        let Rules { overridden, fully_decode, is_lost, .. } = self.rules;
        let (services, is_whole) = (self.services, !is_lost);
        Services { services, overridden_rules: overridden, fully_decode, is_whole }
    }

    fn is_exposed(&self, service: &str) -> bool {
        let named = &self.exposure.services;
        named.is_empty() || named.iter().any(|name| name == service)
    }

    /// Each rule that is left selects nothing, which is right only where its service is left out.
    fn check_selectors(&mut self) {
        let methods = self.services.iter().flat_map(|service| &service.methods);
        let known: Vec<_> = methods.map(|method| method.selector()).collect();
        let unused = std::mem::take(&mut self.rules.by_selector);
        for (selector, rule) in unused {
            let service = selector.rsplit_once('.').map_or("", |(service, _)| service);
            if !self.is_exposed(service) {
                continue;
            }
            let text = if is_infrastructure(service) {
                format!("`{selector}` is a method that never gets routes")
            } else if let Some(near) = nearest(&selector, known.iter().map(String::as_str)) {
                format!("no method is called `{selector}`: did you mean `{near}`?")
            } else {
                format!("no method is called `{selector}`: say pkg.Service.Method")
            };
            self.problems.push(Problem::at(&rule.position, text));
        }
    }

    fn method(
        &mut self,
        service: &str,
        method: &MethodDescriptor,
        source: &SourceMap<'_>,
        path: &[i32],
    ) -> Option<Method> {
        let position = source.position(path);
        let options = method.options.clone().unwrap_or_default();
        let bindings = self.bindings(service, method, source, path);
        let has_rule = bindings.is_some();
        let at = |part: i32| source.find(&[path, &[part]].concat());
        let input = self.message(method, &method.input_type, at(2).as_ref().unwrap_or(&position));
        let output = self.message(method, &method.output_type, at(3).as_ref().unwrap_or(&position));
        let (input, output) = (input?, output?);
        let sse = options.sse.as_ref().map(|sse| {
            let mut field = |message: MessageIndex, name: &str| {
                let r#type = &self.messages[message.0 as usize];
                let field = r#type.field(name).filter(|f| f.cardinality == Cardinality::Singular);
                if field.is_none() && !name.is_empty() {
                    let text = format!("transom.v1.sse: `{}` has no field `{name}`", r#type.name);
                    self.problems.push(Problem::at(&position, text));
                }
                field
            };
            SseResume {
                event_id_field: field(output, &sse.event_id_field).map(|field| field.number),
                resume_field: field(input, &sse.resume_field).map(|field| field.name.clone()),
            }
        });
        Some(Method {
            name: method.name.clone(),
            comment: source.comment(path),
            // Full names are letters, digits, `_` and `.`: always a valid URI.
            uri: format!("/{service}/{}", method.name).parse().unwrap_or_default(),
            path: format!("/{service}/{}", method.name),
            input,
            output,
            client_streaming: method.client_streaming,
            server_streaming: method.server_streaming,
            idempotency: match options.idempotency_level {
                1 => Idempotency::NoSideEffects,
                2 => Idempotency::Idempotent,
                _ => Idempotency::Unknown,
            },
            has_rule,
            bindings: bindings.unwrap_or_default(),
            sse,
            position,
        })
    }

    /// By the service configuration, else by the annotation. None if there is no rule; a rule that
    /// is wrong has no bindings.
    fn bindings(
        &mut self,
        service: &str,
        method: &MethodDescriptor,
        source: &SourceMap<'_>,
        path: &[i32],
    ) -> Option<Vec<HttpBinding>> {
        let selector = join(service, &method.name);
        if let Some(selected) = self.rules.by_selector.remove(&selector) {
            let additional = |index: usize| selected.additional_positions.get(index).cloned();
            let bindings =
                |rule| http_rule::bindings(rule, &selected.position, additional, self.problems);
            return Some(selected.rule.as_ref().map(bindings).unwrap_or_default());
        }
        // A rule that nobody could read may replace it.
        if self.rules.is_lost {
            return None;
        }
        let rule = method.options.as_ref()?.http.as_ref()?;
        let path = [path, &[4, HTTP]].concat();
        let position = source
            .find(&path)
            .or_else(|| source.find_inside(&path))
            .unwrap_or_else(|| source.position(&path[..path.len() - 2]));
        let additional =
            |index: usize| source.find(&[&path[..], &[ADDITIONAL_BINDINGS, index as i32]].concat());
        Some(http_rule::bindings(rule, &position, additional, self.problems))
    }

    fn message(
        &mut self,
        method: &MethodDescriptor,
        type_name: &str,
        position: &Position,
    ) -> Option<MessageIndex> {
        let found = self.messages_by_name.get(type_name.trim_start_matches('.')).copied();
        if found.is_none() {
            let text = format!("`{}` uses the unknown type `{type_name}`", method.name);
            self.problems.push(Problem::at(position, text));
        }
        found
    }
}

/// Packages that are the gateway's own affair and never get routes.
fn is_infrastructure(package: &str) -> bool {
    ["grpc.health.", "grpc.reflection.", "grpc.channelz."]
        .iter()
        .any(|prefix| format!("{package}.").starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use crate::schema::{
        Schema, compile_protos,
        descriptor_set::{FileDescriptorSet, SourceLocation},
    };

    #[test]
    fn an_additional_binding_is_where_the_compiler_says_it_is() {
        let source = r#"syntax = "proto3"; package s; import "google/api/annotations.proto";
message M {}
service S {
  rpc R(M) returns (M) {
    option (google.api.http) = {
      get: "/a"
      additional_bindings {get: "/b"}
      additional_bindings {get: "/c"}
    };
  }
}"#;
        let bytes = compile_protos(&[("s.proto".to_owned(), source.to_owned())]).unwrap();
        let mut set = FileDescriptorSet::decode(bytes).unwrap();
        let file = set.file.iter_mut().find(|file| file.name == "s.proto").unwrap();
        // As compilers do that look into options.
        file.source_code_info.as_mut().unwrap().location.push(SourceLocation {
            path: vec![6, 0, 2, 0, 4, super::HTTP, super::ADDITIONAL_BINDINGS, 1],
            span: vec![7, 6, 37],
            leading_comments: String::new(),
        });
        let schema = Schema::from_descriptor_set(set.encode_to_vec()).unwrap();
        let bindings = schema.services()[0].methods[0].bindings.iter();
        let places: Vec<_> = bindings.map(|binding| binding.position.to_string()).collect();
        assert_eq!(places, ["s.proto:5:5", "s.proto:5:5", "s.proto:8:7"]);
    }
}
