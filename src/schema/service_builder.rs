//! Services and methods: from their descriptors, once every type is known.

use super::{
    Cardinality, Idempotency, MessageIndex, MessageType, Method, Position, Problem, Service,
    SseResume,
    builder::{Builder, join},
    descriptor_set, http_rule,
    source_map::SourceMap,
};

impl Builder<'_> {
    /// Adds the services of a file that can be exposed.
    pub(super) fn resolve_services(
        &mut self,
        file: &descriptor_set::FileDescriptor,
        messages: &[MessageType],
        services: &mut Vec<Service>,
    ) {
        if is_infrastructure(&file.package) {
            return;
        }
        let source = SourceMap::new(file);
        for (s, service) in file.service.iter().enumerate() {
            let name = join(&file.package, &service.name);
            let mut methods = Vec::with_capacity(service.method.len());
            for (m, method) in service.method.iter().enumerate() {
                let path = [6, s as i32, 2, m as i32];
                let position = source.position(&path);
                let http_position = source
                    .find(&[path[0], path[1], path[2], path[3], 4, 72_295_728])
                    .unwrap_or_else(|| position.clone());
                let mut resolved =
                    self.resolve_method(&name, method, messages, position, http_position);
                if let Some(resolved) = &mut resolved {
                    resolved.comment = source.comment(&path);
                }
                methods.extend(resolved);
            }
            let path = [6, s as i32];
            let (position, comment) = (source.position(&path), source.comment(&path));
            services.push(Service { name, comment, position, methods });
        }
    }

    fn resolve_method(
        &mut self,
        service: &str,
        method: &descriptor_set::MethodDescriptor,
        messages: &[MessageType],
        position: Position,
        http_position: Position,
    ) -> Option<Method> {
        let mut message = |type_name: &str| {
            let found = self.messages_by_name.get(type_name.trim_start_matches('.')).copied();
            if found.is_none() {
                let text = format!("`{}` uses the unknown type `{type_name}`", method.name);
                self.problems.push(Problem::at(&position, text));
            }
            found
        };
        let (input, output) = (message(&method.input_type), message(&method.output_type));
        let (input, output) = (input?, output?);
        let options = method.options.clone().unwrap_or_default();
        let bindings = options.http.as_ref().map_or_else(Vec::new, |rule| {
            http_rule::bindings(rule, &http_position, &mut self.problems)
        });
        let sse = options.sse.as_ref().map(|sse| {
            let mut field = |message: MessageIndex, name: &str| {
                let r#type = &messages[message.0 as usize];
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
            comment: String::new(),
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
            bindings,
            sse,
            position,
            http_position,
        })
    }
}

/// Packages that are the gateway's own affair and never get routes.
fn is_infrastructure(package: &str) -> bool {
    ["grpc.health.", "grpc.reflection.", "grpc.channelz."]
        .iter()
        .any(|prefix| format!("{package}.").starts_with(prefix))
}
