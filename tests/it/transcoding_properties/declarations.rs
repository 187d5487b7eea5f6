//! The parts of a random schema: messages, enums, groups, names, defaults.

use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto,
    FieldDescriptorProto, OneofDescriptorProto,
    descriptor_proto::ExtensionRange,
    field_descriptor_proto::{Label, Type},
};

use super::{
    choices::Choices,
    schema::{EXTENSIONS, SCALARS},
};

/// A message that is being declared.
#[derive(Default)]
pub(super) struct DraftMessage {
    pub(super) name: String,
    pub(super) fields: Vec<FieldDescriptorProto>,
    pub(super) oneofs: [Vec<FieldDescriptorProto>; 2],
    pub(super) nested: Vec<DescriptorProto>,
    pub(super) extended: Vec<FieldDescriptorProto>,
}

impl DraftMessage {
    pub(super) fn finish(self, is_proto2: bool) -> DescriptorProto {
        let mut proto = DescriptorProto {
            name: Some(self.name),
            field: self.fields,
            nested_type: self.nested,
            extension: self.extended,
            ..Default::default()
        };
        if is_proto2 {
            let (start, end) = (Some(EXTENSIONS.start), Some(EXTENSIONS.end));
            proto.extension_range = vec![ExtensionRange { start, end, options: None }];
        }
        let mut declare = |name: String| {
            proto.oneof_decl.push(OneofDescriptorProto { name: Some(name), options: None });
            Some(proto.oneof_decl.len() as i32 - 1)
        };
        for members in self.oneofs.into_iter().filter(|members| !members.is_empty()) {
            let index = declare(format!("choice{}", members[0].number()));
            let members = members.into_iter();
            proto
                .field
                .extend(members.map(|field| FieldDescriptorProto { oneof_index: index, ..field }));
        }
        // What stands for `optional` comes behind the real ones.
        for field in proto.field.iter_mut().filter(|field| field.proto3_optional()) {
            field.oneof_index = declare(format!("_{}", field.name()));
        }
        proto
    }
}

/// Two to five values, some with one number, some negative; the first is 0 where it must be.
pub(super) fn random_enum(
    name: &str,
    is_proto2: bool,
    choices: &mut Choices,
) -> EnumDescriptorProto {
    const NUMBERS: [i32; 10] = [1, 2, 3, 2, -1, 0, 127, 128, i32::MAX, i32::MIN];
    let mut value = Vec::new();
    for at in 0..2 + choices.below(4) {
        let number = if at == 0 && !is_proto2 { 0 } else { *choices.pick(&NUMBERS) };
        value.push(EnumValueDescriptorProto {
            name: Some(format!("{}_{at}", name.to_uppercase())),
            number: Some(number),
            options: None,
        });
    }
    let mut numbers: Vec<_> = value.iter().map(EnumValueDescriptorProto::number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let allow_alias = (numbers.len() < value.len()).then_some(true);
    let options = Some(EnumOptions { allow_alias, ..Default::default() });
    EnumDescriptorProto { name: Some(name.to_owned()), value, options, ..Default::default() }
}

/// The message of a group: some scalars.
pub(super) fn group(number: i32, choices: &mut Choices) -> DescriptorProto {
    let field = (1..=1 + choices.below(3) as i32).map(|number| FieldDescriptorProto {
        name: Some(format!("member_{number}")),
        number: Some(number),
        label: Some(*choices.pick(&[Label::Optional, Label::Repeated]) as i32),
        r#type: Some(*choices.pick(&SCALARS) as i32),
        ..Default::default()
    });
    let field = field.collect();
    DescriptorProto { name: Some(format!("Group{number}")), field, ..Default::default() }
}

pub(super) fn custom_json_name(number: i32, choices: &mut Choices) -> String {
    const NAMES: [&str; 7] =
        ["custom-", "with space ", "üñï😀", "quote\"", "back\\", "dotted.", "\n"];
    format!("{}{number}", choices.pick(&NAMES))
}

/// What protoc calls the entry message of a map field: its name in camel case, and `Entry`.
pub(super) fn entry_name(field: &str) -> String {
    let mut name = String::new();
    let mut upper_next = true;
    for c in field.chars() {
        match c {
            '_' => upper_next = true,
            c if upper_next => {
                name.push(c.to_ascii_uppercase());
                upper_next = false;
            }
            c => name.push(c),
        }
    }
    name + "Entry"
}

/// A proto2 default, which JSON must not show.
pub(super) fn default_value(field: &FieldDescriptorProto, choices: &mut Choices) -> Option<String> {
    let values: &[&str] = match field.r#type() {
        Type::Message | Type::Group => return None,
        Type::Enum if field.type_name() == ".google.protobuf.NullValue" => &["NULL_VALUE"],
        Type::Enum if field.type_name().ends_with("Color") => &["COLOR_0", "COLOR_1"],
        Type::Enum => &["MOOD_0", "MOOD_1"],
        Type::Bool => &["true", "false"],
        Type::Float | Type::Double => &["1.5", "-0", "inf", "-inf", "nan"],
        Type::String | Type::Bytes => &["", "text"],
        _ => &["0", "7"],
    };
    Some((*choices.pick(values)).to_owned())
}
