//! Random messages of the well-known types, now and then one that is out of its range.

use prost::encoding::WireType;
use prost_reflect::Kind;

use super::{
    choices::Choices,
    values::{delimited_record, double, key, scalar, string, varint},
};

/// The records of a random `google.protobuf.{name}`; `Any` is no business of this.
pub(crate) fn well_known(name: &str, choices: &mut Choices) -> Vec<Vec<u8>> {
    let value = |kind: Kind, choices: &mut Choices| {
        let times = choices.below(8);
        // Mostly once; twice, and the second counts; or not at all.
        let times = [0, 2, 1, 1, 1, 1, 1, 1][times];
        (0..times).map(|_| record(1, &kind, choices)).collect()
    };
    match name {
        "DoubleValue" => value(Kind::Double, choices),
        "FloatValue" => value(Kind::Float, choices),
        "Int64Value" => value(Kind::Int64, choices),
        "UInt64Value" => value(Kind::Uint64, choices),
        "Int32Value" => value(Kind::Int32, choices),
        "UInt32Value" => value(Kind::Uint32, choices),
        "BoolValue" => value(Kind::Bool, choices),
        "StringValue" => value(Kind::String, choices),
        "BytesValue" => value(Kind::Bytes, choices),
        "Timestamp" => timestamp(choices),
        "Duration" => duration(choices),
        "FieldMask" => (0..choices.below(4)).map(|_| mask_path(choices)).collect(),
        "Struct" => struct_records(2, choices),
        "ListValue" => list_records(2, choices),
        "Value" => {
            // Mostly one kind; none, or two of which the last counts.
            let times = *choices.pick(&[0, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
            (0..times).map(|_| value_record(2, choices)).collect()
        }
        _ => Vec::new(),
    }
}

fn timestamp(choices: &mut Choices) -> Vec<Vec<u8>> {
    const SECONDS: [i64; 8] = [
        0,
        1,
        -1,
        1_767_323_045,
        951_782_400, // a leap day
        -2_208_988_800,
        253_402_300_799,
        -62_135_596_800,
    ];
    let out_of_range = [253_402_300_800, -62_135_596_801, i64::MAX, i64::MIN];
    let seconds = match choices.below(30) {
        0 => *choices.pick(&out_of_range),
        1..=9 => choices.below(4_000_000_000) as i64,
        _ => *choices.pick(&SECONDS),
    };
    let nanos = if choices.one_in(40) { -1 } else { nanos(choices) };
    vec![varint_record(1, seconds, choices), varint_record(2, nanos, choices)]
}

fn duration(choices: &mut Choices) -> Vec<Vec<u8>> {
    const SECONDS: [i64; 6] = [0, 0, 1, 90, 3_600, 315_576_000_000];
    let sign = if choices.one_in(3) { -1 } else { 1 };
    let seconds = match choices.one_in(30) {
        true => *choices.pick(&[315_576_000_001, i64::MAX, i64::MIN]),
        false => sign * *choices.pick(&SECONDS),
    };
    let other_sign = if choices.one_in(30) { -1 } else { 1 };
    let nanos = other_sign * sign * nanos(choices);
    vec![varint_record(1, seconds, choices), varint_record(2, nanos, choices)]
}

fn nanos(choices: &mut Choices) -> i64 {
    const NANOS: [i64; 8] = [0, 0, 1, 1_000, 6_000_000, 120_000_000, 123_456_789, 999_999_999];
    let beyond = [1_000_000_000, i64::from(i32::MAX)];
    if choices.one_in(40) { *choices.pick(&beyond) } else { *choices.pick(&NANOS) }
}

fn mask_path(choices: &mut Choices) -> Vec<u8> {
    const PATHS: [&str; 6] = ["a", "foo_bar", "a.b_c.d", "f1", "x.y", "long_name_of_a_field"];
    const NOT_CAMEL: [&str; 5] = ["fooBar", "a__b", "a_1", "a_", ""];
    let path = if choices.one_in(20) { choices.pick(&NOT_CAMEL) } else { choices.pick(&PATHS) };
    delimited_record(1, path.as_bytes())
}

fn struct_records(depth: usize, choices: &mut Choices) -> Vec<Vec<u8>> {
    let records = (0..choices.below(4)).map(|_| {
        let mut halves = Vec::new();
        if !choices.one_in(12) {
            halves.push(delimited_record(1, string(choices).as_bytes()));
        }
        halves.push(delimited_record(2, &value_record(depth, choices)));
        choices.shuffle(&mut halves);
        delimited_record(1, &halves.concat())
    });
    records.collect()
}

fn list_records(depth: usize, choices: &mut Choices) -> Vec<Vec<u8>> {
    let count = choices.below(4);
    (0..count).map(|_| delimited_record(1, &value_record(depth, choices))).collect()
}

fn value_record(depth: usize, choices: &mut Choices) -> Vec<u8> {
    let kinds = if depth == 0 { 4 } else { 6 };
    match choices.below(kinds) {
        0 => varint_record(1, 0, choices),
        1 => {
            let number = double(choices);
            let number = if choices.one_in(15) || number.is_finite() { number } else { 1.5 };
            let mut record = key(2, WireType::SixtyFourBit, choices);
            record.extend(number.to_le_bytes());
            record
        }
        2 => delimited_record(3, string(choices).as_bytes()),
        3 => varint_record(4, choices.below(2) as i64, choices),
        4 => delimited_record(5, &struct_records(depth - 1, choices).concat()),
        _ => delimited_record(6, &list_records(depth - 1, choices).concat()),
    }
}

fn record(number: u32, kind: &Kind, choices: &mut Choices) -> Vec<u8> {
    let wire_type = match kind {
        Kind::Double | Kind::Fixed64 => WireType::SixtyFourBit,
        Kind::Float | Kind::Fixed32 => WireType::ThirtyTwoBit,
        Kind::String | Kind::Bytes => WireType::LengthDelimited,
        _ => WireType::Varint,
    };
    [key(number, wire_type, choices), scalar(kind, choices)].concat()
}

fn varint_record(number: u32, value: i64, choices: &mut Choices) -> Vec<u8> {
    [key(number, WireType::Varint, choices), varint(value as u64, choices)].concat()
}
