//! What the properties have found wrong, one case each.

use transom::transcoding::WriteOptions;

use super::{
    case::Subject,
    json::{Json, difference},
    oracle::expected_json,
};

const SOURCE: &str = r#"
    syntax = "proto2";
    import "google/protobuf/any.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/empty.proto";
    enum Closed { FIRST = 2; SECOND = 3; }
    message M {
      optional google.protobuf.Duration duration = 1;
      map<int32, Closed> closed = 2;
      map<int32, double> doubles = 3;
      optional google.protobuf.Any any = 4;
      extensions 10 to 20;
    }
    extend M { repeated int32 ext = 10 [packed = true]; }
"#;

const PROTO3_SOURCE: &str = r#"
    syntax = "proto3";
    message P { int32 int32 = 1; uint32 uint32 = 2; sint32 sint32 = 3; }
"#;

/// Checks that `wire` is written as `json`, and that the oracle says so too.
fn check(source: &str, wire: &[u8], json: &str) {
    check_with(&WriteOptions::default(), source, wire, json);
}

fn check_with(options: &WriteOptions, source: &str, wire: &[u8], json: &str) {
    let subject = Subject::of_source(source);
    let root = subject.message(if source == SOURCE { "M" } else { "P" });
    let ours = subject.json(&root, wire, options);
    let expected = expected_json(&root, wire, options);
    expected.check(&ours).unwrap_or_else(|problem| panic!("{problem}"));
    let difference = difference(&ours.unwrap(), &Json::parse(json.as_bytes()).unwrap(), 0);
    assert_eq!(difference, None);
}

#[test]
fn a_part_of_a_message_was_refused_for_what_the_next_part_mends() {
    let wire = b"\x0a\x0a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x0a\x02\x08\x01";
    check(SOURCE, wire, r#"{"duration":"1s"}"#);
}

#[test]
fn a_number_that_is_zero_in_its_32_bits_was_written() {
    for key in [b"\x08", b"\x10", b"\x18"] {
        check(PROTO3_SOURCE, &[key, &b"\x80\x80\x80\x80\x20"[..]].concat(), "{}");
    }
}

#[test]
fn an_entry_without_a_value_had_no_value_of_its_enum() {
    check(SOURCE, b"\x12\x02\x08\x05", r#"{"closed":{"5":"FIRST"}}"#);
}

#[test]
fn an_entry_with_an_unknown_value_replaced_a_known_one() {
    let wire = b"\x12\x04\x08\x05\x10\x03\x12\x04\x08\x05\x10\x64";
    check(SOURCE, wire, r#"{"closed":{"5":"SECOND"}}"#);
}

#[test]
fn a_map_with_another_wire_type_among_its_entries_was_refused() {
    let wire = b"\x1a\x02\x08\x01\x18\x00\x1a\x02\x08\x02";
    check(SOURCE, wire, r#"{"doubles":{"1":0.0,"2":0.0}}"#);
}

#[test]
fn an_entry_with_an_overlong_key_was_refused() {
    let entries: [&[u8]; 3] =
        [b"\x1a\x02\x08\x01", b"\x9a\x80\x00\x02\x08\x02", b"\x1a\x02\x08\x03"];
    check(SOURCE, entries[1], r#"{"doubles":{"2":0.0}}"#);
    check(SOURCE, &entries.concat(), r#"{"doubles":{"1":0.0,"2":0.0,"3":0.0}}"#);
}

#[test]
fn an_any_with_an_empty_value_was_of_an_unknown_type() {
    check(SOURCE, b"\x22\x02\x12\x00", r#"{"any":{}}"#);
}

#[test]
fn an_extension_with_an_empty_pack_was_written_as_a_default() {
    let options = WriteOptions { emit_defaults: true, ..Default::default() };
    check_with(&options, SOURCE, b"\x52\x00", r#"{"closed":{},"doubles":{}}"#);
}
