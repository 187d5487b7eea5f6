//! From descriptors to a [`Schema`]: first every type gets its name, then what refers to types is
//! resolved. Every problem is collected.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{
    Cardinality, EnumIndex, EnumType, Exposure, Field, Kind, MessageIndex, MessageType, Position,
    Problem, Problems, Schema, descriptor_set,
    features::Features,
    field_builder::{FieldScope, is_map_entry, resolve_field},
    service_builder::{ServiceBuilder, Services},
    source_map::SourceMap,
};

/// Longer names are nobody's: they are copied for each declaration inside.
const NAME_LIMIT_BYTES: usize = 1_024;

/// Two passes: name every type, then resolve what refers to them.
#[derive(Default)]
pub(super) struct Builder<'d> {
    messages: Vec<Declared<'d>>,
    messages_by_name: HashMap<String, MessageIndex>,
    enums: Vec<EnumType>,
    enums_by_name: HashMap<String, EnumIndex>,
    map_entries: HashSet<MessageIndex>,
    /// Every number that is taken, by a field or an extension.
    numbers: HashSet<(MessageIndex, u32)>,
    extensions: Vec<DeclaredExtension<'d>>,
    problems: Vec<Problem>,
}

/// A message type that has a name, and not yet fields.
struct Declared<'d> {
    name: String,
    descriptor: &'d descriptor_set::MessageDescriptor,
    features: Features,
    position: Position,
    comment: String,
    /// Of each field.
    notes: Vec<FieldNote>,
}

/// An extension, with the full name of what it extends.
struct DeclaredExtension<'d> {
    descriptor: &'d descriptor_set::FieldDescriptor,
    features: Features,
    name: String,
    note: FieldNote,
}

/// What the source says beside a field.
struct FieldNote {
    position: Position,
    comment: String,
}

impl<'d> Builder<'d> {
    /// What could be built, without what the problems are about.
    pub(super) fn build(
        mut self,
        bytes: Bytes,
        set: &'d descriptor_set::FileDescriptorSet,
        exposure: &Exposure,
    ) -> (Option<Schema>, Problems) {
        for file in &set.file {
            self.declare_file(file);
        }
        // What refers to types that were refused would only be told again.
        if !self.problems.is_empty() {
            self.problems.sort();
            return (None, Problems(self.problems));
        }
        let declared = std::mem::take(&mut self.messages);
        let messages: Vec<_> =
            declared.into_iter().map(|declared| self.resolve_message(declared)).collect();
        let extensions = self.resolve_extensions(&messages);
        self.check_map_entries(&messages);
        let mut services =
            ServiceBuilder::new(exposure, &self.messages_by_name, &messages, &mut self.problems);
        for file in &set.file {
            services.add_file(file);
        }
        let Services { services, overridden_rules, fully_decode, is_whole } = services.finish();
        self.problems.sort();
        let schema = is_whole.then_some(Schema {
            descriptor_set: bytes,
            messages,
            enums: self.enums,
            extensions,
            services,
            overridden_rules,
            fully_decode,
            messages_by_name: self.messages_by_name,
        });
        (schema, Problems(self.problems))
    }

    fn declare_file(&mut self, file: &'d descriptor_set::FileDescriptor) {
        let source = SourceMap::new(file);
        let position = source.position(&[]);
        if file.name.len() > NAME_LIMIT_BYTES {
            let text = format!("a file name of more than {NAME_LIMIT_BYTES} bytes");
            return self.problems.push(Problem::nowhere(text));
        }
        let features = match Features::of_file(file) {
            Ok(features) => features,
            Err(error) => return self.problems.push(Problem::at(&position, error)),
        };
        for (index, message) in file.message_type.iter().enumerate() {
            self.declare_message(&file.package, message, features, &source, &[4, index as i32]);
        }
        for (index, r#enum) in file.enum_type.iter().enumerate() {
            self.declare_enum(&file.package, r#enum, features, &source, &[5, index as i32]);
        }
        for (index, extension) in file.extension.iter().enumerate() {
            let path = [7, index as i32];
            self.declare_extension(&file.package, extension, features, &source, &path);
        }
    }

    fn declare_message(
        &mut self,
        scope: &str,
        message: &'d descriptor_set::MessageDescriptor,
        features: Features,
        source: &SourceMap<'_>,
        path: &[i32],
    ) {
        let below = |kind: i32, index: usize| [path, &[kind, index as i32]].concat();
        let features = features.with(message.options.as_ref().and_then(|o| o.features.as_ref()));
        let name = join(scope, &message.name);
        if name.len() > NAME_LIMIT_BYTES {
            let text = format!("a name of more than {NAME_LIMIT_BYTES} bytes");
            return self.problems.push(Problem::at(&source.position(path), text));
        }
        let index = MessageIndex(self.messages.len() as u32);
        if self.messages_by_name.insert(name.clone(), index).is_some() {
            let text = format!("`{name}` is declared twice");
            self.problems.push(Problem::at(&source.position(path), text));
        }
        let options = message.options.as_ref();
        if options.is_some_and(|options| options.map_entry) {
            self.map_entries.insert(index);
        }
        let fields = 0..message.field.len();
        self.messages.push(Declared {
            name: name.clone(),
            descriptor: message,
            features,
            position: source.position(path),
            comment: source.comment(path),
            notes: fields.map(|index| FieldNote::new(source, &below(2, index))).collect(),
        });
        for (index, nested) in message.nested_type.iter().enumerate() {
            self.declare_message(&name, nested, features, source, &below(3, index));
        }
        for (index, r#enum) in message.enum_type.iter().enumerate() {
            self.declare_enum(&name, r#enum, features, source, &below(4, index));
        }
        for (index, extension) in message.extension.iter().enumerate() {
            self.declare_extension(&name, extension, features, source, &below(6, index));
        }
    }

    fn declare_enum(
        &mut self,
        scope: &str,
        r#enum: &descriptor_set::EnumDescriptor,
        features: Features,
        source: &SourceMap<'_>,
        path: &[i32],
    ) {
        let features = features.with(r#enum.options.as_ref().and_then(|o| o.features.as_ref()));
        let name = join(scope, &r#enum.name);
        let values = r#enum.value.iter().map(|v| (v.name.clone(), v.number)).collect();
        if self.enums_by_name.insert(name.clone(), EnumIndex(self.enums.len() as u32)).is_some() {
            let text = format!("`{name}` is declared twice");
            self.problems.push(Problem::at(&source.position(path), text));
        }
        let (comment, closed) = (source.comment(path), features.closed_enums);
        self.enums.push(EnumType { name, comment, values, closed });
    }

    fn declare_extension(
        &mut self,
        scope: &str,
        descriptor: &'d descriptor_set::FieldDescriptor,
        features: Features,
        source: &SourceMap<'_>,
        path: &[i32],
    ) {
        let (name, note) = (join(scope, &descriptor.name), FieldNote::new(source, path));
        self.extensions.push(DeclaredExtension { descriptor, features, name, note });
    }

    fn resolve_message(&mut self, declared: Declared<'_>) -> MessageType {
        let Declared { name, descriptor, features, position, comment, notes } = declared;
        let is_entry = descriptor.options.as_ref().is_some_and(|options| options.map_entry);
        let oneofs = &descriptor.oneof_decl;
        let index = self.messages_by_name.get(&name).copied().unwrap_or(MessageIndex(u32::MAX));
        let mut fields = Vec::with_capacity(notes.len());
        for (field, note) in descriptor.field.iter().zip(notes) {
            let oneof = field.oneof_index.and_then(|i| oneofs.get(usize::try_from(i).ok()?));
            let options = oneof.and_then(|oneof| oneof.options.as_ref());
            let around = features.with(options.and_then(|options| options.features.as_ref()));
            let scope = FieldScope {
                messages_by_name: &self.messages_by_name,
                enums_by_name: &self.enums_by_name,
                features: around,
                map_entries: &self.map_entries,
                is_entry,
                oneof_count: oneofs.len(),
            };
            let resolved = resolve_field(&scope, field, note.comment).and_then(|field| {
                let new = self.numbers.insert((index, field.number));
                if new { Ok(field) } else { Err(format!("number {} is taken", field.number)) }
            });
            match resolved {
                Ok(field) => fields.push(field),
                Err(reason) => {
                    let text = format!("field `{name}.{}`: {reason}", field.name);
                    self.problems.push(Problem::at(&note.position, text));
                }
            }
        }
        if let Err(clash) = tell_json_names_apart(&mut fields) {
            let text = format!("`{name}`: two fields are called `{clash}` in JSON");
            self.problems.push(Problem::at(&position, text));
        }
        // JSON names go in last: where two fields clash, the JSON name wins.
        let mut fields_by_name = HashMap::with_capacity(2 * fields.len());
        for (index, field) in fields.iter().enumerate() {
            fields_by_name.insert(field.name.clone(), index);
        }
        for (index, field) in fields.iter().enumerate() {
            fields_by_name.insert(field.json_name.clone(), index);
        }
        MessageType { name, comment, position, fields, fields_by_name }
    }

    fn resolve_extensions(&mut self, messages: &[MessageType]) -> Vec<(MessageIndex, Field)> {
        let mut resolved = Vec::new();
        for DeclaredExtension { descriptor, features, name, note } in
            std::mem::take(&mut self.extensions)
        {
            let scope = FieldScope {
                messages_by_name: &self.messages_by_name,
                enums_by_name: &self.enums_by_name,
                features,
                map_entries: &self.map_entries,
                is_entry: false,
                oneof_count: 0,
            };
            let extendee = descriptor.extendee.trim_start_matches('.');
            let extended = self.messages_by_name.get(extendee).copied();
            let field = resolve_field(&scope, descriptor, note.comment);
            let reason = match (extended, field) {
                // An extension of options that nobody imported is nobody's concern.
                (None, _) if extendee.starts_with("google.protobuf.") => continue,
                (None, _) => format!("extends the unknown type `{extendee}`"),
                (_, Err(reason)) => reason,
                (Some(message), Ok(mut field)) => {
                    let extends = &messages[message.0 as usize];
                    if self.map_entries.contains(&message) {
                        "an entry of a map has no extensions".to_owned()
                    } else if !self.numbers.insert((message, field.number)) {
                        // Options of two makers may have one number: nobody here reads them.
                        if extends.name.starts_with("google.protobuf.") {
                            continue;
                        }
                        format!("number {} of `{extendee}` is taken", field.number)
                    } else {
                        field.json_name = format!("[{name}]");
                        field.name = name;
                        field.explicit_presence = true;
                        resolved.push((message, field));
                        continue;
                    }
                }
            };
            let text = format!("extension `{name}`: {reason}");
            self.problems.push(Problem::at(&note.position, text));
        }
        resolved
    }

    /// What maps rely on: an entry is a key of a kind that can be one, and a value.
    fn check_map_entries(&mut self, messages: &[MessageType]) {
        for message in messages {
            for field in message.fields.iter().filter(|f| f.cardinality == Cardinality::Map) {
                let entry = match field.kind {
                    Kind::Message(index) => Some(&messages[index.0 as usize]),
                    _ => None,
                };
                if !entry.is_some_and(is_map_entry) {
                    let text =
                        format!("map `{}.{}` has no key and value", message.name, field.name);
                    self.problems.push(Problem::at(&message.position, text));
                }
            }
        }
    }
}

/// Old protos may have `foo_bar` beside `fooBar`, one name in JSON: the first field has it, and the
/// other goes by its own. The error is a name that nobody can tell apart.
fn tell_json_names_apart(fields: &mut [Field]) -> Result<(), String> {
    let mut taken = HashSet::new();
    for field in fields {
        if taken.insert(field.json_name.clone()) {
            continue;
        }
        field.json_name.clone_from(&field.name);
        if !taken.insert(field.json_name.clone()) {
            return Err(field.json_name.clone());
        }
    }
    Ok(())
}

impl FieldNote {
    fn new(source: &SourceMap<'_>, path: &[i32]) -> Self {
        Self { position: source.position(path), comment: source.comment(path) }
    }
}

pub(super) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::schema::{
        Kind, compile_protos,
        descriptor_set::{
            EnumOptions, FeatureSet, FieldDescriptor, FieldOptions, FileDescriptor,
            FileDescriptorSet,
        },
    };

    const SOURCE: &str = "syntax = \"proto2\";\n\
        package t;\n\
        message M {\n\
        \x20 optional int32 a = 1;\n\
        \x20 optional M m = 2;\n\
        \x20 map<string, int32> map = 3;\n\
        \x20 oneof o { string s = 4; }\n\
        \x20 repeated int32 list = 5;\n\
        \x20 optional E e = 6;\n\
        \x20 extensions 100 to 200;\n\
        }\n\
        enum E { Z = 0; }\n\
        extend M {\n\
        \x20 optional int32 ext = 100;\n\
        }\n";

    /// What building says of [`SOURCE`], changed.
    fn problem(change: impl Fn(&mut FileDescriptor)) -> String {
        build(change).unwrap_err().to_string()
    }

    fn build(change: impl Fn(&mut FileDescriptor)) -> Result<Schema, Problems> {
        match survey(change) {
            (Some(schema), Problems(problems)) if problems.is_empty() => Ok(schema),
            (_, problems) => Err(problems),
        }
    }

    fn survey(change: impl Fn(&mut FileDescriptor)) -> (Option<Schema>, Problems) {
        let bytes = compile_protos(&[("t.proto".to_owned(), SOURCE.to_owned())]).unwrap();
        let mut set = FileDescriptorSet::decode(bytes).unwrap();
        change(&mut set.file[0]);
        Schema::survey(set.encode_to_vec(), &Exposure::default())
    }

    #[test]
    fn a_bad_descriptor_is_told_where_it_is() {
        fn field(file: &mut FileDescriptor, index: usize) -> &mut FieldDescriptor {
            &mut file.message_type[0].field[index]
        }
        for (found, expected) in [
            (
                problem(|file| field(file, 1).number = 1),
                "t.proto:5:3: field `t.M.m`: number 1 is taken",
            ),
            (
                problem(|file| field(file, 0).number = 0),
                "t.proto:4:3: field `t.M.a`: 0 is no field number",
            ),
            (
                problem(|file| field(file, 0).number = 1 << 29),
                "t.proto:4:3: field `t.M.a`: 536870912 is no field number",
            ),
            (
                problem(|file| field(file, 1).type_name = ".t.Nope".to_owned()),
                "t.proto:5:3: field `t.M.m`: its type `t.Nope` (11) is not known",
            ),
            (
                problem(|file| field(file, 0).r#type = 19),
                "t.proto:4:3: field `t.M.a`: its type `` (19) is not known",
            ),
            (
                problem(|file| field(file, 3).oneof_index = Some(7)),
                "t.proto:7:13: field `t.M.s`: it is in a oneof that is not there",
            ),
            (
                problem(|file| field(file, 4).oneof_index = Some(0)),
                "t.proto:8:3: field `t.M.list`: a list or a map cannot be in a oneof",
            ),
            (
                problem(|file| file.message_type[0].nested_type[0].field[0].r#type = 1),
                "t.proto:3:1: map `t.M.map` has no key and value",
            ),
            (
                problem(|file| file.message_type[0].nested_type[0].field.truncate(1)),
                "t.proto:3:1: map `t.M.map` has no key and value",
            ),
            (
                problem(|file| file.extension[0].extendee = ".t.Nope".to_owned()),
                "t.proto:14:3: extension `t.ext`: extends the unknown type `t.Nope`",
            ),
            (
                problem(|file| file.extension[0].number = 1),
                "t.proto:14:3: extension `t.ext`: number 1 of `t.M` is taken",
            ),
            (
                problem(|file| file.message_type.push(file.message_type[0].clone())),
                "t.proto: `t.M.MapEntry` is declared twice",
            ),
        ] {
            assert!(found.starts_with(expected), "{found}");
        }
        let twice = problem(|file| file.enum_type.push(file.enum_type[0].clone()));
        assert_eq!(twice, "t.proto: `t.E` is declared twice");
        let edition = problem(|file| {
            (file.syntax, file.edition) = ("editions".to_owned(), Some(1_002));
        });
        assert!(edition.ends_with("edition 1002 is not supported: 2023 and 2024 are"), "{edition}");
    }

    #[test]
    fn what_is_left_of_a_bad_descriptor_can_be_looked_at() {
        type Change = fn(&mut FileDescriptor);
        let changes: [Change; 5] = [
            |file| file.message_type[0].field[1].type_name = ".t.Nope".to_owned(),
            |file| file.message_type[0].field[0].r#type = 19,
            |file| file.message_type[0].nested_type[0].field[0].r#type = 1,
            |file| file.message_type[0].nested_type[0].field.clear(),
            |file| file.extension[0].extendee = ".t.Nope".to_owned(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let (schema, Problems(problems)) = survey(change);
            assert!(!problems.is_empty(), "{number}");
            let schema = std::sync::Arc::new(schema.unwrap());
            assert!(crate::transcoding::Transcoder::new(schema.clone()).is_ok(), "{number}");
            let (table, Problems(found)) = crate::routing::RouteTable::survey(vec![schema]);
            assert_eq!((found.len(), table.lints().len()), (0, 0), "{number}");
        }
        let (schema, _) = survey(|file| file.enum_type.push(file.enum_type[0].clone()));
        assert!(schema.is_none(), "nobody knows which of two types is meant");
    }

    #[test]
    fn a_map_is_told_by_its_entry_and_not_by_a_name_like_it() {
        let source = "syntax = \"proto3\"; \
            message B { message FooEntry { string key = 1; string value = 2; } } \
            message A { map<string, string> foo = 1; repeated B.FooEntry other = 2; }";
        let schema = crate::schema::compile_for_tests("a.proto", source).unwrap();
        let a = schema.message(schema.message_by_name("A").unwrap());
        let cardinality = |name| a.field(name).unwrap().cardinality;
        assert_eq!(cardinality("foo"), Cardinality::Map);
        assert_eq!(cardinality("other"), Cardinality::Repeated);
    }

    #[test]
    fn two_fields_of_one_json_name_are_told_apart() {
        let rename = |index: usize, name: &'static str| {
            move |file: &mut FileDescriptor| {
                file.message_type[0].field[index].json_name = name.to_owned();
            }
        };
        let schema = build(rename(1, "a")).unwrap();
        let message = schema.message(schema.message_by_name("t.M").unwrap());
        let names: Vec<_> = message.fields.iter().map(|field| field.json_name.as_str()).collect();
        assert_eq!(names[..2], ["a", "m"]);
        let clash = problem(|file| {
            rename(0, "m")(file);
            rename(1, "m")(file);
        });
        assert_eq!(clash, "t.proto:3:1: `t.M`: two fields are called `m` in JSON");
    }

    #[test]
    fn features_reach_fields_and_enums() {
        let delimited = FeatureSet { message_encoding: 2, field_presence: 2, ..Default::default() };
        let expanded = FeatureSet { repeated_field_encoding: 2, ..Default::default() };
        let schema = build(|file| {
            (file.syntax, file.edition) = ("editions".to_owned(), Some(1_000));
            let options = descriptor_set::FileOptions { features: Some(delimited.clone()) };
            file.options = Some(options);
            let options = FieldOptions { features: Some(expanded.clone()), packed: None };
            file.message_type[0].field[4].options = Some(options);
            let closed = FeatureSet { enum_type: 2, ..Default::default() };
            file.enum_type[0].options = Some(EnumOptions { features: Some(closed) });
        })
        .unwrap();
        let message = schema.message(schema.message_by_name("t.M").unwrap());
        let field = |name| message.field(name).unwrap();
        assert!(matches!(field("m").kind, Kind::Group(_)));
        assert!(matches!(field("map").kind, Kind::Message(_)), "maps are never delimited");
        assert!(!field("a").explicit_presence && !field("list").packed);
        assert!(field("m").explicit_presence && field("s").explicit_presence);
        assert!(schema.enumerations()[0].closed);
    }

    #[test]
    fn extensions_are_named_in_brackets_and_are_no_fields() {
        let schema = build(|_| {}).unwrap();
        let [(message, extension)] = schema.extensions() else { panic!("not one extension") };
        assert_eq!(schema.message(*message).name, "t.M");
        assert_eq!((extension.json_name.as_str(), extension.name.as_str()), ("[t.ext]", "t.ext"));
        assert!(schema.message(*message).field("[t.ext]").is_none());
    }
}
