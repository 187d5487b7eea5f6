//! Random schemas: two files, one of each syntax, the second importing the first.
//!
//! The messages and enums are always the same few names; the words decide the enums' values and
//! which fields there are. Everything is what protoc would accept.

use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FieldOptions, FileDescriptorProto, MessageOptions,
    field_descriptor_proto::{Label, Type},
};

use super::{
    choices::Choices,
    declarations::{DraftMessage, custom_json_name, default_value, entry_name, group, random_enum},
};

/// Full names of the messages declared.
pub(crate) const MESSAGES: [&str; 6] =
    ["alpha.v1.A", "alpha.v1.A.Inner", "alpha.v1.B", "beta.C", "beta.C.Inner", "beta.D"];

/// What every schema imports.
pub(crate) const WELL_KNOWN_FILES: [&str; 7] = [
    "google/protobuf/any.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/wrappers.proto",
];

/// Well-known messages that a field can be of.
pub(crate) const WELL_KNOWN: [&str; 17] = [
    "Any",
    "Timestamp",
    "Duration",
    "FieldMask",
    "Struct",
    "Value",
    "ListValue",
    "Empty",
    "DoubleValue",
    "FloatValue",
    "Int64Value",
    "UInt64Value",
    "Int32Value",
    "UInt32Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
];

pub(crate) const SCALARS: [Type; 15] = [
    Type::Int32,
    Type::Double,
    Type::Float,
    Type::Int64,
    Type::Uint64,
    Type::Fixed64,
    Type::Fixed32,
    Type::Bool,
    Type::String,
    Type::Bytes,
    Type::Uint32,
    Type::Sfixed32,
    Type::Sfixed64,
    Type::Sint32,
    Type::Sint64,
];

/// Parts of field names; the number behind keeps them apart however JSON changes them.
const NAMES: [&str; 8] =
    ["a", "foo_bar_", "_lead", "x__y_", "Cap", "camelCase", "u_1_", "a_very_long_field_name_of_"];

/// The numbers that extensions can have.
pub(crate) const EXTENSIONS: std::ops::Range<i32> = 1000..1100;

/// The files that `words` declare: the first word the enums, each other one field.
pub(crate) fn random_files(words: &[u64]) -> Vec<FileDescriptorProto> {
    let mut head = Choices::of(words.first().copied().unwrap_or_default());
    let first_is_proto2 = head.one_in(2);
    let mut files = [
        Draft::new("a.proto", "alpha.v1", ["A", "B"], first_is_proto2, &mut head),
        Draft::new("b.proto", "beta", ["C", "D"], !first_is_proto2, &mut head),
    ];
    files[1].imports_first = true;
    let closed_first = files[0].is_proto2;
    for &word in words.iter().skip(1) {
        let mut choices = Choices::of(word);
        let file = choices.below(2);
        files[file].declare(closed_first, &mut choices);
    }
    files.into_iter().map(Draft::finish).collect()
}

/// A file, and its messages in the order of [`MESSAGES`].
struct Draft {
    proto: FileDescriptorProto,
    is_proto2: bool,
    imports_first: bool,
    messages: [DraftMessage; 3],
}

impl Draft {
    fn new(
        name: &str,
        package: &str,
        messages: [&str; 2],
        is_proto2: bool,
        choices: &mut Choices,
    ) -> Self {
        let message = |name: &str| DraftMessage { name: name.to_owned(), ..Default::default() };
        let proto = FileDescriptorProto {
            name: Some(name.to_owned()),
            package: Some(package.to_owned()),
            syntax: Some(if is_proto2 { "proto2" } else { "proto3" }.to_owned()),
            dependency: WELL_KNOWN_FILES.map(str::to_owned).to_vec(),
            enum_type: vec![
                random_enum("Color", is_proto2, choices),
                random_enum("Mood", is_proto2, choices),
            ],
            ..Default::default()
        };
        let messages = [message(messages[0]), message("Inner"), message(messages[1])];
        Self { proto, is_proto2, imports_first: false, messages }
    }

    /// Declares one field.
    fn declare(&mut self, closed_first: bool, choices: &mut Choices) {
        // Mostly in the first: one message with many fields shows more than three with a few.
        let at = *choices.pick(&[0, 0, 0, 1, 2]);
        let number = self.free_number(at, choices);
        let stem = format!("{}{number}", choices.pick(&NAMES));
        let mut field = FieldDescriptorProto {
            name: Some(stem.clone()),
            number: Some(number),
            label: Some(Label::Optional as i32),
            ..Default::default()
        };
        if choices.one_in(6) {
            field.json_name = Some(custom_json_name(number, choices));
        } else if choices.one_in(20) {
            // Another field's proto name is free in JSON, where that field has a name of its own.
            let message = &self.messages[at];
            let fields = message.fields.iter().chain(message.oneofs.iter().flatten());
            let is_free = |name: &str| fields.clone().all(|field| field.json_name() != name);
            let other = fields.clone().find(|other| {
                other.json_name.is_none() && other.name().contains("_b") && is_free(other.name())
            });
            field.json_name = other.map(|other| other.name().to_owned());
        }
        let cardinality = choices.below(20);
        if cardinality < 3 {
            return self.declare_map(at, field, closed_first, choices);
        }
        if self.is_proto2 && choices.one_in(20) {
            field.name = Some(format!("group{number}"));
            field.r#type = Some(Type::Group as i32);
            field.type_name = Some(format!("{}.Group{number}", self.full_name(at)));
            self.messages[at].nested.push(group(number, choices));
        } else {
            self.choose_type(&mut field, closed_first, choices);
        }
        let is_proto2 = self.is_proto2;
        let message = &mut self.messages[at];
        match cardinality {
            3..=7 => {
                field.label = Some(Label::Repeated as i32);
                let unpackable = [Type::String, Type::Bytes, Type::Message, Type::Group];
                if !unpackable.contains(&field.r#type()) && choices.one_in(2) {
                    let packed = Some(choices.one_in(2));
                    field.options = Some(FieldOptions { packed, ..Default::default() });
                }
                message.fields.push(field);
            }
            8..=10 => message.oneofs[choices.below(2)].push(field),
            11 | 12 if !is_proto2 => {
                field.proto3_optional = Some(true);
                message.fields.push(field);
            }
            11 if field.r#type() != Type::Group => {
                field.label = Some(Label::Required as i32);
                message.fields.push(field);
            }
            12 | 13 if is_proto2 && field.r#type() != Type::Group => {
                field.label = Some(*choices.pick(&[Label::Optional, Label::Repeated]) as i32);
                self.extend(field, choices);
            }
            _ => {
                if is_proto2 && choices.one_in(3) {
                    field.default_value = default_value(&field, choices);
                }
                message.fields.push(field);
            }
        }
    }

    fn declare_map(
        &mut self,
        at: usize,
        mut field: FieldDescriptorProto,
        closed_first: bool,
        choices: &mut Choices,
    ) {
        let keys: Vec<_> = SCALARS
            .into_iter()
            .filter(|r#type| !matches!(r#type, Type::Double | Type::Float | Type::Bytes))
            .collect();
        let entry_field = |name: &str, number| FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            label: Some(Label::Optional as i32),
            ..Default::default()
        };
        let mut key = entry_field("key", 1);
        key.r#type = Some(*choices.pick(&keys) as i32);
        let mut value = entry_field("value", 2);
        self.choose_type(&mut value, closed_first, choices);
        let name = entry_name(field.name());
        field.label = Some(Label::Repeated as i32);
        field.r#type = Some(Type::Message as i32);
        field.type_name = Some(format!("{}.{name}", self.full_name(at)));
        let message = &mut self.messages[at];
        message.fields.push(field);
        message.nested.push(DescriptorProto {
            name: Some(name),
            field: vec![key, value],
            options: Some(MessageOptions { map_entry: Some(true), ..Default::default() }),
            ..Default::default()
        });
    }

    /// Moves `field` out of its message: an extension of one of this file's messages.
    fn extend(&mut self, mut field: FieldDescriptorProto, choices: &mut Choices) {
        let (extended, scope) = (choices.below(3), choices.below(3));
        let taken = self.messages.iter().flat_map(|message| &message.extended);
        let taken: Vec<_> = taken.filter_map(|extension| extension.number).collect();
        let Some(number) = EXTENSIONS.clone().find(|number| !taken.contains(number)) else {
            return;
        };
        field.number = Some(number);
        field.name = Some(format!("ext_{number}"));
        field.extendee = Some(self.full_name(extended));
        field.json_name = None;
        // Declared in a message, or (where the third would be) beside them.
        self.messages[scope].extended.push(field);
    }

    fn choose_type(
        &self,
        field: &mut FieldDescriptorProto,
        closed_first: bool,
        choices: &mut Choices,
    ) {
        let (r#type, name) = match choices.below(20) {
            0..=7 => (*choices.pick(&SCALARS), None),
            8..=10 => {
                let mut enums = vec![".google.protobuf.NullValue"];
                // Closed enums are for proto2 alone.
                if self.imports_first && (self.is_proto2 || !closed_first) {
                    enums.extend([".alpha.v1.Color", ".alpha.v1.Mood"]);
                }
                let own = if self.imports_first { "beta" } else { "alpha.v1" };
                let own = [format!(".{own}.Color"), format!(".{own}.Mood")];
                enums.extend(own.iter().flat_map(|name| [name.as_str(); 3]));
                (Type::Enum, Some((*choices.pick(&enums)).to_owned()))
            }
            11..=13 => {
                let known = if self.imports_first { &MESSAGES[..] } else { &MESSAGES[..3] };
                (Type::Message, Some(format!(".{}", choices.pick(known))))
            }
            _ => {
                let name = choices.pick(&WELL_KNOWN);
                (Type::Message, Some(format!(".google.protobuf.{name}")))
            }
        };
        field.r#type = Some(r#type as i32);
        field.type_name = name;
    }

    fn free_number(&self, at: usize, choices: &mut Choices) -> i32 {
        const FAR: [i32; 6] = [15, 16, 2047, 2048, 65_536, 536_870_911];
        let message = &self.messages[at];
        let taken = message.fields.iter().chain(message.oneofs.iter().flatten());
        let taken: Vec<_> = taken.filter_map(|field| field.number).collect();
        let far = *choices.pick(&FAR);
        let first = if choices.one_in(8) { far } else { 1 + choices.below(20) as i32 };
        let free = |number: &i32| !taken.contains(number);
        [first].into_iter().chain(1..).find(free).unwrap_or_default()
    }

    fn full_name(&self, at: usize) -> String {
        format!(".{}", MESSAGES[at + if self.imports_first { 3 } else { 0 }])
    }

    fn finish(self) -> FileDescriptorProto {
        let Self { mut proto, is_proto2, imports_first, messages } = self;
        if imports_first {
            proto.dependency.push("a.proto".to_owned());
        }
        let [first, inner, mut second] = messages;
        proto.extension = std::mem::take(&mut second.extended);
        let mut first = first.finish(is_proto2);
        first.nested_type.push(inner.finish(is_proto2));
        proto.message_type = vec![first, second.finish(is_proto2)];
        proto
    }
}
