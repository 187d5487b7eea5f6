//! How a failure shows its schema: as a proto file, near enough.

use std::fmt::Write as _;

use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

/// `files` as their source might be, without messages that have no fields.
pub(crate) fn pseudo_proto(files: &[FileDescriptorProto]) -> String {
    let mut text = String::new();
    for file in files {
        let _ = writeln!(text, "// {}", file.name());
        let _ = writeln!(text, "syntax = {:?}; package {};", file.syntax(), file.package());
        file.enum_type.iter().for_each(|r#enum| show_enum(r#enum, &mut text));
        show_extensions(&file.extension, 0, &mut text);
        file.message_type.iter().for_each(|message| show_message(message, 0, &mut text));
    }
    text
}

/// Bytes, two digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn show_enum(r#enum: &EnumDescriptorProto, text: &mut String) {
    let values = r#enum.value.iter().map(|v| format!("{} = {};", v.name(), v.number()));
    let values = values.collect::<Vec<_>>().join(" ");
    let _ = writeln!(text, "enum {} {{ {values} }}", r#enum.name());
}

fn show_message(message: &DescriptorProto, depth: usize, text: &mut String) {
    let is_entry = message.options.as_ref().is_some_and(|options| options.map_entry());
    if is_entry || message.field.len() + message.nested_type.len() + message.extension.len() == 0 {
        return;
    }
    let indent = "  ".repeat(depth);
    let _ = writeln!(text, "{indent}message {} {{", message.name());
    for field in &message.field {
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        let oneof = oneof.map(|index| message.oneof_decl[index as usize].name());
        let oneof = oneof.map(|name| format!("/* oneof {name} */ ")).unwrap_or_default();
        let _ = writeln!(text, "{indent}  {oneof}{}", show_field(field, message));
    }
    show_extensions(&message.extension, depth + 1, text);
    message.nested_type.iter().for_each(|nested| show_message(nested, depth + 1, text));
    let _ = writeln!(text, "{indent}}}");
}

fn show_extensions(extensions: &[FieldDescriptorProto], depth: usize, text: &mut String) {
    for field in extensions {
        let indent = "  ".repeat(depth);
        let shown = show_field(field, &DescriptorProto::default());
        let _ = writeln!(text, "{indent}extend {} {{ {shown} }}", field.extendee());
    }
}

fn show_field(field: &FieldDescriptorProto, parent: &DescriptorProto) -> String {
    let entry = parent.nested_type.iter().find(|nested| {
        nested.options.as_ref().is_some_and(|options| options.map_entry())
            && field.type_name().rsplit('.').next() == Some(nested.name())
    });
    let mut options = Vec::new();
    options.extend(field.json_name.as_ref().map(|name| format!("json_name = {name:?}")));
    options.extend(field.default_value.as_ref().map(|value| format!("default = {value:?}")));
    let packed = field.options.as_ref().and_then(|options| options.packed);
    options.extend(packed.map(|packed| format!("packed = {packed}")));
    let options = match options.is_empty() {
        true => String::new(),
        false => format!(" [{}]", options.join(", ")),
    };
    let label = match field.label() {
        _ if field.proto3_optional() => "optional ",
        _ if entry.is_some() => "",
        Label::Optional => "",
        Label::Required => "required ",
        Label::Repeated => "repeated ",
    };
    let r#type = match entry {
        Some(entry) => {
            format!("map<{}, {}>", show_type(&entry.field[0]), show_type(&entry.field[1]))
        }
        None => show_type(field),
    };
    format!("{label}{type} {} = {}{options};", field.name(), field.number())
}

fn show_type(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => field.type_name().trim_start_matches('.').to_owned(),
        r#type => r#type.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    }
}
