//! Random scalars, and how they stand on the wire.

use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{EnumDescriptor, Kind};

use super::choices::Choices;

pub(crate) const STRINGS: [&str; 14] = [
    "",
    "a",
    "text",
    "é",
    "日本語",
    "😀",
    "\0",
    "\n\t\r\u{8}\u{c}\u{1b}\u{7f}",
    "\"\\/",
    "</script>\u{2028}\u{2029}",
    "\u{fffd}\u{ffff}\u{10ffff}",
    "null",
    "1e2",
    "a somewhat longer text, that no small buffer for strings holds, nor sixteen bytes at a time",
];

const DOUBLES: [f64; 20] = [
    0.0,
    -0.0,
    -0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    1e21,
    1e-7,
    123_456_789.123_456_79,
    9_007_199_254_740_993.0,
    5e-324,
    2.225_073_858_507_201e-308,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    f64::EPSILON,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

const FLOATS: [f32; 16] = [
    0.0,
    -0.0,
    -0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    16_777_216.0,
    1e21,
    1e-7,
    1e-45,
    f32::MIN_POSITIVE,
    f32::MAX,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
];

const INTEGERS: [u64; 16] = [
    0,
    1,
    2,
    7,
    100,
    127,
    128,
    300,
    i32::MAX as u64,
    i32::MIN as i64 as u64,
    u32::MAX as u64,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX,
    (1 << 53) + 1,
    1 << 33,
];

/// One element of `kind`, which is no message: what stands behind its key, or in a packed list.
pub(crate) fn scalar(kind: &Kind, choices: &mut Choices) -> Vec<u8> {
    let integer = integer(choices);
    match kind {
        Kind::Double => double(choices).to_le_bytes().to_vec(),
        Kind::Float => float(choices).to_le_bytes().to_vec(),
        Kind::Fixed64 | Kind::Sfixed64 => integer.to_le_bytes().to_vec(),
        Kind::Fixed32 | Kind::Sfixed32 => (integer as u32).to_le_bytes().to_vec(),
        Kind::String => delimited(string(choices).as_bytes()),
        Kind::Bytes => delimited(&bytes(choices)),
        Kind::Bool => varint(choices.below(2) as u64, choices),
        Kind::Enum(r#enum) => varint(enum_number(r#enum, choices) as i64 as u64, choices),
        // Sign-extended, as a writer has it, now and then with bits that a reader must drop.
        Kind::Int32 if !choices.one_in(8) => varint(integer as i32 as i64 as u64, choices),
        Kind::Uint32 | Kind::Sint32 if !choices.one_in(8) => varint(integer as u32 as u64, choices),
        _ => varint(integer, choices),
    }
}

/// A varint, now and then longer than it must be.
pub(crate) fn varint(value: u64, choices: &mut Choices) -> Vec<u8> {
    let longest = if choices.one_in(10) { 10 } else { 0 };
    overlong(value, longest)
}

/// A length or a key, five bytes at most.
pub(crate) fn short_varint(value: u64, choices: &mut Choices) -> Vec<u8> {
    let longest = if choices.one_in(20) { 5 } else { 0 };
    overlong(value, longest)
}

fn overlong(value: u64, length: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    encode_varint(value, &mut wire);
    while wire.len() < length {
        if let Some(last) = wire.last_mut() {
            *last |= 0x80;
        }
        wire.push(0);
    }
    wire
}

pub(crate) fn key(number: u32, wire_type: WireType, choices: &mut Choices) -> Vec<u8> {
    short_varint(u64::from(number) << 3 | wire_type as u64, choices)
}

pub(crate) fn delimited(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    encode_varint(content.len() as u64, &mut wire);
    wire.extend_from_slice(content);
    wire
}

/// A record of a length and what it is long.
pub(crate) fn delimited_record(number: u32, content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut wire);
    wire.extend(delimited(content));
    wire
}

pub(crate) fn integer(choices: &mut Choices) -> u64 {
    match choices.below(4) {
        0 => choices.word() >> choices.below(64),
        1 => (choices.below(200) as i64 - 100) as u64,
        _ => *choices.pick(&INTEGERS),
    }
}

pub(crate) fn double(choices: &mut Choices) -> f64 {
    match choices.below(3) {
        0 => f64::from_bits(choices.word()),
        1 => choices.below(2_000_000) as f64 / 100.0 - 10_000.0,
        _ => *choices.pick(&DOUBLES),
    }
}

fn float(choices: &mut Choices) -> f32 {
    match choices.below(3) {
        0 => f32::from_bits(choices.word() as u32),
        1 => choices.below(20_000) as f32 / 100.0 - 100.0,
        _ => *choices.pick(&FLOATS),
    }
}

pub(crate) fn string(choices: &mut Choices) -> String {
    let count = 1 + choices.below(2);
    (0..count).map(|_| *choices.pick(&STRINGS)).collect()
}

pub(crate) fn bytes(choices: &mut Choices) -> Vec<u8> {
    let count = choices.below(9);
    let byte = |choices: &mut Choices| match choices.one_in(4) {
        true => choices.word() as u8,
        false => *choices.pick(&[0, 0xff, 0xfb, 0x3f, b'a']),
    };
    (0..count).map(|_| byte(choices)).collect()
}

/// Mostly a number that the enum knows.
fn enum_number(r#enum: &EnumDescriptor, choices: &mut Choices) -> i32 {
    let known: Vec<_> = r#enum.values().map(|value| value.number()).collect();
    if choices.one_in(12) { integer(choices) as i32 } else { *choices.pick(&known) }
}
