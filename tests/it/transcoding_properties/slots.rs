//! What a message has room for: its fields and the extensions of it, told alike.

use prost::encoding::WireType;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};

/// A field of a message, or an extension of it.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) number: u32,
    pub(crate) json_name: String,
    /// As in the proto; an extension has only one name in JSON.
    pub(crate) proto_name: String,
    /// Of one element; of a map, its entry.
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    pub(crate) is_group: bool,
    pub(crate) has_presence: bool,
    pub(crate) oneof: Option<String>,
    is_extension: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Singular,
    List,
    Map,
}

/// All slots of `message`, fields first.
pub(crate) fn slots(message: &MessageDescriptor) -> Vec<Slot> {
    let fields = message.fields().map(|field| Slot {
        number: field.number(),
        json_name: field.json_name().to_owned(),
        proto_name: field.name().to_owned(),
        kind: field.kind(),
        shape: shape(field.is_list(), field.is_map()),
        is_group: field.is_group(),
        has_presence: field.supports_presence(),
        oneof: field.containing_oneof().map(|oneof| oneof.full_name().to_owned()),
        is_extension: false,
    });
    let extensions = message.extensions().map(|extension| Slot {
        number: extension.number(),
        json_name: extension.json_name().to_owned(),
        proto_name: extension.json_name().to_owned(),
        kind: extension.kind(),
        shape: shape(extension.is_list(), extension.is_map()),
        is_group: extension.is_group(),
        has_presence: extension.supports_presence(),
        oneof: None,
        is_extension: true,
    });
    fields.chain(extensions).collect()
}

/// The slot that a key of JSON means: by JSON name first, then by proto name.
pub(crate) fn slot_named<'a>(slots: &'a [Slot], key: &str) -> Option<&'a Slot> {
    let by_json_name = slots.iter().find(|slot| slot.json_name == key);
    by_json_name.or_else(|| slots.iter().find(|slot| slot.proto_name == key))
}

fn shape(is_list: bool, is_map: bool) -> Shape {
    match (is_list, is_map) {
        (true, _) => Shape::List,
        (_, true) => Shape::Map,
        _ => Shape::Singular,
    }
}

impl Slot {
    /// The wire type of one element.
    pub(crate) fn wire_type(&self) -> WireType {
        match self.kind {
            _ if self.is_group => WireType::StartGroup,
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::SixtyFourBit,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::ThirtyTwoBit,
            Kind::String | Kind::Bytes | Kind::Message(_) => WireType::LengthDelimited,
            _ => WireType::Varint,
        }
    }

    /// Whether many elements can be one record, whatever the proto says of packing.
    pub(crate) fn is_packable(&self) -> bool {
        let scalar = !matches!(self.kind, Kind::String | Kind::Bytes | Kind::Message(_));
        self.shape == Shape::List && scalar
    }

    /// The message that it is of, elements and groups included, entries not.
    pub(crate) fn message(&self) -> Option<&MessageDescriptor> {
        match &self.kind {
            Kind::Message(message) if self.shape != Shape::Map => Some(message),
            _ => None,
        }
    }

    /// The kind of a map's values.
    pub(crate) fn map_value(&self) -> Option<Slot> {
        let Kind::Message(entry) = &self.kind else { return None };
        let value = || slots(entry).into_iter().find(|slot| slot.number == 2);
        (self.shape == Shape::Map).then(value).flatten()
    }

    /// Its value in `message`, set or not, and whether it counts as set.
    pub(crate) fn value(&self, message: &DynamicMessage) -> Option<(Value, bool)> {
        let descriptor = prost_reflect::ReflectMessage::descriptor(message);
        if self.is_extension {
            let extension = descriptor.get_extension(self.number)?;
            let is_set = message.has_extension(&extension);
            return Some((message.get_extension(&extension).into_owned(), is_set));
        }
        let is_set = message.has_field_by_number(self.number);
        Some((message.get_field_by_number(self.number)?.into_owned(), is_set))
    }
}

/// `Timestamp` of `google.protobuf.Timestamp`; none of a message with no JSON form of its own.
pub(crate) fn well_known_name(message: &MessageDescriptor) -> Option<&str> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    super::schema::WELL_KNOWN.contains(&name).then_some(name)
}
