//! What prost-reflect makes of a message or of JSON, corrected where the table of exceptions says
//! that the specification has it otherwise.

use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions, Value,
};
use transom::transcoding::WriteOptions;

use super::{
    corrections::correct,
    exceptions::{Notes, Ours},
    json::{Json, difference},
    specified::as_specified,
};

/// What the JSON of a message must be.
pub(crate) struct Expected {
    /// By the specification.
    specified: Result<Json, String>,
    /// By prost-reflect.
    as_is: Result<Json, String>,
    pub(crate) notes: Notes,
}

/// The JSON that `wire` must be written as.
pub(crate) fn expected_json(
    message: &MessageDescriptor,
    wire: &[u8],
    options: &WriteOptions,
) -> Expected {
    let mut notes = Notes::default();
    let specified = as_specified(message, wire, &mut notes)
        .map_err(|_| "malformed".to_owned())
        .and_then(|wire| decode(message, &wire))
        .and_then(|message| {
            let mut json = to_json(&message, options)?;
            correct(&mut json, &message, options, &mut notes);
            Ok(json)
        });
    let as_is = decode(message, wire).and_then(|message| to_json(&message, options));
    Expected { specified, as_is, notes }
}

impl Expected {
    /// The JSON, where there is no doubt of it, and it says all that there is to say.
    pub(crate) fn certain(&self) -> Option<&Json> {
        let doubts = [Ours::Open, Ours::Refuses, Ours::Lossy];
        let is_certain = !doubts.into_iter().any(|ours| self.notes.any(ours));
        self.specified.as_ref().ok().filter(|_| is_certain)
    }

    /// Whether `ours` is what must be; what is wrong with it where not.
    pub(crate) fn check(&self, ours: &Result<Json, String>) -> Result<(), String> {
        if self.notes.any(Ours::Open) {
            return Ok(());
        }
        let refused = Err("as an exception".to_owned());
        let must_refuse = self.notes.any(Ours::Refuses);
        let specified = if must_refuse { &refused } else { &self.specified };
        let Err(problem) = same(ours, specified) else { return Ok(()) };
        if specified.is_err() && self.notes.any(Ours::MayAccept) {
            return Ok(());
        }
        let show = |json: &Result<Json, String>| match json {
            Ok(json) => json.to_string(),
            Err(error) => format!("refused: {error}"),
        };
        let (ours, specified, as_is) = (show(ours), show(specified), show(&self.as_is));
        Err(format!(
            "{problem}\n  ours          {ours}\n  specified     {specified}\n  prost-reflect {as_is}\n  \
             exceptions    {:?}",
            self.notes
        ))
    }
}

fn same(ours: &Result<Json, String>, theirs: &Result<Json, String>) -> Result<(), String> {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => match difference(&without_empty(ours), &without_empty(theirs), 0)
        {
            Some(difference) => Err(format!("JSON differs at {difference}")),
            None => Ok(()),
        },
        (Err(_), Err(_)) => Ok(()),
        (Err(error), Ok(_)) => Err(format!("ours refuses what is a message: {error}")),
        (Ok(_), Err(_)) => Err("ours accepts what is no message".to_owned()),
    }
}

/// Without the `value` of an `Any` of `Empty`, which may be there or not.
pub(crate) fn without_empty(json: &Json) -> Json {
    match json {
        Json::Array(values) => Json::Array(values.iter().map(without_empty).collect()),
        Json::Object(members) => {
            let url = json.get("@type").and_then(Json::as_str).unwrap_or_default();
            let is_empty = |(key, value): &(String, Json)| {
                let value_is_empty = key == "value" && *value == Json::Object(Vec::new());
                value_is_empty && url.ends_with("/google.protobuf.Empty")
            };
            let members = members.iter().filter(|member| !is_empty(member));
            Json::Object(members.map(|(key, value)| (key.clone(), without_empty(value))).collect())
        }
        json => json.clone(),
    }
}

/// `wire` as prost-reflect reads it.
pub(crate) fn decode(message: &MessageDescriptor, wire: &[u8]) -> Result<DynamicMessage, String> {
    DynamicMessage::decode(message.clone(), wire).map_err(|error| error.to_string())
}

/// `json` as prost-reflect reads it.
pub(crate) fn from_json(
    message: &MessageDescriptor,
    json: &[u8],
    ignore_unknown_fields: bool,
) -> Result<DynamicMessage, String> {
    let options = DeserializeOptions::new().deny_unknown_fields(!ignore_unknown_fields);
    let mut reader = serde_json::Deserializer::from_slice(json);
    DynamicMessage::deserialize_with_options(message.clone(), &mut reader, &options)
        .and_then(|message| reader.end().map(|()| message))
        .map_err(|error| error.to_string())
}

/// Whether anything in `message` was unknown to prost-reflect.
pub(crate) fn has_unknown_fields(message: &DynamicMessage) -> bool {
    fn inner(value: &Value) -> bool {
        match value {
            Value::Message(message) => has_unknown_fields(message),
            Value::List(values) => values.iter().any(inner),
            Value::Map(values) => values.values().any(inner),
            _ => false,
        }
    }
    message.unknown_fields().next().is_some()
        || message.fields().any(|(_, value)| inner(value))
        || message.extensions().any(|(_, value)| inner(value))
}

/// Whether a field somewhere has another field's proto name as its JSON name.
pub(crate) fn has_crossed_names(pool: &DescriptorPool) -> bool {
    pool.all_messages().any(|message| {
        let mut fields = message.fields();
        fields.any(|field| {
            let other = message.get_field_by_json_name(field.name());
            other.is_some_and(|other| other.number() != field.number())
        })
    })
}

/// Without members that are 0, and without the sign of any other 0.
pub(crate) fn without_zeros(json: &Json) -> Json {
    let is_zero = |json: &Json| match json {
        Json::Number(text) => text.parse::<f64>().is_ok_and(|value| value == 0.0),
        _ => false,
    };
    match json {
        Json::Array(values) => Json::Array(values.iter().map(without_zeros).collect()),
        Json::Object(members) => {
            let members = members.iter().filter(|(_, value)| !is_zero(value));
            Json::Object(members.map(|(key, value)| (key.clone(), without_zeros(value))).collect())
        }
        json if is_zero(json) => Json::Number("0".to_owned()),
        json => json.clone(),
    }
}

/// `message` as prost-reflect writes it.
pub(crate) fn to_json(message: &DynamicMessage, options: &WriteOptions) -> Result<Json, String> {
    let serialize = SerializeOptions::new()
        .use_enum_numbers(options.enum_numbers)
        .use_proto_field_name(options.proto_names)
        .skip_default_fields(!options.emit_defaults)
        .stringify_64_bit_integers(!options.int64_numbers);
    let mut json = Vec::new();
    let mut writer = serde_json::Serializer::new(&mut json);
    message.serialize_with_options(&mut writer, &serialize).map_err(|error| error.to_string())?;
    Json::parse(&json).ok_or_else(|| "prost-reflect writes what is no JSON".to_owned())
}
