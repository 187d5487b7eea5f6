//! JSON that may be a message or may not: values that nearly fit, and texts that were damaged.

use prost_reflect::{Kind, MessageDescriptor};

use super::{
    choices::Choices,
    json::Json,
    schema::{MESSAGES, WELL_KNOWN},
    slots::{Shape, Slot, slots, well_known_name},
    texts::{BASE64, DURATIONS, MASKS, NEARLY_NUMBERS, NUMBERS, TIMES},
    values::STRINGS,
};

/// A value that is nearly a `message`, or is one.
pub(crate) fn nearly(message: &MessageDescriptor, depth: usize, choices: &mut Choices) -> Json {
    let text =
        |texts: &[&str], choices: &mut Choices| Json::String((*choices.pick(texts)).to_owned());
    match well_known_name(message) {
        _ if choices.one_in(20) => anything(depth, choices),
        None => object(members(message, depth, choices), choices),
        Some("Any") => nearly_any(message, depth, choices),
        Some("Timestamp") => text(&TIMES, choices),
        Some("Duration") => text(&DURATIONS, choices),
        Some("FieldMask") => text(&MASKS, choices),
        Some("Struct" | "Value" | "ListValue") => anything(depth, choices),
        Some("Empty") => match choices.one_in(2) {
            true => anything(depth, choices),
            false => Json::Object(Vec::new()),
        },
        Some(_) => match message.get_field(1) {
            Some(value) => nearly_scalar(&value.kind(), depth, choices),
            None => Json::Null,
        },
    }
}

fn members(
    message: &MessageDescriptor,
    depth: usize,
    choices: &mut Choices,
) -> Vec<(String, Json)> {
    let slots = slots(message);
    let count = if slots.is_empty() { 0 } else { choices.below(6) };
    let mut members: Vec<_> = (0..count)
        .map(|_| {
            let slot = choices.pick(&slots);
            let name = if choices.one_in(4) { &slot.proto_name } else { &slot.json_name };
            (name.clone(), nearly_slot(slot, depth, choices))
        })
        .collect();
    if choices.one_in(12) {
        let key = *choices.pick(&["", "nope", "@type", "[beta.nope]", "value", "é"]);
        members.push((key.to_owned(), anything(1, choices)));
    }
    members
}

fn object(members: Vec<(String, Json)>, choices: &mut Choices) -> Json {
    let mut unique: Vec<(String, Json)> = Vec::new();
    for (key, value) in members {
        // One key twice is refused whatever else there is: rarely, or nothing else would be seen.
        if unique.iter().all(|(other, _)| *other != key) || choices.one_in(12) {
            unique.push((key, value));
        }
    }
    Json::Object(unique)
}

fn nearly_slot(slot: &Slot, depth: usize, choices: &mut Choices) -> Json {
    if choices.one_in(12) {
        return Json::Null;
    }
    if choices.one_in(15) || depth == 0 {
        return anything(depth, choices);
    }
    match slot.shape {
        Shape::Singular => nearly_element(&slot.kind, depth, choices),
        Shape::List => {
            let count = choices.below(4);
            Json::Array((0..count).map(|_| nearly_element(&slot.kind, depth, choices)).collect())
        }
        Shape::Map => {
            let Kind::Message(entry) = &slot.kind else { return Json::Null };
            let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field());
            let count = choices.below(3);
            let members = (0..count).map(|_| {
                let key = match key {
                    Kind::String => (*choices.pick(&STRINGS)).to_owned(),
                    Kind::Bool => (*choices.pick(&["true", "false", "0", "True"])).to_owned(),
                    _ => number(choices),
                };
                (key, nearly_element(&value.kind(), depth, choices))
            });
            let members = members.collect();
            object(members, choices)
        }
    }
}

fn nearly_element(kind: &Kind, depth: usize, choices: &mut Choices) -> Json {
    match kind {
        Kind::Message(message) => nearly(message, depth - 1, choices),
        kind => nearly_scalar(kind, depth, choices),
    }
}

fn nearly_scalar(kind: &Kind, depth: usize, choices: &mut Choices) -> Json {
    if choices.one_in(15) {
        return anything(depth, choices);
    }
    match kind {
        Kind::Bool => Json::Bool(choices.one_in(2)),
        Kind::String => Json::String((*choices.pick(&STRINGS)).to_owned()),
        Kind::Bytes => Json::String((*choices.pick(&BASE64)).to_owned()),
        Kind::Enum(r#enum) => {
            let names: Vec<_> = r#enum.values().map(|value| value.name().to_owned()).collect();
            match choices.below(6) {
                0 => Json::Number((*choices.pick(&NUMBERS)).to_owned()),
                1 => Json::String(choices.pick(&names).to_lowercase()),
                2 => Json::Null,
                _ => Json::String(choices.pick(&names).clone()),
            }
        }
        _ => match choices.below(3) {
            0 => Json::String(number(choices)),
            _ => Json::Number((*choices.pick(&NUMBERS)).to_owned()),
        },
    }
}

fn number(choices: &mut Choices) -> String {
    let texts = if choices.one_in(4) { &NEARLY_NUMBERS[..] } else { &NUMBERS };
    (*choices.pick(texts)).to_owned()
}

fn nearly_any(any: &MessageDescriptor, depth: usize, choices: &mut Choices) -> Json {
    if choices.one_in(20) {
        return Json::Object(Vec::new());
    }
    let name = match choices.below(3) {
        0 => format!("google.protobuf.{}", choices.pick(&WELL_KNOWN)),
        _ => (*choices.pick(&MESSAGES)).to_owned(),
    };
    let inner = any.parent_pool().get_message_by_name(&name).filter(|_| depth > 0);
    let mut all = match inner {
        Some(inner) if well_known_name(&inner).is_none() => members(&inner, depth - 1, choices),
        Some(_) if choices.one_in(4) => Vec::new(),
        Some(inner) => vec![("value".to_owned(), nearly(&inner, depth - 1, choices))],
        None => Vec::new(),
    };
    let url = match choices.below(20) {
        0 => name,
        1 => "type.googleapis.com/un.Known".to_owned(),
        2 => String::new(),
        _ => format!("type.googleapis.com/{name}"),
    };
    if !choices.one_in(20) {
        all.push(("@type".to_owned(), Json::String(url)));
    }
    if choices.one_in(20) {
        all.push(("value".to_owned(), anything(1, choices)));
    }
    choices.shuffle(&mut all);
    object(all, choices)
}

/// Any JSON value.
pub(crate) fn anything(depth: usize, choices: &mut Choices) -> Json {
    let kinds = if depth == 0 { 5 } else { 7 };
    match choices.below(kinds) {
        0 => Json::Null,
        1 => Json::Bool(choices.one_in(2)),
        2 => Json::Number((*choices.pick(&NUMBERS)).to_owned()),
        3 => Json::String((*choices.pick(&STRINGS)).to_owned()),
        4 => Json::String(number(choices)),
        5 => {
            let count = choices.below(3);
            Json::Array((0..count).map(|_| anything(depth - 1, choices)).collect())
        }
        _ => {
            let count = choices.below(3);
            let key = |choices: &mut Choices| (*choices.pick(&STRINGS)).to_owned();
            let members = (0..count).map(|_| (key(choices), anything(depth - 1, choices)));
            let members = members.collect();
            object(members, choices)
        }
    }
}

/// `bytes` with a few of them changed, left out, or there again.
pub(crate) fn damaged(bytes: &[u8], tokens: &[u8], choices: &mut Choices) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + choices.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = choices.below(bytes.len());
        match choices.below(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.remove(at)),
            2 => {
                let length = choices.below(12).min(bytes.len() - at);
                let again = bytes[at..at + length].to_vec();
                drop(bytes.splice(at..at, again));
            }
            3 => bytes[at] = choices.word() as u8,
            4 => bytes[at] ^= 1 << choices.below(8),
            _ => bytes[at] = *choices.pick(tokens),
        }
    }
    bytes
}
