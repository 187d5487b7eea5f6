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
mod field_mask;
mod form;
mod json_error;
mod json_text;
mod json_to_wire;
mod key_set;
mod names;
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
    let found = wire::find_last(wire, &[number])?;
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
    use std::borrow::Cow;

    use super::*;
    use crate::schema::FieldPath;

    fn transcoder() -> (Transcoder, MessageIndex) {
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

    /// Binds a query (and a path-bound `text`), and answers the message as JSON.
    fn bind(text: Option<&str>, query: &[(&str, &str)], body: &str) -> Result<String, String> {
        let (transcoder, everything) = transcoder();
        let path = FieldPath::resolve(transcoder.schema(), everything, "text").unwrap();
        let captures: Vec<_> = text.iter().map(|text| (&path, Cow::Borrowed(*text))).collect();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| QueryParameter { name: (*name).into(), value: (*value).into() })
            .collect();
        let body = match body {
            "" => RequestBody::None,
            body => RequestBody::Message(body.as_bytes()),
        };
        let request =
            RestRequest { input: everything, path: &captures, query: &query, body, resume: None };
        let mut wire = Vec::new();
        transcoder.bind(&request, &ReadOptions::default(), &mut wire).map_err(|violations| {
            let said = violations.iter().map(|v| format!("{}: {}", v.field, v.description));
            said.collect::<Vec<_>>().join("; ")
        })?;
        let mut json = Vec::new();
        transcoder.wire_to_json(everything, &wire, &WriteOptions::default(), &mut json).unwrap();
        Ok(String::from_utf8(json).unwrap())
    }

    #[test]
    fn a_query_sets_every_kind_of_field() {
        let query = [
            ("signed", "-3"),
            ("big", "-9"),
            ("unsigned", "3"),
            ("huge", "9"),
            ("zigzag", "-2"),
            ("fixed", "5"),
            ("real", "1e2"),
            ("small_real", "NaN"),
            ("flag", "true"),
            ("blob", "_-8"),
            ("kind", "KIND_TOOL"),
            ("tags", "a"),
            ("tags", "b"),
            ("numbers", "1"),
            ("kinds", "2"),
            ("kinds", "77"),
            ("labels[k]", "v=w"),
            ("childrenById[4]", ""),
            ("child.child.text", "deep"),
            ("child.tags", "t"),
            ("at", "2026-01-02T03:04:05Z"),
            ("takes", "1.5s"),
            ("mask", "a,b.c"),
            ("open", r#"{"a":1}"#),
            ("maybe_big", "8"),
            ("maybeText", ""),
            ("left", "l"),
        ];
        let query: Vec<_> = query.into_iter().filter(|(n, _)| *n != "childrenById[4]").collect();
        assert_eq!(
            bind(Some("p"), &query, "").unwrap(),
            concat!(
                r#"{"text":"p","signed":-3,"big":"-9","unsigned":3,"huge":"9","zigzag":-2,"#,
                r#""fixed":"5","real":100,"smallReal":"NaN","flag":true,"blob":"/+8=","#,
                r#""kind":"KIND_TOOL","tags":["a","b"],"numbers":[1],"kinds":["KIND_PART",77],"#,
                r#""labels":{"k":"v=w"},"child":{"tags":["t"],"child":{"text":"deep"}},"#,
                r#""at":"2026-01-02T03:04:05Z","takes":"1.500s","mask":"a,b.c","open":{"a":1},"#,
                r#""maybeBig":"8","maybeText":"","left":"l"}"#
            )
        );
    }

    #[test]
    fn every_violation_of_a_query_is_told() {
        let error = bind(
            Some("p"),
            &[
                ("nope", "1"),
                ("signed", "x"),
                ("flag", "yes"),
                ("kind", "KIND_NOPE"),
                ("text", "other"),
                ("opt", "1"),
                ("opt", "2"),
                ("left", "a"),
                ("right", "1"),
                ("child", "x"),
                ("labels", "x"),
                ("opt[k]", "v"),
                ("blob", "!"),
                ("real", "1e999"),
            ],
            "",
        )
        .unwrap_err();
        for said in [
            "nope: is not a parameter of this method: `inventory.v1.Everything` has no field `nope`",
            r#"signed: expected a 32-bit integer, found "x""#,
            r#"flag: expected true or false, found "yes""#,
            r#"kind: expected a name or number of inventory.v1.Kind, found "KIND_NOPE""#,
            "text: the path and the query give different values",
            "opt: is given more than once",
            "right: another member of its oneof is given too",
            "child: inventory.v1.Everything is a message: name one of its fields",
            "labels: is a map: write labels[key]=value",
            "opt[k]: is not a map",
            r#"blob: expected base64, found "!""#,
            r#"real: expected a number in the range of a double, found "1e999""#,
        ] {
            assert!(error.contains(said), "{said}\n{error}");
        }
        assert_eq!(error.split("; ").count(), 12, "{error}");
    }

    #[test]
    fn the_path_wins_and_a_different_value_elsewhere_is_refused() {
        assert_eq!(bind(Some("p"), &[("text", "p")], "").unwrap(), r#"{"text":"p"}"#);
        assert_eq!(bind(Some("p"), &[], r#"{"text":"p"}"#).unwrap(), r#"{"text":"p"}"#);
        assert_eq!(
            bind(Some("p"), &[], r#"{"text":"q"}"#).unwrap_err(),
            "text: the path and the body give different values"
        );
        assert_eq!(
            bind(Some("p"), &[("signed", "1")], "{}").unwrap_err(),
            "signed: belongs in the body: this method takes its whole message from there"
        );
    }

    #[test]
    fn the_path_and_the_body_disagree_about_defaults_and_oneofs_too() {
        let contradiction = "text: the path and the body give different values";
        assert_eq!(bind(Some("p"), &[], r#"{"text":""}"#).unwrap_err(), contradiction);
        assert_eq!(bind(Some("p"), &[], r#"{"text":null}"#).unwrap(), r#"{"text":"p"}"#);
        assert_eq!(bind(Some(""), &[], r#"{"text":""}"#).unwrap(), "{}");

        let (transcoder, everything) = transcoder();
        let bind_path = |name: &str, text: &str, body: &str, query: &[(&str, &str)]| {
            let path = FieldPath::resolve(transcoder.schema(), everything, name).unwrap();
            let captures = [(&path, Cow::Borrowed(text))];
            let query: Vec<_> = query
                .iter()
                .map(|(n, v)| QueryParameter { name: (*n).into(), value: (*v).into() })
                .collect();
            let body = match body {
                "" => RequestBody::None,
                body => RequestBody::Message(body.as_bytes()),
            };
            let request = RestRequest {
                input: everything,
                path: &captures,
                query: &query,
                body,
                resume: None,
            };
            transcoder
                .bind(&request, &ReadOptions::default(), &mut Vec::new())
                .map_err(|violations| violations[0].description.clone())
        };
        let oneof = "another member of its oneof is given too";
        assert_eq!(bind_path("left", "l", r#"{"right":1}"#, &[]).unwrap_err(), oneof);
        assert_eq!(bind_path("left", "l", "", &[("right", "1")]).unwrap_err(), oneof);
        assert_eq!(bind_path("maybe_big", "0", r#"{"maybeBig":"0"}"#, &[]), Ok(()));
        // What a path binds whole, a query cannot change inside.
        let inside = bind_path("at", "2026-01-02T03:04:05Z", "", &[("at.nanos", "5")]);
        assert!(inside.unwrap_err().contains("write it as one value"));
    }

    #[test]
    fn a_oneof_around_a_path_field_is_one_choice_too() {
        let source = "syntax = \"proto3\"; message A { string id = 1; } \
                      message R { oneof x { A a = 1; A b = 2; } }";
        let schema = Arc::new(schema::compile_for_tests("r.proto", source).unwrap());
        let input = schema.message_by_name("R").unwrap();
        let transcoder = Transcoder::new(schema).unwrap();
        let path = FieldPath::resolve(transcoder.schema(), input, "a.id").unwrap();
        let captures = [(&path, Cow::Borrowed("1"))];
        let bind = |body: &str| {
            let body = RequestBody::Message(body.as_bytes());
            let request = RestRequest { input, path: &captures, query: &[], body, resume: None };
            transcoder.bind(&request, &ReadOptions::default(), &mut Vec::new())
        };
        assert!(bind(r#"{"a":{"id":"1"}}"#).is_ok());
        assert!(bind(r#"{"b":{"id":"1"}}"#).is_err());
    }

    #[test]
    fn a_stream_resumes_behind_an_event_whatever_the_request_said() {
        let (transcoder, everything) = transcoder();
        let text = FieldPath::resolve(transcoder.schema(), everything, "text").unwrap();
        for (query, body) in [(vec![("text", "old")], ""), (vec![], r#"{"text":"old"}"#)] {
            let query: Vec<_> = query
                .iter()
                .map(|(n, v): &(&str, &str)| QueryParameter {
                    name: (*n).into(),
                    value: (*v).into(),
                })
                .collect();
            let body = match body {
                "" => RequestBody::None,
                body => RequestBody::Message(body.as_bytes()),
            };
            let resume = Some((&text, "new"));
            let request = RestRequest { input: everything, path: &[], query: &query, body, resume };
            let (mut wire, mut json) = (Vec::new(), Vec::new());
            transcoder.bind(&request, &ReadOptions::default(), &mut wire).unwrap();
            let options = WriteOptions::default();
            transcoder.wire_to_json(everything, &wire, &options, &mut json).unwrap();
            assert_eq!(json, br#"{"text":"new"}"#);
        }
    }

    #[test]
    fn a_body_field_is_one_value_and_no_more() {
        let (transcoder, everything) = transcoder();
        let tags = FieldPath::resolve(transcoder.schema(), everything, "tags").unwrap();
        let bind = |body: &str| {
            let request = RestRequest {
                input: everything,
                path: &[],
                query: &[],
                body: RequestBody::Field(&tags, body.as_bytes()),
                resume: None,
            };
            let mut wire = Vec::new();
            transcoder.bind(&request, &ReadOptions::default(), &mut wire).map(|()| wire)
        };
        assert_eq!(bind(r#"["a"]"#).unwrap(), b"\x6a\x01a");
        assert_eq!(bind(" ").unwrap(), b"");
        assert!(bind(r#"["a"],"flag":true"#).is_err());
        let violations = bind(r#"["a",1]"#).unwrap_err();
        assert_eq!(violations[0].field, "tags[1]");
    }

    /// The message `M` of a proto2 source.
    fn legacy(source: &str) -> (Transcoder, MessageIndex) {
        let source = format!("syntax = \"proto2\"; {source}");
        let schema = Arc::new(schema::compile_for_tests("legacy.proto", &source).unwrap());
        let message = schema.message_by_name("M").unwrap();
        (Transcoder::new(schema).unwrap(), message)
    }

    fn bind_in(
        (transcoder, input): &(Transcoder, MessageIndex),
        path: Option<(&str, &str)>,
        query: &[(&str, &str)],
        body: &str,
    ) -> Result<Vec<u8>, String> {
        let resolve = |name| FieldPath::resolve(transcoder.schema(), *input, name).unwrap();
        let path = path.map(|(name, text)| (resolve(name), text));
        let path: Vec<_> = path.iter().map(|(path, text)| (path, Cow::Borrowed(*text))).collect();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| QueryParameter { name: (*name).into(), value: (*value).into() })
            .collect();
        let body = match body {
            "" => RequestBody::None,
            body => RequestBody::Message(body.as_bytes()),
        };
        let request = RestRequest { input: *input, path: &path, query: &query, body, resume: None };
        let mut wire = Vec::new();
        transcoder
            .bind(&request, &ReadOptions::default(), &mut wire)
            .map(|()| wire)
            .map_err(|violations| violations[0].description.clone())
    }

    #[test]
    fn path_and_query_reach_into_groups_as_the_body_does() {
        let legacy = legacy("message M { optional group G = 3 { optional string id = 1; } }");
        let in_group = b"\x1b\x0a\x01a\x1c".to_vec();
        assert_eq!(bind_in(&legacy, None, &[("g.id", "a")], ""), Ok(in_group.clone()));
        assert_eq!(bind_in(&legacy, None, &[], r#"{"g":{"id":"a"}}"#), Ok(in_group.clone()));
        let twice = [&in_group[..], &in_group].concat();
        assert_eq!(bind_in(&legacy, Some(("g.id", "a")), &[], r#"{"g":{"id":"a"}}"#), Ok(twice));
        let error = bind_in(&legacy, Some(("g.id", "")), &[], r#"{"g":{"id":"b"}}"#).unwrap_err();
        assert_eq!(error, "the path and the body give different values");
    }

    #[test]
    fn a_text_means_in_a_query_what_it_means_in_json() {
        let legacy = legacy(
            "enum E { A = 1; } message M { optional int32 i = 1; optional float f = 2; \
             optional E e = 3; map<string, int32> m = 4; }",
        );
        for (name, text) in [("i", "1e2"), ("i", "1.0"), ("f", "16777217.00000000001"), ("e", "A")]
        {
            let json = format!("{{\"{name}\":\"{text}\"}}");
            let (query, body) =
                (bind_in(&legacy, None, &[(name, text)], ""), bind_in(&legacy, None, &[], &json));
            assert_eq!(query, body, "{json}");
            assert!(query.is_ok(), "{json}");
        }
        for (name, text) in
            [("i", "+5"), ("i", "007"), ("f", ".5"), ("f", "5."), ("e", "7"), ("e", "B")]
        {
            assert!(bind_in(&legacy, None, &[(name, text)], "").is_err(), "{name}={text}");
        }
        let twice = bind_in(&legacy, None, &[("m[a]", "1"), ("m[a]", "2")], "").unwrap_err();
        assert_eq!(twice, "is given more than once");
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
    }

    #[test]
    fn one_large_entry_does_not_make_every_other_slow() {
        let legacy = legacy("message M { map<string, string> m = 1; }");
        let entry = |key: &str, junk: usize| {
            let mut content = Vec::new();
            wire::put_delimited(1, key.as_bytes(), &mut content);
            wire::put_delimited(2, b"", &mut content);
            content.extend(b"\x18\x00".repeat(junk));
            let mut field = Vec::new();
            wire::put_delimited(1, &content, &mut field);
            field
        };
        let mut wire = entry("AAAAAAAA000BBBBBBBB", 500_000);
        for number in 1..3_000 {
            wire.extend(entry(&format!("AAAAAAAA{number:04}BBBBBBBB"), 0));
        }
        // Each entry once more is 3,000 times 1 MB: minutes, where this takes milliseconds.
        let mut json = Vec::new();
        legacy.0.wire_to_json(legacy.1, &wire, &WriteOptions::default(), &mut json).unwrap();
        assert!(json.ends_with(b"\"AAAAAAAA2999BBBBBBBB\":\"\"}}"));
    }
}
