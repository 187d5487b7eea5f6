//! A wire as the specification reads it: without the records that it calls unknown and prost does
//! not, so that prost-reflect can be asked what is left.

use std::collections::HashMap;

use prost::{
    Message as _,
    encoding::{WireType, decode_varint, encode_varint},
};
use prost_reflect::{EnumDescriptor, Kind, MessageDescriptor, Syntax, prost_types};

use super::{
    exceptions::{Exception, Notes},
    oracle::decode,
    records::{Malformed, Record, records},
    slots::{Shape, Slot, slots, well_known_name},
    values::delimited_record,
};

/// Levels of `Any` that are served.
const ANY_LIMIT: usize = 32;

/// What stands for the type of an `Any` that has none, as prost-reflect asks for one.
pub(crate) const EMPTY_ANY: &str = "none/google.protobuf.Empty";

/// `wire` without what the specification calls unknown; the exceptions that it gives reason for
/// go to `notes`.
pub(crate) fn as_specified(
    message: &MessageDescriptor,
    wire: &[u8],
    notes: &mut Notes,
) -> Result<Vec<u8>, Malformed> {
    clean(message, wire, 0, notes).inspect_err(|malformed| {
        if malformed.has_long_key {
            notes.add(Exception::LongVarint);
        }
    })
}

/// What is written of one record, or of several that are merged.
enum Part<'s> {
    Raw(Vec<u8>),
    Message(&'s Slot, &'s MessageDescriptor, Vec<u8>),
}

fn clean(
    message: &MessageDescriptor,
    wire: &[u8],
    any_depth: usize,
    notes: &mut Notes,
) -> Result<Vec<u8>, Malformed> {
    let slots = slots(message);
    let mut cleaned = Vec::new();
    let mut keys = Vec::new();
    for part in parts(message, &slots, wire, notes)? {
        let (slot, inner, content) = match part {
            Part::Raw(record) => {
                cleaned.extend(record);
                continue;
            }
            Part::Message(slot, inner, content) => (slot, inner, content),
        };
        let content = clean(inner, &content, any_depth, notes).inspect_err(|_| {
            // Another entry may have the same key.
            if slot.shape == Shape::Map {
                notes.add(Exception::Overwritten);
            }
        })?;
        if slot.shape == Shape::Map {
            let entry = decode(inner, &content).ok();
            let key = entry.and_then(|entry| Some(entry.get_field_by_number(1)?.into_owned()));
            if keys.contains(&(slot.number, key.clone())) {
                notes.add(Exception::Overwritten);
            }
            keys.push((slot.number, key));
        }
        cleaned.extend(message_record(slot, &content));
    }
    well_known(message, cleaned, any_depth, notes)
}

/// The known records of a message, messages merged, and the unknown ones that prost knows to be.
fn parts<'s>(
    message: &MessageDescriptor,
    slots: &'s [Slot],
    wire: &[u8],
    notes: &mut Notes,
) -> Result<Vec<Part<'s>>, Malformed> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    // Of each field or oneof that was set: the field, and the part that more of it is merged into.
    let mut last: HashMap<String, (u32, usize)> = HashMap::new();
    for record in records(wire)? {
        let Some(slot) = slots.iter().find(|slot| slot.number == record.number) else {
            parts.push(Part::Raw(record.whole.to_vec()));
            continue;
        };
        let is_packed = slot.is_packable() && record.wire_type == WireType::LengthDelimited;
        if record.wire_type != slot.wire_type() && !is_packed {
            notes.add(Exception::WrongWireType);
            continue;
        }
        let Some(part) = known(slot, &record, is_packed, notes) else { continue };
        if slot.shape == Shape::Singular {
            let name = slot.oneof.clone().unwrap_or_else(|| slot.number.to_string());
            let previous = last.insert(name.clone(), (slot.number, parts.len()));
            if let Some((number, before)) = previous {
                notes.add(Exception::Overwritten);
                if let (Part::Message(_, _, content), Part::Message(_, _, more), true) =
                    (&mut parts[before], &part, number == slot.number)
                {
                    // Each part is whole in itself: what one lacks, the next does not complete.
                    records(content)?;
                    records(more)?;
                    content.extend_from_slice(more);
                    last.insert(name, (number, before));
                    continue;
                }
            }
        }
        parts.push(part);
    }
    // An entry without a value has an empty one, and an empty Any is to be given a type.
    let value = slots.iter().find(|slot| slot.number == 2 && message.is_map_entry());
    let value = value.filter(|_| last.values().all(|(number, _)| *number != 2));
    if let Some((slot, inner)) = value.and_then(|slot| Some((slot, slot.message()?)))
        && well_known_name(inner) == Some("Any")
    {
        parts.push(Part::Message(slot, inner, Vec::new()));
    }
    Ok(parts)
}

/// What a record of the right wire type is to the specification; none where it is unknown.
fn known<'s>(
    slot: &'s Slot,
    record: &Record<'_>,
    is_packed: bool,
    notes: &mut Notes,
) -> Option<Part<'s>> {
    match &slot.kind {
        Kind::Enum(r#enum) => {
            let mut rest = record.content;
            let mut left = Vec::new();
            while !rest.is_empty() {
                // Malformed: prost-reflect's to refuse.
                let Ok(value) = decode_varint(&mut rest) else {
                    return Some(Part::Raw(record.whole.to_vec()));
                };
                if r#enum.full_name() == "google.protobuf.NullValue" && value as i32 != 0 {
                    notes.add(Exception::NullNumber);
                }
                if is_known(r#enum, value as i32) {
                    encode_varint(value, &mut left);
                } else {
                    notes.add(Exception::ClosedEnum);
                }
            }
            match is_packed {
                true => Some(Part::Raw(delimited_record(slot.number, &left))),
                false => (!left.is_empty()).then(|| Part::Raw(record.whole.to_vec())),
            }
        }
        Kind::Message(inner) => {
            let value = slot.map_value();
            if let Some(Slot { kind: Kind::Enum(r#enum), .. }) = value {
                let values: Vec<_> = records(record.content).unwrap_or_default();
                let values = values.into_iter().filter(|value| value.number == 2);
                let values = values.filter_map(|mut value| decode_varint(&mut value.content).ok());
                let known: Vec<_> = values.map(|value| is_known(&r#enum, value as i32)).collect();
                if known.contains(&false) {
                    notes.add(Exception::ClosedEnum);
                    if known.len() > 1 {
                        notes.add(Exception::ClosedEnumEntry);
                    }
                    return None;
                }
            }
            Some(Part::Message(slot, inner, record.content.to_vec()))
        }
        _ => Some(Part::Raw(record.whole.to_vec())),
    }
}

fn is_known(r#enum: &EnumDescriptor, number: i32) -> bool {
    r#enum.parent_file().syntax() != Syntax::Proto2 || r#enum.get_value(number).is_some()
}

fn message_record(slot: &Slot, content: &[u8]) -> Vec<u8> {
    if !slot.is_group {
        return delimited_record(slot.number, content);
    }
    let mut record = Vec::new();
    prost::encoding::encode_key(slot.number, WireType::StartGroup, &mut record);
    record.extend_from_slice(content);
    prost::encoding::encode_key(slot.number, WireType::EndGroup, &mut record);
    record
}

/// The message in an `Any` is cleaned too; of others what is wrong with them is noted.
fn well_known(
    message: &MessageDescriptor,
    wire: Vec<u8>,
    any_depth: usize,
    notes: &mut Notes,
) -> Result<Vec<u8>, Malformed> {
    let bytes = wire.as_slice();
    match well_known_name(message) {
        Some("Any") => {
            let Ok(any) = prost_types::Any::decode(bytes) else { return Ok(wire) };
            if any.type_url.is_empty() && any.value.is_empty() {
                notes.add(Exception::EmptyAny);
                let type_url = EMPTY_ANY.to_owned();
                return Ok(prost_types::Any { type_url, ..any }.encode_to_vec());
            }
            if any_depth == ANY_LIMIT {
                notes.add(Exception::AnyDepth);
            }
            let name = any.type_url.rsplit_once('/').map(|(_, name)| name);
            let inner = name.and_then(|name| message.parent_pool().get_message_by_name(name));
            let Some(inner) = inner else { return Ok(wire) };
            let value = clean(&inner, &any.value, any_depth + 1, notes)?;
            return Ok(prost_types::Any { value, ..any }.encode_to_vec());
        }
        Some("Timestamp") => {
            let nanos = prost_types::Timestamp::decode(bytes).map(|timestamp| timestamp.nanos);
            if nanos.is_ok_and(|nanos| !(0..1_000_000_000).contains(&nanos)) {
                notes.add(Exception::TimestampNanos);
            }
        }
        Some("Duration") => {
            let duration = prost_types::Duration::decode(bytes).unwrap_or_default();
            if duration.seconds.signum() * i64::from(duration.nanos.signum()) < 0 {
                notes.add(Exception::DurationSign);
            }
        }
        Some("FieldMask") => {
            let mask = prost_types::FieldMask::decode(bytes).unwrap_or_default();
            if !mask.paths.iter().all(|path| is_plain_path(path)) {
                notes.add(Exception::MaskPath);
            }
        }
        _ => {}
    }
    Ok(wire)
}

/// Whether both readers say the same of a path: it is snake case, or visibly is not.
fn is_plain_path(path: &str) -> bool {
    let word = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric()) && !word.is_empty();
    path.split('.').all(|part| part.split('_').all(word)) || path == "a__b"
}
