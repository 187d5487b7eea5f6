//! What prost-reflect writes otherwise than the specification says, corrected in its JSON.

use prost_reflect::{DynamicMessage, MapKey, ReflectMessage as _, Value, prost_types};
use transom::transcoding::WriteOptions;

use super::{
    exceptions::{Exception, Notes},
    json::Json,
    oracle::decode,
    slots::{Shape, Slot, slots, well_known_name},
    specified::EMPTY_ANY,
};

/// Corrects what prost-reflect has written of `message`.
pub(crate) fn correct(
    json: &mut Json,
    message: &DynamicMessage,
    options: &WriteOptions,
    notes: &mut Notes,
) {
    let descriptor = message.descriptor();
    match well_known_name(&descriptor) {
        Some("FloatValue" | "DoubleValue") => correct_wrapper(json, message, notes),
        Some("Any") => correct_any(json, message, options, notes),
        Some(_) => {}
        None => correct_fields(json, message, options, notes),
    }
}

fn correct_fields(
    json: &mut Json,
    message: &DynamicMessage,
    options: &WriteOptions,
    notes: &mut Notes,
) {
    for slot in slots(&message.descriptor()) {
        let name = if options.proto_names { &slot.proto_name } else { &slot.json_name };
        let Some((value, is_set)) = slot.value(message) else { continue };
        if !is_set && !slot.has_presence && !options.emit_defaults && is_negative_zero(&value) {
            notes.add(Exception::NegativeZero);
            if let Json::Object(members) = json {
                members.push((name.clone(), Json::Number("-0.0".to_owned())));
            }
        }
        if let Some(json) = json.get_mut(name) {
            correct_value(json, &value, &slot, options, notes);
        }
    }
}

fn correct_value(
    json: &mut Json,
    value: &Value,
    slot: &Slot,
    options: &WriteOptions,
    notes: &mut Notes,
) {
    match (value, json) {
        (Value::Message(message), json) => correct(json, message, options, notes),
        (Value::List(values), Json::Array(array)) => {
            for (json, value) in array.iter_mut().zip(values) {
                correct_value(json, value, slot, options, notes);
            }
        }
        (Value::Map(values), json) => {
            let Some(inner) = slot.map_value().filter(|_| slot.shape == Shape::Map) else { return };
            for (key, value) in values {
                if let Some(json) = json.get_mut(&key_text(key)) {
                    correct_value(json, value, &inner, options, notes);
                }
            }
        }
        _ => {}
    }
}

fn correct_wrapper(json: &mut Json, message: &DynamicMessage, notes: &mut Notes) {
    let value = message.get_field_by_number(1).map(|value| value.into_owned());
    let number = match &value {
        Some(Value::F64(value)) => *value,
        Some(Value::F32(value)) => f64::from(*value),
        _ => return,
    };
    let spelled = match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ if number.is_nan() => "NaN",
        _ if value.as_ref().is_some_and(is_negative_zero) => {
            notes.add(Exception::NegativeZero);
            *json = Json::Number("-0.0".to_owned());
            return;
        }
        _ => return,
    };
    notes.add(Exception::NonFiniteWrapper);
    *json = Json::String(spelled.to_owned());
}

fn correct_any(
    json: &mut Json,
    message: &DynamicMessage,
    options: &WriteOptions,
    notes: &mut Notes,
) {
    let Ok(any) = message.transcode_to::<prost_types::Any>() else { return };
    if any.type_url == EMPTY_ANY {
        *json = Json::Object(Vec::new());
        return;
    }
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    let pool = message.descriptor().parent_pool().clone();
    let Some(descriptor) = pool.get_message_by_name(name) else { return };
    let Ok(inner) = decode(&descriptor, &any.value) else { return };
    match well_known_name(&descriptor) {
        Some(name) => {
            if name == "Empty" {
                notes.add(Exception::AnyOfEmpty);
            }
            if let Some(json) = json.get_mut("value") {
                correct(json, &inner, options, notes);
            }
        }
        None => correct(json, &inner, options, notes),
    }
}

fn is_negative_zero(value: &Value) -> bool {
    match value {
        Value::F64(value) => *value == 0.0 && value.is_sign_negative(),
        Value::F32(value) => *value == 0.0 && value.is_sign_negative(),
        _ => false,
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
