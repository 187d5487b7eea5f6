//! The JSON of a message, spelled otherwise: every spelling that ProtoJSON lets a writer choose.

use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use prost_reflect::{EnumDescriptor, Kind, MessageDescriptor, prost_types::Timestamp};

use super::{
    choices::Choices,
    json::Json,
    slots::{Shape, Slot, slot_named, slots, well_known_name},
};

/// `json`, which is a `message`, in another spelling.
pub(crate) fn respelled(message: &MessageDescriptor, json: &Json, choices: &mut Choices) -> String {
    let text = of_message(message, json, choices);
    format!("{}{text}{}", space(choices), space(choices))
}

fn of_message(message: &MessageDescriptor, json: &Json, choices: &mut Choices) -> String {
    match (well_known_name(message), json) {
        (None, Json::Object(members)) => {
            let members = fields(message, members, choices);
            object(members, choices)
        }
        (Some("Any"), Json::Object(members)) => any(message, members, choices),
        (Some("Struct" | "Value" | "ListValue"), json) => free(json, choices),
        (Some("Timestamp"), Json::String(text)) => string(&timestamp(text, choices), choices),
        (Some("Duration"), Json::String(text)) => string(&duration(text, choices), choices),
        (Some(name), json) if name.ends_with("Value") => {
            let value = message.get_field(1).map(|field| field.kind());
            value.map(|kind| scalar(&kind, json, choices)).unwrap_or_default()
        }
        (_, json) => free(json, choices),
    }
}

/// The members of a message's object, under either name, and null for some that are not there.
fn fields(
    message: &MessageDescriptor,
    members: &[(String, Json)],
    choices: &mut Choices,
) -> Vec<(String, String)> {
    let slots = slots(message);
    let mut spelled = Vec::new();
    for (key, value) in members {
        let Some(slot) = slot_named(&slots, key) else { continue };
        let by_proto_name = slot_named(&slots, &slot.proto_name);
        // Where another field has this as its JSON name, that field is meant.
        let is_own = by_proto_name.is_some_and(|other| other.number == slot.number);
        let name = if is_own && choices.one_in(3) { &slot.proto_name } else { &slot.json_name };
        spelled.push((name.clone(), of_slot(slot, value, choices)));
    }
    for slot in &slots {
        let is_set = members.iter().any(|(key, _)| *key == slot.json_name);
        if !is_set && !null_is_a_value(slot) && choices.one_in(8) {
            spelled.push((slot.json_name.clone(), "null".to_owned()));
        }
    }
    spelled
}

/// Whether null would set the slot.
fn null_is_a_value(slot: &Slot) -> bool {
    let is_null = match &slot.kind {
        Kind::Message(message) => message.full_name() == "google.protobuf.Value",
        Kind::Enum(r#enum) => r#enum.full_name() == "google.protobuf.NullValue",
        _ => false,
    };
    is_null && slot.shape == Shape::Singular
}

fn of_slot(slot: &Slot, json: &Json, choices: &mut Choices) -> String {
    match (slot.map_value(), json) {
        (Some(value), Json::Object(members)) => {
            let members = members.iter();
            let members = members.map(|(key, json)| (key.clone(), of_slot(&value, json, choices)));
            let members = members.collect();
            object(members, choices)
        }
        (None, Json::Array(values)) if slot.shape == Shape::List => {
            let values = values.iter().map(|json| of_kind(&slot.kind, json, choices)).collect();
            array(values, choices)
        }
        _ => of_kind(&slot.kind, json, choices),
    }
}

fn of_kind(kind: &Kind, json: &Json, choices: &mut Choices) -> String {
    match kind {
        Kind::Message(message) => of_message(message, json, choices),
        kind => scalar(kind, json, choices),
    }
}

fn scalar(kind: &Kind, json: &Json, choices: &mut Choices) -> String {
    match (kind, json) {
        (Kind::Float | Kind::Double, Json::Number(text)) => {
            let text = float(text, choices);
            if choices.one_in(3) { string(&text, choices) } else { text }
        }
        (Kind::Bytes, Json::String(text)) => string(&base64(text, choices), choices),
        (Kind::Enum(r#enum), json) => enumeration(r#enum, json, choices),
        (Kind::Float | Kind::Double | Kind::String | Kind::Bool, json) => free(json, choices),
        (_, Json::Number(text) | Json::String(text)) => integer(text, choices),
        (_, json) => free(json, choices),
    }
}

fn integer(digits: &str, choices: &mut Choices) -> String {
    let Ok(value) = digits.parse::<i128>() else { return digits.to_owned() };
    // Beyond, a reader may take the number for a double that is near.
    let is_exact = value.unsigned_abs() < 1 << 53;
    let text = match choices.below(8) {
        0 if is_exact => format!("{value}.0"),
        1 if is_exact => format!("{value}.000e0"),
        2 if is_exact && value != 0 => format!("{value}0e-1"),
        3 if is_exact && value % 100 == 0 => format!("{}E+2", value / 100),
        4 if is_exact => format!("{:e}", value),
        _ if choices.one_in(2) => return value.to_string(),
        _ => return string(&value.to_string(), choices),
    };
    if choices.one_in(2) { string(&text, choices) } else { text }
}

fn float(text: &str, choices: &mut Choices) -> String {
    let Ok(value) = text.parse::<f64>() else { return text.to_owned() };
    match choices.below(5) {
        0 => format!("{value:e}"),
        1 => format!("{value:e}").replace("e-", "E-0"),
        2 if !text.contains(['e', 'E']) && text.contains('.') => format!("{text}00"),
        3 if !text.contains(['e', 'E']) => format!("{text}e+0"),
        _ => text.to_owned(),
    }
}

/// Both alphabets, with padding or without.
fn base64(text: &str, choices: &mut Choices) -> String {
    let bytes = base64::prelude::BASE64_STANDARD.decode(text).unwrap_or_default();
    let text = match choices.one_in(2) {
        true => BASE64_URL_SAFE.encode(bytes),
        false => text.to_owned(),
    };
    if choices.one_in(2) { text.trim_end_matches('=').to_owned() } else { text }
}

/// Any name of the number, or the number.
fn enumeration(r#enum: &EnumDescriptor, json: &Json, choices: &mut Choices) -> String {
    let Json::String(name) = json else {
        let is_null = *json == Json::Null && choices.one_in(2);
        return if is_null { "\"NULL_VALUE\"".to_owned() } else { json.to_string() };
    };
    let Some(number) = r#enum.get_value_by_name(name).map(|value| value.number()) else {
        return json.to_string();
    };
    if choices.one_in(3) {
        return number.to_string();
    }
    let aliases: Vec<_> = r#enum.values().filter(|value| value.number() == number).collect();
    string(choices.pick(&aliases).name(), choices)
}

/// The same time by another clock, or with more digits.
fn timestamp(text: &str, choices: &mut Choices) -> String {
    let Ok(utc) = text.parse::<Timestamp>() else { return text.to_owned() };
    let (spelled, minutes) = *choices.pick(&[
        ("Z", 0),
        ("Z", 0),
        ("+00:00", 0),
        ("-00:00", 0),
        ("+02:00", 120),
        ("-05:30", -330),
        ("+23:59", 1439),
    ]);
    let local = Timestamp { seconds: utc.seconds + minutes * 60, nanos: utc.nanos };
    // Years 2 to 9998, so that no clock leaves the years there are.
    let is_inside = (-62_104_060_800..253_370_764_800).contains(&utc.seconds);
    let (local, spelled) = if is_inside { (local, spelled) } else { (utc, "Z") };
    let local = local.to_string();
    format!("{}{spelled}", more_digits(local.trim_end_matches('Z'), choices))
}

fn duration(text: &str, choices: &mut Choices) -> String {
    format!("{}s", more_digits(text.trim_end_matches('s'), choices))
}

/// A number of seconds with zeros behind it, or with as few as can be.
fn more_digits(text: &str, choices: &mut Choices) -> String {
    let fraction = text.rsplit_once('.').map(|(_, fraction)| fraction.len());
    match (choices.below(3), fraction) {
        (0, None) => format!("{text}.0"),
        (0, Some(3)) => format!("{text}00"),
        (0, Some(6)) => format!("{text}000"),
        (1, Some(_)) => text.trim_end_matches('0').to_owned(),
        _ => text.to_owned(),
    }
}

fn any(message: &MessageDescriptor, members: &[(String, Json)], choices: &mut Choices) -> String {
    let url = members.iter().find(|(key, _)| key == "@type").and_then(|(_, url)| url.as_str());
    // Without a type it is empty.
    let Some(url) = url else { return object(Vec::new(), choices) };
    let name = url.rsplit('/').next().unwrap_or_default();
    let Some(inner) = message.parent_pool().get_message_by_name(name) else {
        return String::new();
    };
    let mut spelled = match well_known_name(&inner) {
        None => fields(&inner, members, choices),
        Some("Empty") => Vec::new(),
        Some(_) => {
            let values = members.iter().filter(|(key, _)| key == "value");
            let values = values.map(|(key, json)| (key.clone(), of_message(&inner, json, choices)));
            values.collect()
        }
    };
    spelled.push(("@type".to_owned(), string(url, choices)));
    object(spelled, choices)
}

/// JSON as it is, but for space, escapes and the order of keys.
fn free(json: &Json, choices: &mut Choices) -> String {
    match json {
        Json::String(text) => string(text, choices),
        Json::Number(text) => float(text, choices),
        Json::Array(values) => {
            let values = values.iter().map(|value| free(value, choices)).collect();
            array(values, choices)
        }
        Json::Object(members) => {
            let members = members.iter().map(|(key, value)| (key.clone(), free(value, choices)));
            let members = members.collect();
            object(members, choices)
        }
        json => json.to_string(),
    }
}

fn object(mut members: Vec<(String, String)>, choices: &mut Choices) -> String {
    choices.shuffle(&mut members);
    let members = members.into_iter().map(|(key, value)| {
        let key = string(&key, choices);
        format!(
            "{}{key}{}:{}{value}{}",
            space(choices),
            space(choices),
            space(choices),
            space(choices)
        )
    });
    let members: Vec<_> = members.collect();
    format!("{{{}{}}}", space(choices), members.join(","))
}

fn array(values: Vec<String>, choices: &mut Choices) -> String {
    let values = values.into_iter();
    let values = values.map(|value| format!("{}{value}{}", space(choices), space(choices)));
    let values: Vec<_> = values.collect();
    format!("[{}{}]", space(choices), values.join(","))
}

/// A string, some of its characters escaped that need not be.
fn string(text: &str, choices: &mut Choices) -> String {
    let mut spelled = String::from("\"");
    let rate = *choices.pick(&[2, 8, 1_000]);
    for c in text.chars() {
        match c {
            '/' if choices.one_in(3) => spelled.push_str("\\/"),
            '"' | '\\' | '\0'..='\u{1f}' => spelled.push_str(&escaped(c, choices)),
            _ if choices.one_in(rate) => spelled.push_str(&escaped(c, choices)),
            _ => spelled.push(c),
        }
    }
    spelled + "\""
}

fn escaped(c: char, choices: &mut Choices) -> String {
    let short = match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        _ => "",
    };
    if !short.is_empty() && choices.one_in(2) {
        return short.to_owned();
    }
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units).iter();
    let is_upper = choices.one_in(2);
    let unit =
        |unit: &u16| if is_upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
    units.map(unit).collect()
}

fn space(choices: &mut Choices) -> &'static str {
    const SPACES: [&str; 5] = [" ", "\n", "\t", "\r\n", "  "];
    if choices.one_in(4) { SPACES[choices.below(5)] } else { "" }
}
