//! Message and enum types, resolved: names looked up once, at load.

use std::collections::HashMap;

use super::Position;

/// Which message of its [`Schema`](super::Schema).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageIndex(pub(crate) u32);

/// Which enum of its [`Schema`](super::Schema).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnumIndex(pub(crate) u32);

/// A message type.
#[derive(Debug)]
pub struct MessageType {
    /// Full name without a leading dot: `user.v1.User`.
    pub name: String,
    /// What its proto says of it.
    pub comment: String,
    /// Where it is declared.
    pub position: Position,
    /// In order of declaration; extensions are not among them.
    pub fields: Vec<Field>,
    pub(crate) fields_by_name: HashMap<String, usize>,
}

impl MessageType {
    /// The field that JSON or a path calls `name`: its JSON name first, then its proto name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields_by_name.get(name).map(|&index| &self.fields[index])
    }

    /// The field with this number.
    pub fn field_by_number(&self, number: u32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// Whether it is one of the wrappers of `google/protobuf/wrappers.proto`.
    pub fn is_wrapper(&self) -> bool {
        const WRAPPED: [&str; 9] =
            ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"];
        self.name
            .strip_prefix("google.protobuf.")
            .and_then(|name| name.strip_suffix("Value"))
            .is_some_and(|name| WRAPPED.contains(&name))
    }

    /// Whether it is `google.protobuf.FieldMask`.
    pub fn is_field_mask(&self) -> bool {
        self.name == "google.protobuf.FieldMask"
    }

    /// Whether it is `google.api.HttpBody`, which stands for a body of any type.
    pub fn is_http_body(&self) -> bool {
        self.name == "google.api.HttpBody"
    }

    /// Whether ProtoJSON writes it as one string or number, so that a path or a query can hold it.
    pub fn is_text_in_json(&self) -> bool {
        let name = self.name.strip_prefix("google.protobuf.");
        self.is_wrapper() || matches!(name, Some("Timestamp" | "Duration" | "FieldMask"))
    }
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    /// As written in the proto.
    pub name: String,
    /// What its proto says of it.
    pub comment: String,
    /// As written in JSON.
    pub json_name: String,
    /// On the wire.
    pub number: u32,
    /// The type of one element.
    pub kind: Kind,
    /// How many elements.
    pub cardinality: Cardinality,
    /// The index of the oneof it is a member of; a proto3 `optional` is no member.
    pub oneof: Option<u32>,
    /// Whether being set to its default is another thing than not being set. Always so for
    /// messages and members of oneofs, never for lists and maps.
    pub explicit_presence: bool,
    /// Whether the elements of a list are written together, behind one key.
    pub packed: bool,
}

impl Kind {
    /// Whether elements of a list can be written together: numbers, enums and booleans can.
    pub fn is_packable(self) -> bool {
        !matches!(self, Self::String | Self::Bytes | Self::Message(_) | Self::Group(_))
    }
}

/// How often a field may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// At most once.
    Singular,
    /// A list.
    Repeated,
    /// A map; the field's kind is its entry message.
    Map,
}

/// The type of a field's element, named as in `descriptor.proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Double,
    Float,
    Int64,
    Uint64,
    Int32,
    Fixed64,
    Fixed32,
    Bool,
    String,
    Group(MessageIndex),
    Message(MessageIndex),
    Bytes,
    Uint32,
    Enum(EnumIndex),
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
}

impl Kind {
    /// The message type of a message or group field.
    pub fn message(self) -> Option<MessageIndex> {
        match self {
            Self::Message(index) | Self::Group(index) => Some(index),
            _ => None,
        }
    }
}

/// An enum type.
#[derive(Debug)]
pub struct EnumType {
    /// Full name without a leading dot.
    pub name: String,
    /// What its proto says of it.
    pub comment: String,
    /// Name and number of each value, in order of declaration.
    pub values: Vec<(String, i32)>,
    /// Whether a number without a name is no value of it, as in proto2.
    pub closed: bool,
}
