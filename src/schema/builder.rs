//! From descriptors to a [`Schema`]: first every type gets its name, then what refers to types is
//! resolved. Every problem is collected.

use std::collections::HashMap;

use bytes::Bytes;

use super::{
    Cardinality, EnumIndex, EnumType, Field, Idempotency, Kind, MessageIndex, MessageType, Method,
    Position, Problem, Problems, Schema, Service, SseResume, descriptor_set, http_rule,
};

/// Two passes: name every type, then resolve what refers to them.
#[derive(Default)]
pub(super) struct Builder<'d> {
    messages: Vec<Declared<'d>>,
    messages_by_name: HashMap<String, MessageIndex>,
    enums: Vec<EnumType>,
    enums_by_name: HashMap<String, EnumIndex>,
    problems: Vec<Problem>,
}

/// A message type that has a name, and not yet fields.
struct Declared<'d> {
    name: String,
    descriptor: &'d descriptor_set::MessageDescriptor,
    position: Position,
    comment: String,
    field_comments: Vec<String>,
}

impl<'d> Builder<'d> {
    pub(super) fn build(
        mut self,
        bytes: Bytes,
        set: &'d descriptor_set::FileDescriptorSet,
    ) -> Result<Schema, Problems> {
        for file in &set.file {
            self.declare_file(file);
        }
        let declared = std::mem::take(&mut self.messages);
        let messages: Vec<_> =
            declared.into_iter().map(|declared| self.resolve_message(declared)).collect();
        let mut services = Vec::new();
        for file in set.file.iter().filter(|file| !is_infrastructure(&file.package)) {
            self.resolve_services(file, &messages, &mut services);
        }
        if !self.problems.is_empty() {
            self.problems.sort();
            return Err(Problems(self.problems));
        }
        Ok(Schema {
            descriptor_set: bytes,
            messages,
            enums: self.enums,
            services,
            messages_by_name: self.messages_by_name,
        })
    }

    fn declare_file(&mut self, file: &'d descriptor_set::FileDescriptor) {
        let position = Position { file: file.name.clone(), line_column: None };
        if let Some(edition) = file.edition.filter(|_| file.syntax == "editions") {
            self.problems.push(Problem::at(
                &position,
                format!("edition {edition} is not supported: proto2 and proto3 are"),
            ));
        }
        let source = SourceMap::new(file);
        for (index, message) in file.message_type.iter().enumerate() {
            self.declare_message(&file.package, message, &position, &source, &[4, index as i32]);
        }
        for (index, r#enum) in file.enum_type.iter().enumerate() {
            self.declare_enum(&file.package, r#enum, source.comment(&[5, index as i32]));
        }
    }

    fn declare_message(
        &mut self,
        scope: &str,
        message: &'d descriptor_set::MessageDescriptor,
        position: &Position,
        source: &SourceMap<'_>,
        path: &[i32],
    ) {
        let below = |kind: i32, index: usize| [path, &[kind, index as i32]].concat();
        let name = join(scope, &message.name);
        let index = MessageIndex(self.messages.len() as u32);
        if self.messages_by_name.insert(name.clone(), index).is_some() {
            self.problems.push(Problem::at(position, format!("`{name}` is declared twice")));
        }
        let fields = 0..message.field.len();
        self.messages.push(Declared {
            name: name.clone(),
            descriptor: message,
            position: position.clone(),
            comment: source.comment(path),
            field_comments: fields.map(|index| source.comment(&below(2, index))).collect(),
        });
        for (index, nested) in message.nested_type.iter().enumerate() {
            self.declare_message(&name, nested, position, source, &below(3, index));
        }
        for (index, r#enum) in message.enum_type.iter().enumerate() {
            self.declare_enum(&name, r#enum, source.comment(&below(4, index)));
        }
    }

    fn declare_enum(
        &mut self,
        scope: &str,
        r#enum: &descriptor_set::EnumDescriptor,
        comment: String,
    ) {
        let name = join(scope, &r#enum.name);
        let values = r#enum.value.iter().map(|v| (v.name.clone(), v.number)).collect();
        self.enums_by_name.insert(name.clone(), EnumIndex(self.enums.len() as u32));
        self.enums.push(EnumType { name, comment, values });
    }

    fn resolve_message(&mut self, declared: Declared<'_>) -> MessageType {
        let Declared { name, descriptor, position, comment, field_comments } = declared;
        let fields: Vec<_> = descriptor
            .field
            .iter()
            .zip(field_comments)
            .filter_map(|(field, comment)| {
                let resolved = self.resolve_field(descriptor, field, comment);
                if resolved.is_none() {
                    let message = format!("field `{name}.{}` has an unknown type", field.name);
                    self.problems.push(Problem::at(&position, message));
                }
                resolved
            })
            .collect();
        // JSON names go in last: where two fields clash, the JSON name wins.
        let mut fields_by_name = HashMap::with_capacity(2 * fields.len());
        for (index, field) in fields.iter().enumerate() {
            fields_by_name.insert(field.name.clone(), index);
        }
        for (index, field) in fields.iter().enumerate() {
            fields_by_name.insert(field.json_name.clone(), index);
        }
        MessageType { name, comment, fields, fields_by_name }
    }

    fn resolve_field(
        &self,
        parent: &descriptor_set::MessageDescriptor,
        field: &descriptor_set::FieldDescriptor,
        comment: String,
    ) -> Option<Field> {
        const LABEL_REPEATED: i32 = 3;
        let type_name = field.type_name.trim_start_matches('.');
        let message = || self.messages_by_name.get(type_name).copied();
        let kind = match field.r#type {
            1 => Kind::Double,
            2 => Kind::Float,
            3 => Kind::Int64,
            4 => Kind::Uint64,
            5 => Kind::Int32,
            6 => Kind::Fixed64,
            7 => Kind::Fixed32,
            8 => Kind::Bool,
            9 => Kind::String,
            10 => Kind::Group(message()?),
            11 => Kind::Message(message()?),
            12 => Kind::Bytes,
            13 => Kind::Uint32,
            14 => Kind::Enum(self.enums_by_name.get(type_name).copied()?),
            15 => Kind::Sfixed32,
            16 => Kind::Sfixed64,
            17 => Kind::Sint32,
            18 => Kind::Sint64,
            _ => return None,
        };
        let is_map = parent.nested_type.iter().any(|nested| {
            nested.options.as_ref().is_some_and(|options| options.map_entry)
                && type_name.rsplit('.').next() == Some(&nested.name)
        });
        let cardinality = match (field.label, is_map) {
            (LABEL_REPEATED, true) => Cardinality::Map,
            (LABEL_REPEATED, false) => Cardinality::Repeated,
            _ => Cardinality::Singular,
        };
        let json_name = if field.json_name.is_empty() {
            lower_camel_case(&field.name)
        } else {
            field.json_name.clone()
        };
        Some(Field {
            name: field.name.clone(),
            comment,
            json_name,
            number: u32::try_from(field.number).ok()?,
            kind,
            cardinality,
            oneof: field
                .oneof_index
                .filter(|_| !field.proto3_optional)
                .and_then(|index| u32::try_from(index).ok()),
        })
    }

    fn resolve_services(
        &mut self,
        file: &descriptor_set::FileDescriptor,
        messages: &[MessageType],
        services: &mut Vec<Service>,
    ) {
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

/// Where the parts of a file stand, by their path in its descriptor.
struct SourceMap<'d> {
    file: &'d str,
    locations: HashMap<&'d [i32], &'d descriptor_set::SourceLocation>,
}

impl<'d> SourceMap<'d> {
    fn new(file: &'d descriptor_set::FileDescriptor) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let locations = locations.map(|location| (location.path.as_slice(), location)).collect();
        Self { file: &file.name, locations }
    }

    fn find(&self, path: &[i32]) -> Option<Position> {
        let span = &self.locations.get(path)?.span;
        let (&line, &column) = (span.first()?, span.get(1)?);
        let line_column = (u32::try_from(line).ok()? + 1, u32::try_from(column).ok()? + 1);
        Some(Position { file: self.file.to_owned(), line_column: Some(line_column) })
    }

    /// The comment above a declaration, lines trimmed.
    fn comment(&self, path: &[i32]) -> String {
        let comment = self.locations.get(path).map_or("", |location| &location.leading_comments);
        comment.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    fn position(&self, path: &[i32]) -> Position {
        let nowhere = || Position { file: self.file.to_owned(), line_column: None };
        self.find(path).unwrap_or_else(nowhere)
    }
}

/// Packages that are the gateway's own affair and never get routes.
fn is_infrastructure(package: &str) -> bool {
    ["grpc.health.", "grpc.reflection.", "grpc.channelz."]
        .iter()
        .any(|prefix| format!("{package}.").starts_with(prefix))
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// `user_id` → `userId`, as protoc derives JSON names.
fn lower_camel_case(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut upper_next = false;
    for c in name.chars() {
        match c {
            '_' => upper_next = true,
            c if upper_next => {
                result.push(c.to_ascii_uppercase());
                upper_next = false;
            }
            c => result.push(c),
        }
    }
    result
}
