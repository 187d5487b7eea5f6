//! What the targets share: schemas with everything in them, and what must hold of any output.

#![forbid(unsafe_code)]

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, LazyLock},
};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use transom::{
    schema::{MessageIndex, Schema, compile_protos},
    transcoding::{ReadOptions, Transcoder, WriteOptions},
};

/// The `FileDescriptorSet` of `legacy.proto`.
pub fn legacy_descriptor_set() -> Vec<u8> {
    let source = include_str!("../legacy.proto").to_owned();
    compile_protos(&[("legacy.proto".to_owned(), source)]).expect("it compiles").to_vec()
}

/// The message types that inputs are tried on: the first byte of an input picks one.
pub const MESSAGES: [&str; 8] = [
    "inventory.v1.Everything",
    "fuzz.Legacy",
    "fuzz.Known",
    "google.protobuf.Any",
    "google.protobuf.Struct",
    "google.protobuf.Value",
    "google.protobuf.Timestamp",
    "google.protobuf.FieldMask",
];

static INVENTORY: LazyLock<Transcoder> =
    LazyLock::new(|| transcoder(transom_test_services::INVENTORY_DESCRIPTOR_SET.to_vec()));
static LEGACY: LazyLock<Transcoder> = LazyLock::new(|| transcoder(legacy_descriptor_set()));

fn transcoder(descriptor_set: Vec<u8>) -> Transcoder {
    let schema = Schema::from_descriptor_set(descriptor_set).expect("it is a schema");
    Transcoder::new(Arc::new(schema)).expect("it can be transcoded")
}

/// One case: the type and the options that the first two bytes pick, and the rest.
pub struct Case<'d> {
    pub transcoder: &'static Transcoder,
    pub message: MessageIndex,
    pub read: ReadOptions,
    pub write: WriteOptions,
    pub input: &'d [u8],
}

impl<'d> Case<'d> {
    pub fn new(data: &'d [u8]) -> Option<Self> {
        let (&[pick, options], input) = data.split_first_chunk::<2>()?;
        let pick = usize::from(pick) % MESSAGES.len();
        let transcoder: &Transcoder = if pick == 0 { &INVENTORY } else { &LEGACY };
        let message = transcoder.schema().message_by_name(MESSAGES[pick])?;
        let is_set = |bit: u8| options & 1 << bit != 0;
        let read = ReadOptions { ignore_unknown_fields: is_set(0), ..Default::default() };
        let write = WriteOptions {
            enum_numbers: is_set(1),
            proto_names: is_set(2),
            emit_defaults: is_set(3),
            int64_numbers: is_set(4),
            pretty: is_set(5),
            ..Default::default()
        };
        Some(Self { transcoder, message, read, write, input })
    }

    /// The JSON of `wire`, checked; None where it is refused.
    pub fn json(&self, wire: &[u8]) -> Option<Vec<u8>> {
        let mut json = b"before".to_vec();
        let result = self.transcoder.wire_to_json(self.message, wire, &self.write, &mut json);
        assert!(json.starts_with(b"before"));
        let json = match result {
            Ok(()) => json.split_off(6),
            Err(error) => {
                assert_eq!(json.len(), 6, "an error leaves nothing behind");
                assert!(error.offset <= wire.len() && !error.message.is_empty());
                return None;
            }
        };
        check_memory(wire, &json);
        let mut deserializer = serde_json::Deserializer::from_slice(&json);
        // Lists and maps are levels of JSON, and none of protobuf.
        deserializer.disable_recursion_limit();
        let checked = Strict.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        if let Err(error) = checked {
            panic!("{error}: {}", String::from_utf8_lossy(&json));
        }
        Some(json)
    }

    /// The wire of `json`, checked; None where it is refused.
    pub fn wire(&self, json: &[u8], read: &ReadOptions) -> Option<Vec<u8>> {
        let mut wire = b"before".to_vec();
        let result = self.transcoder.json_to_wire(self.message, json, read, &mut wire);
        assert!(wire.starts_with(b"before"));
        match result {
            Ok(()) => {
                let wire = wire.split_off(6);
                check_memory(json, &wire);
                Some(wire)
            }
            Err(error) => {
                assert_eq!(wire.len(), 6, "an error leaves nothing behind");
                assert!(error.offset <= json.len() && !error.message.is_empty());
                None
            }
        }
    }

    /// What is written can be read, and is written alike again.
    ///
    /// Two things are not read as they were: JSON deeper than the limit, because lists and maps
    /// are levels of JSON and none of protobuf (so the limit is raised here); and field masks
    /// with empty paths, which JSON cannot tell from none (so one round is allowed to drop them).
    pub fn check_round_trip(&self, json: &[u8]) {
        let read = ReadOptions { depth_limit: 1_000, ..self.read.clone() };
        let Some(wire) = self.wire(json, &read) else {
            let mut out = Vec::new();
            let error =
                self.transcoder.json_to_wire(self.message, json, &read, &mut out).unwrap_err();
            panic!("what was written is refused: {error}: {}", String::from_utf8_lossy(json));
        };
        let first = self.json(&wire).expect("what was read can be written");
        let again = self.wire(&first, &read).expect("and read again");
        let second = self.json(&again).expect("and written again");
        assert_eq!(String::from_utf8_lossy(&first), String::from_utf8_lossy(&second));
    }
}

/// No more room than three times the larger side.
fn check_memory(input: &[u8], output: &Vec<u8>) {
    let room = output.capacity();
    assert!(room <= 3 * input.len().max(output.len()) + 4_096, "{room} for {}", output.len());
}

/// Accepts JSON without duplicate keys.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate keys")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Strict)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !keys.insert(key) {
                return Err(de::Error::custom("a duplicate key"));
            }
            entries.next_value_seed(Strict)?;
        }
        Ok(())
    }
}
