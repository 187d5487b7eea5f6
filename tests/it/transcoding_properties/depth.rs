//! How deep messages nest, where the two need not agree to the level.

use prost::Message as _;
use prost_reflect::prost_types::Any;
use transom::transcoding::WriteOptions;

use super::{
    case::Subject,
    oracle,
    values::{delimited, delimited_record},
};

const SOURCE: &str = r#"
    syntax = "proto2";
    import "google/protobuf/any.proto";
    import "google/protobuf/struct.proto";
    message M {
      optional M child = 1;
      repeated M list = 2;
      map<string, M> by_name = 3;
      optional group Inner = 4 { optional M m = 1; }
      optional google.protobuf.Any any = 5;
      optional google.protobuf.Value value = 6;
    }
"#;

/// Whether so many levels are accepted, where a level counts for as little and as much as this;
/// none where readers may differ.
fn is_certain(levels: usize, at_least: usize, at_most: usize) -> Option<bool> {
    match () {
        () if levels * at_most <= 90 => Some(true),
        () if levels * at_least >= 110 => Some(false),
        () => None,
    }
}

#[test]
fn messages_nest_as_deep_as_prost_has_it() {
    let subject = Subject::of_source(SOURCE);
    let root = subject.message("M");
    let entry = |content: &[u8]| delimited_record(3, &delimited_record(2, content));
    let group = |content: &[u8]| [&[0x23, 0x0a], delimited(content).as_slice(), &[0x24]].concat();
    let list = |content: &[u8]| delimited_record(6, &delimited_record(1, content));
    type Wrap<'w> = &'w dyn Fn(&[u8]) -> Vec<u8>;
    // What wraps a level into the next, the field around them all, and how many messages a level
    // is; not everybody counts entries of
    // maps and values of lists.
    let shapes: [(&str, Wrap<'_>, u32, usize, usize); 5] = [
        ("child", &|content| delimited_record(1, content), 0, 1, 1),
        ("list", &|content| delimited_record(2, content), 0, 1, 1),
        ("map", &entry, 0, 1, 2),
        ("group", &group, 0, 2, 2),
        ("value", &list, 6, 1, 2),
    ];
    for (name, wrap, outer, at_least, at_most) in shapes {
        for levels in (0..130).chain([20_000]) {
            let mut wire = Vec::new();
            for _ in 0..levels {
                wire = wrap(&wire);
            }
            if outer != 0 {
                // A Value needs a kind: null, at the bottom.
                wire = (0..levels).fold(vec![0x08, 0], |wire, _| wrap(&wire));
                wire = delimited_record(outer, &wire);
            }
            let ours = subject.wire_to_json(&root, &wire, &WriteOptions::default());
            if let Some(accepts) = is_certain(levels, at_least, at_most) {
                assert_eq!(ours.is_ok(), accepts, "{levels} levels of {name}: {ours:?}");
                let theirs = oracle::decode(&root, &wire);
                let same = theirs.is_ok() == accepts || at_least < at_most;
                assert!(same, "{levels} levels of {name}: {theirs:?}");
            }
        }
    }
}

#[test]
fn any_nests_thirty_two_levels_deep() {
    let subject = Subject::of_source(SOURCE);
    let root = subject.message("M");
    for levels in (1..40).chain([5_000]) {
        let mut wire = Vec::new();
        for level in 0..levels {
            let name = if level == 0 { "M" } else { "google.protobuf.Any" };
            wire = Any { type_url: format!("t/{name}"), value: wire }.encode_to_vec();
        }
        let wire = delimited_record(5, &wire);
        let ours = subject.json(&root, &wire, &WriteOptions::default());
        assert_eq!(ours.is_ok(), levels <= 32, "{levels} levels: {ours:?}");
        // prost-reflect has no limit of its own, but the stack's.
        if levels < 40 {
            let expected = oracle::expected_json(&root, &wire, &WriteOptions::default());
            expected.check(&ours).unwrap_or_else(|problem| panic!("{problem}"));
        }
    }
}

#[test]
fn json_nests_a_hundred_levels_deep() {
    let subject = Subject::of_source(SOURCE);
    let root = subject.message("M");
    // What opens and closes a level, levels of JSON in it, and messages at most.
    let shapes = [
        (r#"{"child":"#, "{}", "}", 1, 1),
        (r#"{"list":["#, "{}", "]}", 2, 2),
        (r#"{"byName":{"":"#, "{}", "}}", 2, 2),
        (r#"{"inner":{"m":"#, "{}", "}}", 2, 2),
        (r#"["#, "1", "]", 1, 2),
        (r#"{"":"#, "1", "}", 1, 3),
    ];
    for (level, inner, close, objects, messages) in shapes {
        for levels in (0..130).chain([200_000]) {
            let (open, close) = (level.repeat(levels), close.repeat(levels));
            let json = match inner {
                "1" => format!(r#"{{"value":{open}{inner}{close}}}"#),
                _ => format!("{open}{inner}{close}"),
            };
            let ours = subject.json_to_wire(&root, json.as_bytes(), false);
            if let Some(accepts) = is_certain(levels, objects, messages) {
                assert_eq!(ours.is_ok(), accepts, "{levels} levels of {level}: {ours:?}");
            }
        }
    }
}
