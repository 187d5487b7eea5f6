//! What in a JSON text gives reason for an exception: a walk along the schema.

use prost_reflect::{EnumDescriptor, Kind, MessageDescriptor, Syntax};

use super::{
    exceptions::{Exception, Notes},
    json::{Json, is_number},
    slots::{Shape, Slot, slot_named, slots, well_known_name},
};

/// The exceptions that `json`, read as a `message`, gives reason for.
pub(crate) fn notes_of(message: &MessageDescriptor, json: &Json) -> Notes {
    let mut notes = Notes::default();
    read_message(message, json, &mut notes);
    notes
}

fn note_twice<T: Ord>(mut items: Vec<T>, notes: &mut Notes) {
    items.sort_unstable();
    if items.windows(2).any(|pair| pair[0] == pair[1]) {
        notes.add(Exception::Duplicate);
    }
}

fn read_message(message: &MessageDescriptor, json: &Json, notes: &mut Notes) {
    match (well_known_name(message), json) {
        (None, Json::Object(members)) => read_fields(message, members, notes),
        (Some("Any"), Json::Object(members)) => read_any(message, members, notes),
        (Some("Struct" | "ListValue" | "Value"), json) => read_free(json, notes),
        (Some("Empty"), Json::Object(members)) if !members.is_empty() => {
            notes.add(Exception::EmptyWithKeys);
        }
        (Some("Timestamp"), Json::String(text)) => read_timestamp(text, notes),
        (Some("Duration"), Json::String(text)) => read_duration(text, notes),
        (Some("FieldMask"), Json::String(text)) => read_mask(text, notes),
        (Some(name), json) if name.ends_with("Value") => {
            if let Some(value) = message.get_field(1) {
                read_scalar(&value.kind(), json, notes);
            }
        }
        _ => {}
    }
}

fn read_fields(message: &MessageDescriptor, members: &[(String, Json)], notes: &mut Notes) {
    let slots = slots(message);
    let found: Vec<_> = members
        .iter()
        .filter_map(|(key, json)| slot_named(&slots, key).map(|slot| (slot, json)))
        .collect();
    note_twice(found.iter().map(|(slot, _)| slot.number).collect(), notes);
    for (slot, json) in found {
        read_slot(slot, json, notes);
    }
}

fn read_slot(slot: &Slot, json: &Json, notes: &mut Notes) {
    let full_name = match &slot.kind {
        Kind::Message(message) => message.full_name(),
        Kind::Enum(r#enum) => r#enum.full_name(),
        _ => "",
    };
    let is_null = matches!(full_name, "google.protobuf.Value" | "google.protobuf.NullValue");
    match (slot.shape, json) {
        (Shape::List, Json::Null) if is_null => notes.add(Exception::NullList),
        (_, Json::Null) => {}
        (Shape::List, Json::Array(values)) => {
            values.iter().for_each(|value| read_element(&slot.kind, value, notes));
        }
        (Shape::Map, Json::Object(members)) => {
            let Kind::Message(entry) = &slot.kind else { return };
            let key = entry.map_entry_key_field().kind();
            let Some(value) = slot.map_value() else { return };
            note_twice(members.iter().map(|(key, _)| key).collect(), notes);
            if !matches!(key, Kind::String | Kind::Bool) {
                // `0` and `-0` are one key, and so are `1` and `1e0`.
                let float = |key: &str| key.parse::<f64>().ok().map(|key| key as i128);
                let number = |key: &str| key.parse::<i128>().ok().or_else(|| float(key));
                note_twice(members.iter().filter_map(|(key, _)| number(key)).collect(), notes);
            }
            if let (true, Kind::Enum(r#enum)) = (notes.has(Exception::Duplicate), &value.kind) {
                // An entry whose value is ignored may leave its key to another.
                let is_name = |name: &str| r#enum.get_value_by_name(name).is_some();
                let mut names = members.iter().filter_map(|(_, json)| json.as_str());
                if names.any(|name| !is_name(name)) {
                    notes.add(Exception::EnumValue);
                }
            }
            for (name, json) in members {
                if !matches!(key, Kind::String | Kind::Bool) {
                    read_quoted_integer(name, notes);
                }
                read_element(&value.kind, json, notes);
            }
        }
        (Shape::Singular, json) => read_element(&slot.kind, json, notes),
        _ => {}
    }
}

fn read_element(kind: &Kind, json: &Json, notes: &mut Notes) {
    match kind {
        Kind::Message(message) => read_message(message, json, notes),
        kind => read_scalar(kind, json, notes),
    }
}

fn read_scalar(kind: &Kind, json: &Json, notes: &mut Notes) {
    match (kind, json) {
        (Kind::Enum(r#enum), json) => read_enum(r#enum, json, notes),
        (Kind::String | Kind::Bool | Kind::Bytes, _) => {}
        (Kind::Float | Kind::Double, Json::Number(text)) => read_float(kind, text, notes),
        (Kind::Float | Kind::Double, Json::String(text)) => read_quoted_float(kind, text, notes),
        (_, Json::Number(text)) => read_integer(text, notes),
        (_, Json::String(text)) => read_quoted_integer(text, notes),
        _ => {}
    }
}

fn read_integer(text: &str, notes: &mut Notes) {
    let value: f64 = text.parse().unwrap_or_default();
    let is_plain =
        is_plain_integer(text) && text.parse::<u64>().is_ok() | text.parse::<i64>().is_ok();
    if is_plain || !value.is_finite() {
        return;
    }
    if value.abs() >= (1_u64 << 53) as f64 {
        notes.add(Exception::Saturated);
    } else if value.fract() == 0.0 && !is_integral(text) {
        notes.add(Exception::RoundedInteger);
    }
}

fn read_quoted_integer(text: &str, notes: &mut Notes) {
    if is_plain_integer(text) && text != "-0" {
        return;
    }
    if !is_number(text) && text.parse::<i128>().is_ok() {
        notes.add(Exception::LooseNumber);
    } else if is_number(text) {
        notes.add(Exception::QuotedNumber);
    }
}

fn read_float(kind: &Kind, text: &str, notes: &mut Notes) {
    let value = text.parse::<f64>().unwrap_or_default().abs();
    let is_edge = match kind {
        Kind::Float => (3.402_823_4e38..3.402_823_7e38).contains(&value),
        _ => value >= 1.797_693_134_862_315_7e308,
    };
    if is_edge {
        notes.add(Exception::FloatEdge);
    }
}

fn read_quoted_float(kind: &Kind, text: &str, notes: &mut Notes) {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return;
    }
    let is_infinite = match kind {
        Kind::Float => text.parse::<f32>().is_ok_and(f32::is_infinite),
        _ => text.parse::<f64>().is_ok_and(f64::is_infinite),
    };
    if is_infinite || (!is_number(text) && text.parse::<f64>().is_ok()) {
        notes.add(Exception::LooseNumber);
    }
    read_float(kind, text, notes);
}

fn read_free(json: &Json, notes: &mut Notes) {
    match json {
        Json::Number(text) => read_float(&Kind::Double, text, notes),
        Json::Array(values) => values.iter().for_each(|value| read_free(value, notes)),
        Json::Object(members) => {
            note_twice(members.iter().map(|(key, _)| key).collect(), notes);
            members.iter().for_each(|(_, value)| read_free(value, notes));
        }
        _ => {}
    }
}

fn read_enum(r#enum: &EnumDescriptor, json: &Json, notes: &mut Notes) {
    let is_null = r#enum.full_name() == "google.protobuf.NullValue";
    let is_closed = r#enum.parent_file().syntax() == Syntax::Proto2;
    let is_odd = match json {
        Json::Number(_) if is_null => true,
        Json::Number(text) => {
            // Beyond 32 bits it is unknown too, which may be ignored.
            let number = text.parse::<i32>();
            let known = number.as_ref().is_ok_and(|number| r#enum.get_value(*number).is_some());
            !is_plain_integer(text) || text == "-0" || number.is_err() || (is_closed && !known)
        }
        Json::String(text) => is_number(text),
        _ => false,
    };
    if is_odd {
        notes.add(Exception::EnumValue);
    }
}

fn read_timestamp(text: &str, notes: &mut Notes) {
    let second = text.get(17..19).unwrap_or_default();
    let digits = text.get(20..).map(|rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let has_fraction = text.get(19..20) == Some(".");
    let is_odd = second == "60" || (has_fraction && digits.is_some_and(|digits| digits > 9));
    if is_odd {
        notes.add(Exception::TimestampText);
    }
}

fn read_duration(text: &str, notes: &mut Notes) {
    let fraction = text.split_once('.').map(|(_, fraction)| fraction.len().saturating_sub(1));
    if fraction.is_some_and(|digits| digits > 9) {
        notes.add(Exception::DurationText);
    }
}

fn read_mask(text: &str, notes: &mut Notes) {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let is_plain = text.split(',').all(|path| path.split('.').all(word));
    if !is_plain && !text.is_empty() && !text.contains('_') {
        notes.add(Exception::MaskText);
    }
}

fn read_any(message: &MessageDescriptor, members: &[(String, Json)], notes: &mut Notes) {
    let find = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, json)| json);
    let Some(Json::String(url)) = find("@type") else {
        if members.is_empty() {
            notes.add(Exception::AnyWithoutType);
        }
        return;
    };
    let of_any =
        members.iter().map(|(key, _)| key).filter(|key| ["@type", "value"].contains(&key.as_str()));
    note_twice(of_any.collect(), notes);
    let name = url.rsplit('/').next().unwrap_or_default();
    let Some(inner) = message.parent_pool().get_message_by_name(name) else { return };
    match (well_known_name(&inner), find("value")) {
        (None, _) => read_fields(&inner, members, notes),
        (Some("Empty"), _) => notes.add(Exception::AnyWithoutValue),
        (Some(_), Some(value)) => read_message(&inner, value, notes),
        (Some(_), None) => notes.add(Exception::AnyWithoutValue),
    }
}

/// Digits alone, as an integer is mostly spelled.
fn is_plain_integer(text: &str) -> bool {
    is_number(text) && !text.contains(['.', 'e', 'E'])
}

/// Whether a JSON number is an integer, to its last digit.
fn is_integral(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let exponent = exponent.parse::<i64>().unwrap_or(i64::MIN / 2);
    zeros == digits.len() || exponent - fraction.len() as i64 + zeros as i64 >= 0
}
