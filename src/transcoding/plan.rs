//! Plans: what transcoding a message type takes, worked out once, at load.
//!
//! A plan has its fields in the order of their numbers, their keys in both encodings ready to be
//! copied, and tables to find a field by number or by name. Nothing here is looked at by name
//! while a message goes through.

use std::collections::HashMap;

use super::{
    form::{Form, form},
    json_text,
    names::NameTable,
    wire,
};
use crate::schema::{Cardinality, Field, Kind, MessageIndex, Problem, Problems, Schema};

/// The plans of a schema's types, and behind them those of `google.rpc`.
#[derive(Debug)]
pub(super) struct Plans {
    messages: Vec<Plan>,
    enums: Vec<EnumPlan>,
    by_name: HashMap<Box<str>, MessageIndex>,
}

/// How one message type is transcoded.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: Box<str>,
    pub(super) form: Form,
    /// In the order of their numbers, extensions among them.
    pub(super) fields: Box<[FieldPlan]>,
    /// Field numbers up to its length → index, plus one; 0 is none.
    dense: Box<[u16]>,
    /// JSON names, proto names and `[extensions]` → index.
    pub(super) names: NameTable,
    pub(super) oneof_count: usize,
}

/// How one field is transcoded.
#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) cardinality: Cardinality,
    pub(super) explicit_presence: bool,
    pub(super) packed: bool,
    /// Whether `null` is one of its values, not the lack of one.
    pub(super) takes_null: bool,
    /// Whether it is of a closed enum: numbers without a name are then unknown fields.
    pub(super) closed_enum: bool,
    /// Its oneof, if it is in one.
    pub(super) oneof: Option<u16>,
    /// The wire type of one element.
    pub(super) wire_type: u8,
    /// The key of one element on the wire.
    pub(super) tag: Tag,
    /// The key of all elements together, where they can be.
    pub(super) packed_tag: Tag,
    /// `,"jsonName":`
    pub(super) json_key: Key,
    /// `,"proto_name":`
    pub(super) proto_key: Key,
    /// As written in the proto: what errors call it.
    pub(super) name: Box<str>,
}

/// How an enum is transcoded.
#[derive(Debug)]
pub(super) struct EnumPlan {
    pub(super) name: Box<str>,
    /// Its names; the values are numbers, as `u32`.
    pub(super) names: NameTable,
    /// Number and quoted name, in the order of numbers; of two names, the first declared.
    values: Box<[(i32, Box<[u8]>)]>,
    /// The value declared first, which is its default.
    pub(super) first: i32,
    /// Whether numbers without a name are no values of it.
    pub(super) closed: bool,
    /// Whether it is `google.protobuf.NullValue`.
    pub(super) is_null: bool,
}

/// A field's key on the wire, encoded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tag {
    bytes: [u8; 5],
    len: u8,
}

/// A name as it stands in an object: `,"name":`.
#[derive(Debug)]
pub(super) struct Key {
    whole: Box<[u8]>,
    /// The start of `whole`, padded: short keys are copied by their fixed size.
    padded: [u8; Key::SHORT],
    /// `whole` without its comma, as two words, zero beyond its end, and which bits are in use.
    words: [u64; 2],
    masks: [u64; 2],
}

impl Plans {
    /// Compiles every type of `schema`, and of `details` those that `schema` does not declare.
    pub(super) fn compile(schema: &Schema, details: &Schema) -> Result<Self, Problems> {
        let mut plans = Self { messages: Vec::new(), enums: Vec::new(), by_name: HashMap::new() };
        let mut problems = plans.append(schema);
        problems.extend(plans.append(details));
        if problems.is_empty() { Ok(plans) } else { Err(Problems(problems)) }
    }

    pub(super) fn message(&self, index: MessageIndex) -> &Plan {
        &self.messages[index.0 as usize]
    }

    pub(super) fn enumeration(&self, index: crate::schema::EnumIndex) -> &EnumPlan {
        &self.enums[index.0 as usize]
    }

    /// The type of this full name.
    pub(super) fn by_name(&self, name: &str) -> Option<MessageIndex> {
        self.by_name.get(name).copied()
    }

    fn append(&mut self, schema: &Schema) -> Vec<Problem> {
        let (first_message, first_enum) = (self.messages.len() as u32, self.enums.len() as u32);
        let kind = |kind: Kind| match kind {
            Kind::Message(index) => Kind::Message(MessageIndex(index.0 + first_message)),
            Kind::Group(index) => Kind::Group(MessageIndex(index.0 + first_message)),
            Kind::Enum(index) => Kind::Enum(crate::schema::EnumIndex(index.0 + first_enum)),
            other => other,
        };
        for r#enum in schema.enumerations() {
            self.enums.push(EnumPlan::new(r#enum));
        }
        let mut extensions: HashMap<MessageIndex, Vec<&Field>> = HashMap::new();
        for (message, field) in schema.extensions() {
            extensions.entry(*message).or_default().push(field);
        }
        let mut problems = Vec::new();
        for (index, message) in schema.messages().iter().enumerate() {
            let index = MessageIndex(index as u32);
            let extensions = extensions.remove(&index).unwrap_or_default();
            let mut fields: Vec<_> = message.fields.iter().chain(extensions).collect();
            if fields.len() >= usize::from(u16::MAX) {
                let text = format!("`{}` has more than 65,534 fields", message.name);
                problems.push(Problem::at(&message.position, text));
                continue;
            }
            fields.sort_by_key(|field| field.number);
            let names = fields.iter().zip(0..).map(|(field, n)| (field.json_name.as_str(), n));
            let also = fields.iter().zip(0..).map(|(field, n)| (field.name.as_str(), n));
            let also = also.filter(|(name, n)| {
                let field = fields[*n as usize];
                !field.json_name.starts_with('[') || field.json_name[1..] != format!("{name}]")
            });
            let form = match form(schema, index) {
                Some(form) if form == Form::Object || fields.len() == message.fields.len() => form,
                _ => {
                    let text = format!("`{}` is not the type that everybody knows", message.name);
                    problems.push(Problem::at(&message.position, text));
                    continue;
                }
            };
            let mut plan = Plan {
                name: message.name.as_str().into(),
                form,
                dense: dense(&fields),
                names: NameTable::new(names.chain(also)),
                oneof_count: 0,
                fields: fields.iter().map(|f| FieldPlan::new(f, kind(f.kind), schema)).collect(),
            };
            plan.number_oneofs(&fields);
            let index = MessageIndex(self.messages.len() as u32);
            self.by_name.entry(plan.name.clone()).or_insert(index);
            self.messages.push(plan);
        }
        problems
    }
}

impl Plan {
    /// Numbers the oneofs that have members: a descriptor may declare any number without.
    fn number_oneofs(&mut self, fields: &[&Field]) {
        let mut numbers = HashMap::new();
        for (plan, field) in self.fields.iter_mut().zip(fields) {
            plan.oneof = field.oneof.map(|oneof| {
                let next = numbers.len() as u16;
                *numbers.entry(oneof).or_insert(next)
            });
        }
        self.oneof_count = numbers.len();
    }

    /// The place in `fields` of the field with this number.
    #[inline]
    pub(super) fn index_of(&self, number: u32) -> Option<usize> {
        match self.dense.get(number as usize) {
            Some(0) => None,
            Some(&found) => Some(usize::from(found) - 1),
            None => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }
}

impl FieldPlan {
    fn new(field: &Field, kind: Kind, schema: &Schema) -> Self {
        let wire_type = wire_type(kind);
        let takes_null = match (field.kind, field.kind.message()) {
            (Kind::Enum(index), _) => schema.enumeration(index).name == "google.protobuf.NullValue",
            (_, Some(index)) => schema.message(index).name == "google.protobuf.Value",
            _ => false,
        };
        let closed_enum = match field.kind {
            Kind::Enum(index) => schema.enumeration(index).closed,
            _ => false,
        };
        Self {
            number: field.number,
            kind,
            cardinality: field.cardinality,
            explicit_presence: field.explicit_presence,
            packed: field.packed,
            takes_null,
            closed_enum,
            oneof: None,
            wire_type,
            tag: Tag::new(field.number, wire_type),
            packed_tag: Tag::new(field.number, wire::DELIMITED),
            json_key: Key::new(&field.json_name),
            proto_key: Key::new(match field.json_name.starts_with('[') {
                true => &field.json_name,
                false => &field.name,
            }),
            name: field.name.as_str().into(),
        }
    }
}

impl EnumPlan {
    fn new(r#enum: &crate::schema::EnumType) -> Self {
        let mut values: Vec<(i32, Box<[u8]>)> = Vec::with_capacity(r#enum.values.len());
        for (name, number) in &r#enum.values {
            let mut quoted = Vec::new();
            json_text::put_str(&mut quoted, name);
            values.push((*number, quoted.into()));
        }
        // Stable, so that of two names for a number the first declared stays.
        values.sort_by_key(|(number, _)| *number);
        values.dedup_by_key(|(number, _)| *number);
        let names = r#enum.values.iter().map(|(name, number)| (name.as_str(), *number as u32));
        Self {
            name: r#enum.name.as_str().into(),
            names: NameTable::new(names),
            values: values.into(),
            first: r#enum.values.first().map_or(0, |(_, number)| *number),
            closed: r#enum.closed,
            is_null: r#enum.name == "google.protobuf.NullValue",
        }
    }

    /// The quoted name of a number.
    pub(super) fn quoted_name(&self, number: i32) -> Option<&[u8]> {
        // Most enums count up from 0.
        if let Some((found, name)) = self.values.get(number as usize)
            && *found == number
        {
            return Some(name);
        }
        let found = self.values.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(&self.values[found].1)
    }
}

impl Tag {
    fn new(number: u32, wire_type: u8) -> Self {
        let mut encoded = Vec::with_capacity(5);
        wire::put_raw_varint(&mut encoded, u64::from(number) << 3 | u64::from(wire_type));
        let mut bytes = [0; 5];
        bytes[..encoded.len()].copy_from_slice(&encoded);
        Self { bytes, len: encoded.len() as u8 }
    }

    /// Appends it.
    #[inline]
    pub(super) fn put(self, out: &mut Vec<u8>) {
        match self.len {
            1 => out.push(self.bytes[0]),
            len => out.extend_from_slice(&self.bytes[..usize::from(len)]),
        }
    }

    /// Whether `wire` goes on with it.
    #[inline]
    pub(super) fn is_at(self, wire: &[u8], position: usize) -> bool {
        match self.len {
            1 => wire.get(position) == Some(&self.bytes[0]),
            len => {
                let len = usize::from(len);
                wire.get(position..position + len) == Some(&self.bytes[..len])
            }
        }
    }

    #[inline]
    pub(super) fn len(self) -> usize {
        usize::from(self.len)
    }
}

impl Key {
    const SHORT: usize = 32;

    fn new(name: &str) -> Self {
        let mut whole = vec![b','];
        json_text::put_str(&mut whole, name);
        whole.push(b':');
        let mut padded = [0; Self::SHORT];
        let short = whole.len().min(Self::SHORT);
        padded[..short].copy_from_slice(&whole[..short]);
        let (mut words, mut masks) = ([0; 2], [0; 2]);
        for (index, &byte) in whole[1..].iter().take(16).enumerate() {
            words[index / 8] |= u64::from(byte) << (8 * (index % 8));
            masks[index / 8] |= 0xff << (8 * (index % 8));
        }
        Self { whole: whole.into(), padded, words, masks }
    }

    /// Appends `,"name":`.
    #[inline]
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        if self.whole.len() <= Self::SHORT {
            let end = out.len() + self.whole.len();
            out.extend_from_slice(&self.padded);
            out.truncate(end);
        } else {
            out.extend_from_slice(&self.whole);
        }
    }

    /// How far `"name":` reaches, if `json` goes on with it.
    #[inline]
    pub(super) fn match_at(&self, json: &[u8], position: usize) -> Option<usize> {
        let len = self.whole.len() - 1;
        if let Some(rest) = json.get(position..)
            && let Some((head, _)) = rest.split_first_chunk::<16>()
        {
            let (low, high) = head.split_at(8);
            let low = u64::from_le_bytes(low.try_into().unwrap_or_default());
            let high = u64::from_le_bytes(high.try_into().unwrap_or_default());
            if low & self.masks[0] != self.words[0] || high & self.masks[1] != self.words[1] {
                return None;
            }
            if len <= 16 {
                return Some(position + len);
            }
        }
        let found = json.get(position..position + len) == Some(&self.whole[1..]);
        found.then_some(position + len)
    }
}

/// The wire type of one element.
fn wire_type(kind: Kind) -> u8 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => wire::FIXED64,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => wire::FIXED32,
        Kind::String | Kind::Bytes | Kind::Message(_) => wire::DELIMITED,
        Kind::Group(_) => wire::START_GROUP,
        _ => wire::VARINT,
    }
}

/// Numbers up to a few times the count of fields are found by one look.
fn dense(fields: &[&Field]) -> Box<[u16]> {
    let limit = 4 * fields.len() as u32 + 32;
    let reach = fields.iter().map(|field| field.number).take_while(|&n| n < limit).last();
    let mut dense = vec![0; reach.map_or(0, |reach| reach as usize + 1)];
    for (field, index) in fields.iter().zip(1..) {
        if let Some(slot) = dense.get_mut(field.number as usize) {
            *slot = index;
        }
    }
    dense.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::compile_for_tests;

    fn plans(source: &str) -> Plans {
        let schema = compile_for_tests("t.proto", source).unwrap();
        let empty = compile_for_tests("e.proto", "syntax = \"proto3\";").unwrap();
        Plans::compile(&schema, &empty).unwrap()
    }

    #[test]
    fn fields_are_found_by_number_near_and_far() {
        let plans = plans(
            "syntax = \"proto3\"; message M { int32 far = 536870911; int32 a = 1; int32 c = 3; }",
        );
        let plan = plans.message(plans.by_name("M").unwrap());
        let name = |number| plan.index_of(number).map(|index| &*plan.fields[index].name);
        assert_eq!([1, 3, 536_870_911].map(name), [Some("a"), Some("c"), Some("far")]);
        assert_eq!([0, 2, 4, 1_000, 536_870_910, u32::MAX].map(name), [None; 6]);
    }

    #[test]
    fn both_spellings_are_known_and_the_json_name_wins() {
        let plans = plans(
            "syntax = \"proto3\"; message M { int32 a_b = 1; int32 x = 2 [json_name = \"a_b\"]; }",
        );
        let plan = plans.message(plans.by_name("M").unwrap());
        let number =
            |name: &str| plan.names.get(name.as_bytes()).map(|i| plan.fields[i as usize].number);
        assert_eq!(["aB", "a_b", "x", "y"].map(number), [Some(1), Some(2), Some(2), None]);
    }

    #[test]
    fn keys_are_matched_whatever_follows_them() {
        for name in ["a", "id", "a_name_of_14_c", "a_name_of_15_ch", &"long".repeat(20)] {
            let key = Key::new(name);
            for rest in ["1", "\"a value that goes on for a while\"}"] {
                let json = format!("{{\"{name}\":{rest}");
                assert_eq!(key.match_at(json.as_bytes(), 1), Some(json.len() - rest.len()));
                let other = format!("{{\"{name}x\":{rest}");
                assert_eq!(key.match_at(other.as_bytes(), 1), None);
            }
            assert_eq!(key.match_at(b"{", 1), None);
            assert_eq!(key.match_at(b"{", 2), None);
        }
    }

    #[test]
    fn of_two_names_for_a_number_the_first_is_written() {
        let plans = plans(
            "syntax = \"proto3\"; enum E { option allow_alias = true; Z = 0; B = 5; A = 5; N = -1; } \
             message M { E e = 1; }",
        );
        let plan = plans.message(plans.by_name("M").unwrap());
        let Kind::Enum(index) = plan.fields[0].kind else { panic!("not an enum") };
        let r#enum = plans.enumeration(index);
        let quoted = |number| r#enum.quoted_name(number).map(|name| String::from_utf8_lossy(name));
        assert_eq!(quoted(5).unwrap(), "\"B\"");
        assert_eq!(quoted(0).unwrap(), "\"Z\"");
        assert_eq!(quoted(-1).unwrap(), "\"N\"");
        assert_eq!(quoted(1), None);
        assert_eq!(r#enum.names.get(b"A"), Some(5));
        assert_eq!(r#enum.names.get(b"N"), Some(-1_i32 as u32));
    }

    #[test]
    fn a_type_that_only_has_a_well_known_name_is_refused() {
        let compile = |source: &str| {
            let source = format!("syntax = \"proto2\"; package google.protobuf; {source}");
            let schema = compile_for_tests("t.proto", &source).unwrap();
            let empty = compile_for_tests("e.proto", "syntax = \"proto3\";").unwrap();
            Plans::compile(&schema, &empty).map(|_| ()).map_err(|problems| problems.to_string())
        };
        for source in [
            "message Timestamp { optional string seconds = 1; }",
            "message StringValue { optional StringValue value = 1; }",
            "message Any { optional string type_url = 1; }",
            "message Empty { optional int32 a = 1; }",
            "message Duration { optional int64 seconds = 1; optional int32 nanos = 2; \
               extensions 100; } extend Duration { optional int32 e = 100; }",
        ] {
            let error = compile(source).unwrap_err();
            assert!(error.contains("is not the type that everybody knows"), "{error}");
        }
        assert_eq!(compile("message Int32Value { optional int32 value = 1; }"), Ok(()));
    }
}
