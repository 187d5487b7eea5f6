//! One field: from its descriptor to its type, cardinality and presence.

use std::collections::{HashMap, HashSet};

use super::{
    Cardinality, EnumIndex, Field, Kind, MessageIndex, MessageType,
    descriptor_set::FieldDescriptor, features::Features,
};

/// What a field is resolved against.
pub(super) struct FieldScope<'s> {
    pub(super) messages_by_name: &'s HashMap<String, MessageIndex>,
    pub(super) enums_by_name: &'s HashMap<String, EnumIndex>,
    /// What holds around the field.
    pub(super) features: Features,
    /// The types that are entries of maps.
    pub(super) map_entries: &'s HashSet<MessageIndex>,
    /// Whether its message is itself the entry of a map.
    pub(super) is_entry: bool,
    /// How many oneofs its message has.
    pub(super) oneof_count: usize,
}

/// The highest number a field can have.
const NUMBER_LIMIT: i32 = (1 << 29) - 1;

/// Resolves a field; the error says what is wrong with it.
pub(super) fn resolve_field(
    scope: &FieldScope<'_>,
    field: &FieldDescriptor,
    comment: String,
) -> Result<Field, String> {
    const LABEL_REPEATED: i32 = 3;
    let features = scope.features.of_field(field);
    let type_name = field.type_name.trim_start_matches('.');
    let mut kind = kind(scope, field.r#type, type_name)
        .ok_or_else(|| format!("its type `{type_name}` ({}) is not known", field.r#type))?;
    let is_map = kind.message().is_some_and(|message| scope.map_entries.contains(&message));
    if let Kind::Message(message) = kind
        && features.delimited
        && !(is_map || scope.is_entry)
    {
        kind = Kind::Group(message);
    }
    let number =
        u32::try_from(field.number).ok().filter(|_| (1..=NUMBER_LIMIT).contains(&field.number));
    let number = number.ok_or_else(|| format!("{} is no field number", field.number))?;
    let cardinality = match (field.label, is_map) {
        (LABEL_REPEATED, true) => Cardinality::Map,
        (LABEL_REPEATED, false) => Cardinality::Repeated,
        _ => Cardinality::Singular,
    };
    let oneof = field.oneof_index.filter(|_| !field.proto3_optional).map(|index| {
        let index = usize::try_from(index).ok().filter(|&index| index < scope.oneof_count);
        index.map(|index| index as u32).ok_or("it is in a oneof that is not there")
    });
    let oneof = oneof.transpose()?;
    if oneof.is_some() && cardinality != Cardinality::Singular {
        return Err("a list or a map cannot be in a oneof".to_owned());
    }
    let singular = cardinality == Cardinality::Singular;
    Ok(Field {
        name: field.name.clone(),
        comment,
        json_name: match field.json_name.as_str() {
            "" => lower_camel_case(&field.name),
            said => said.to_owned(),
        },
        number,
        kind,
        cardinality,
        oneof,
        explicit_presence: singular
            && (features.explicit_presence || oneof.is_some() || kind.message().is_some()),
        packed: cardinality == Cardinality::Repeated && features.packed && kind.is_packable(),
    })
}

/// Whether it is `key = 1` and `value = 2`, the key of a kind that can be one.
pub(super) fn is_map_entry(message: &MessageType) -> bool {
    let mut numbers: Vec<_> = message.fields.iter().map(|field| field.number).collect();
    numbers.sort_unstable();
    let singular = message.fields.iter().all(|field| field.cardinality == Cardinality::Singular);
    let key = message.field_by_number(1).map(|field| field.kind);
    singular
        && numbers == [1, 2]
        && key.is_some_and(|kind| {
            (kind.is_packable() || kind == Kind::String)
                && !matches!(kind, Kind::Float | Kind::Double | Kind::Enum(_))
        })
}

fn kind(scope: &FieldScope<'_>, r#type: i32, type_name: &str) -> Option<Kind> {
    let message = || scope.messages_by_name.get(type_name).copied();
    Some(match r#type {
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
        14 => Kind::Enum(scope.enums_by_name.get(type_name).copied()?),
        15 => Kind::Sfixed32,
        16 => Kind::Sfixed64,
        17 => Kind::Sint32,
        18 => Kind::Sint64,
        _ => return None,
    })
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
