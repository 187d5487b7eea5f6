//! Transcoding: JSON bytes → protobuf bytes and back, by a schema known at run time.
//!
//! Bytes in, bytes out; options per call; errors that name the JSON path, the byte offset and
//! what was expected. The JSON is ProtoJSON. No I/O, no async.
//!
//! ```
//! use std::sync::Arc;
//! use transom::{schema::Schema, transcoding::{ReadOptions, Transcoder, WriteOptions}};
//!
//! # let source = r#"
//! #     syntax = "proto3";
//! #     package greet.v1;
//! #     import "google/api/annotations.proto";
//! #     service Greeter {
//! #       rpc Greet(Name) returns (Name) { option (google.api.http) = {get: "/v1/greet/{name}"}; }
//! #     }
//! #     message Name { string name = 1; int64 times = 2; }
//! # "#;
//! # let bytes = transom::schema::compile_protos(&[("greet.proto".into(), source.into())])?;
//! let schema = Arc::new(Schema::from_descriptor_set(bytes)?);
//! let name = schema.message_by_name("greet.v1.Name").unwrap();
//! let transcoder = Transcoder::new(schema)?;
//!
//! let mut wire = Vec::new();
//! transcoder.json_to_wire(name, br#"{"times":"7"}"#, &ReadOptions::default(), &mut wire).unwrap();
//! assert_eq!(wire, [0x10, 7]);
//!
//! let mut json = Vec::new();
//! transcoder.wire_to_json(name, &wire, &WriteOptions::default(), &mut json).unwrap();
//! assert_eq!(json, br#"{"times":"7"}"#);
//!
//! let error = transcoder
//!     .json_to_wire(name, br#"{"times":[]}"#, &ReadOptions::default(), &mut wire)
//!     .unwrap_err();
//! assert_eq!(error.path, "times");
//! # Ok::<_, transom::schema::Problems>(())
//! ```

use std::sync::Arc;

use crate::schema::{self, MessageIndex, Problems, Schema};

mod any;
mod bound;
mod field_mask;
mod form;
mod json_error;
mod json_text;
mod json_to_wire;
mod key_set;
mod names;
mod patch_mask;
mod plan;
mod pretty;
mod query;
mod request;
mod text_value;
mod time_text;
mod wire;
mod wire_to_json;

pub use json_error::JsonError;
pub use json_to_wire::{JSON_DEPTH_LIMIT, ReadOptions};
pub use query::{FIELD_PATH_DEPTH_LIMIT, QueryParameter};
pub use request::{RequestBody, RestRequest};
pub use wire_to_json::{WireError, WireFault, WriteOptions};

/// How deep messages, and JSON's objects and arrays, may nest.
const DEPTH_LIMIT: usize = 100;

/// Converts the messages of one schema.
pub struct Transcoder {
    schema: Arc<Schema>,
    plans: plan::Plans,
}

impl std::fmt::Debug for Transcoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcoder").field("messages", &self.schema.messages().len()).finish()
    }
}

impl Transcoder {
    /// A transcoder for every message type of `schema`, and for those of `google.rpc`, which
    /// error details are of whether the schema imports them or not.
    pub fn new(schema: Arc<Schema>) -> Result<Self, Problems> {
        let details = Schema::from_descriptor_set(schema::details_descriptor_set())?;
        let plans = plan::Plans::compile(&schema, &details)?;
        Ok(Self { schema, plans })
    }

    /// The schema it converts by.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }
}

/// The text of a singular scalar field of an encoded message, as an event's id: a string as it
/// is, a number in decimal. None where it is unset or not of that kind.
pub fn field_text(
    schema: &Schema,
    message: MessageIndex,
    number: u32,
    wire: &[u8],
) -> Option<String> {
    let field = schema.message(message).field_by_number(number)?;
    let found = wire::find_last(wire, std::iter::once(number))?;
    let mut position = 0;
    let (_, wire_type) = wire::tag(found, &mut position)?;
    match (field.kind, wire_type) {
        (schema::Kind::String, wire::DELIMITED) => {
            let (start, end) = wire::delimited(found, &mut position)?;
            std::str::from_utf8(&found[start..end]).ok().map(str::to_owned)
        }
        (schema::Kind::Uint32 | schema::Kind::Uint64, wire::VARINT) => {
            wire::varint(found, &mut position).map(|value| value.to_string())
        }
        (schema::Kind::Int32 | schema::Kind::Int64, wire::VARINT) => {
            wire::varint(found, &mut position).map(|value| (value as i64).to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn transcoder() -> (Transcoder, MessageIndex) {
        let bytes = transom_test_services::INVENTORY_DESCRIPTOR_SET;
        let schema = Arc::new(Schema::from_descriptor_set(bytes).unwrap());
        let everything = schema.message_by_name("inventory.v1.Everything").unwrap();
        (Transcoder::new(schema).unwrap(), everything)
    }

    fn round_trip(json: &str) -> Result<String, String> {
        let (transcoder, everything) = transcoder();
        let mut wire = Vec::new();
        transcoder
            .json_to_wire(everything, json.as_bytes(), &ReadOptions::default(), &mut wire)
            .map_err(|error| error.to_string())?;
        let mut json = Vec::new();
        transcoder
            .wire_to_json(everything, &wire, &WriteOptions::default(), &mut json)
            .map_err(|error| error.to_string())?;
        Ok(String::from_utf8(json).unwrap())
    }

    #[test]
    fn every_kind_goes_there_and_back() {
        let json = concat!(
            r#"{"text":"é\n","signed":-1,"big":"-9007199254740993","unsigned":4294967295,"#,
            r#""huge":"18446744073709551615","zigzag":-5,"fixed":"1","real":0.1,"smallReal":0.5,"#,
            r#""flag":true,"blob":"AP8=","kind":"KIND_PART","tags":["a",""],"numbers":[1,-1],"#,
            r#""kinds":["KIND_TOOL"],"labels":{"k":"v"},"childrenById":{"-1":{"text":"x"}},"#,
            r#""child":{"child":{}},"at":"2026-01-02T03:04:05.006Z","takes":"1.500s","#,
            r#""mask":"a.bC,d","open":{"x":[null,1.5,"y"]},"#,
            r#""any":{"@type":"type.googleapis.com/inventory.v1.GetItemRequest","name":"n"},"#,
            r#""maybeBig":"7","maybeText":"","opt":"","right":0,"children":[{}],"value":null}"#
        );
        assert_eq!(round_trip(json).unwrap(), json);
    }

    #[test]
    fn errors_name_path_offset_and_expectation() {
        for (json, path, needle) in [
            (
                r#"{"child":{"signed":"x"}}"#,
                "child.signed: ",
                "expected a 32-bit integer, found \"x\" (at byte 19)",
            ),
            (r#"{"numbers":[1,2,true]}"#, "numbers[2]: ", "expected a 32-bit integer, found true"),
            (
                r#"{"child":{"nope":1}}"#,
                "child.nope: ",
                "inventory.v1.Everything has no field \"nope\"",
            ),
            (r#"{"text":"a","text":"b"}"#, "text: ", "this field occurs twice (at byte 12)"),
            (
                r#"{"childrenById":{},"children_by_id":{}}"#,
                "children_by_id: ",
                "this field occurs twice",
            ),
            (r#"{"labels":{"k":"1","\u006b":"2"}}"#, "labels.k: ", "this key occurs twice"),
            (r#"{"open":{"a":{"k":1,"k":2}}}"#, "open.a.k: ", "this key occurs twice"),
            (r#"{"left":"a","right":1}"#, "right: ", "another member of its oneof is set already"),
            (r#"{"tags":["a",null]}"#, "tags[1]: ", "null is no element of a list"),
            (r#"{"labels":{"a":null}}"#, "labels.a: ", "null is no value of a map"),
            (r#"{"text":"\ud800"}"#, "text: ", "a lone surrogate is no character (at byte 9)"),
            ("{\"text\":\"a\nb\"}", "text: ", "a control character (0x0a)"),
            (r#"{"text":"a"} x"#, "", "expected nothing more, found x (at byte 13)"),
            ("{\"text\":\n  12}", "text: ", "expected a string, found 12 (at byte 11)"),
            (
                r#"{"kind":"NOPE"}"#,
                "kind: ",
                "expected a name or number of inventory.v1.Kind, found \"NOPE\"",
            ),
            (r#"{"blob":"!"}"#, "blob: ", "expected base64, found \"!\""),
            (r#"{"at":"today"}"#, "at: ", "expected a timestamp such as"),
            (
                r#"{"any":{"@type":"t/x.Y"}}"#,
                "any.@type: ",
                "a type that is known here, found \"t/x.Y\"",
            ),
            (r#"{"any":{"a":1}}"#, "any: ", "without `@type`"),
            (r#"{"text":"a""#, "text: ", "expected `,` or `}`, found the end of the input"),
            (r#"{"text":"a"#, "text: ", "a string without an end (at byte 8)"),
            ("", "", "expected an object, found the end of the input (at byte 0)"),
            ("[]", "", "expected an object, found an array"),
            ("\u{feff}{}", "", "expected an object, found a byte order mark"),
        ] {
            let error = round_trip(json).unwrap_err();
            assert!(error.starts_with(path) && error.contains(needle), "{json}: {error}");
        }
        let deep = format!("{}{}", r#"{"child":"#.repeat(101), "}".repeat(101));
        assert!(round_trip(&deep).unwrap_err().contains("nested more than 100 levels deep"));
    }

    #[test]
    fn nested_any_is_refused_before_it_can_overflow_a_stack() {
        let (transcoder, everything) = transcoder();
        let any_of = |type_url: &str, value: Vec<u8>| {
            let type_url = type_url.to_owned();
            prost::Message::encode_to_vec(&crate::status::Any { type_url, value: value.into() })
        };
        let mut nested = Vec::new();
        for _ in 0..7_000 {
            nested = any_of("t/google.protobuf.Any", nested);
        }
        let mut wire = Vec::new();
        wire::put_delimited(23, &nested, &mut wire);
        let write = move || {
            let options = WriteOptions::default();
            transcoder.wire_to_json(everything, &wire, &options, &mut Vec::new()).unwrap_err()
        };
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(write).unwrap();
        let error = thread.join().unwrap().to_string();
        assert_eq!(
            error,
            "any: google.protobuf.Any is nested more than 32 levels deep (at byte 896)"
        );
    }

    #[test]
    fn details_are_rendered_with_what_is_known() {
        let (transcoder, _) = transcoder();
        let render = |type_url: &str, value: &'static [u8]| {
            let mut json = Vec::new();
            let detail = crate::status::Any { type_url: type_url.into(), value: value.into() };
            transcoder.detail_to_json(&detail, &mut json);
            String::from_utf8(json).unwrap()
        };
        assert_eq!(
            render("type.googleapis.com/google.rpc.ErrorInfo", b"\x0a\x01r"),
            r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"r"}"#
        );
        assert_eq!(render("t/google.rpc.Help", b""), r#"{"@type":"t/google.rpc.Help"}"#);
        assert_eq!(render("t/x.Y", b"\x01\x02"), r#"{"@type":"t/x.Y","value":"AQI="}"#);
        assert_eq!(
            render("t/google.protobuf.Duration", b"\x08\x01"),
            r#"{"@type":"t/google.protobuf.Duration","value":"1s"}"#
        );
        assert_eq!(
            render("t/google.rpc.ErrorInfo", b"\xff"),
            r#"{"@type":"t/google.rpc.ErrorInfo","value":"/w=="}"#
        );
    }

    /// The message `M` of a proto2 source.
    pub(super) fn legacy(source: &str) -> (Transcoder, MessageIndex) {
        let source = format!("syntax = \"proto2\"; {source}");
        let schema = Arc::new(schema::compile_for_tests("legacy.proto", &source).unwrap());
        let message = schema.message_by_name("M").unwrap();
        (Transcoder::new(schema).unwrap(), message)
    }

    #[test]
    fn a_type_is_found_wherever_it_stands_and_once() {
        let source = "import \"google/protobuf/any.proto\"; \
                      message M { optional google.protobuf.Any any = 1; optional int32 x = 2; }";
        let (transcoder, message) = legacy(source);
        let read = |json: &str, ignore_unknown_fields| {
            let options = ReadOptions { ignore_unknown_fields, ..Default::default() };
            let mut wire = Vec::new();
            transcoder.json_to_wire(message, json.as_bytes(), &options, &mut wire)
        };
        assert_eq!(read(r#"{"any":{"x":1,"@type":"t/M"}}"#, false), Ok(()));
        for json in [
            r#"{"any":{"@type":"t/M","x":1,"@type":"t/M"}}"#,
            r#"{"any":{"x":1,"@type":"t/M","@type":"t/M"}}"#,
        ] {
            for ignore_unknown_fields in [false, true] {
                let error = read(json, ignore_unknown_fields).unwrap_err();
                assert_eq!(
                    (error.path.as_str(), error.message.as_str()),
                    ("any.@type", "this field occurs twice")
                );
            }
        }
    }

    #[test]
    fn json_has_a_limit() {
        let (transcoder, everything) = transcoder();
        let mut wire = Vec::new();
        for _ in 0..1_000 {
            wire::put_delimited(17, b"", &mut wire);
        }
        let write = |options: &WriteOptions| {
            let mut json = b"x".to_vec();
            let result = transcoder.wire_to_json(everything, &wire, options, &mut json);
            result.map(|()| json.len() - 1)
        };
        let length = write(&WriteOptions::default()).unwrap();
        for pretty in [false, true] {
            let limited =
                WriteOptions { output_limit_bytes: length / 2, pretty, ..Default::default() };
            assert_eq!(write(&limited).unwrap_err().kind, WireFault::TooLarge);
        }
        let enough = WriteOptions { output_limit_bytes: length, ..Default::default() };
        assert_eq!(write(&enough), Ok(length));
        let pretty = WriteOptions { pretty: true, ..enough };
        assert_eq!(write(&pretty).unwrap_err().kind, WireFault::TooLarge);
    }

    #[test]
    fn a_fault_names_the_field_it_is_in() {
        let (transcoder, everything) = transcoder();
        let error = |wire: &[u8]| {
            let options = WriteOptions::default();
            transcoder.wire_to_json(everything, wire, &options, &mut Vec::new()).unwrap_err()
        };
        let cut_off = error(b"\x0a\x05a");
        assert_eq!((cut_off.path.as_str(), cut_off.offset), ("text", 1));
        let mut wire = Vec::new();
        wire::put_delimited(23, b"\x0a\x04\x01\x01\x01\x01", &mut wire);
        let unknown = error(&wire);
        assert_eq!((unknown.path.as_str(), unknown.kind), ("any", WireFault::NoForm));
        assert!(unknown.message.contains(r#""\u{1}\u{1}"#), "{unknown}");
        let mask = transcoder.schema().message(everything).field("mask").unwrap().number;
        let (mut paths, mut wire) = (Vec::new(), Vec::new());
        wire::put_delimited(1, format!("a\n_{}", "b".repeat(10_000)).as_bytes(), &mut paths);
        wire::put_delimited(1, b"not_1", &mut paths);
        wire::put_delimited(mask, &paths, &mut wire);
        let unspeakable = error(&wire).message;
        assert!(unspeakable.contains(r#""not_1""#), "{unspeakable}");
        paths.clear();
        wire.clear();
        wire::put_delimited(1, format!("a\n__{}", "b".repeat(10_000)).as_bytes(), &mut paths);
        wire::put_delimited(mask, &paths, &mut wire);
        let long = error(&wire).message;
        assert!(long.len() < 200 && !long.contains('\n'), "{long}");
    }
}
