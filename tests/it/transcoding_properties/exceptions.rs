//! Where the transcoder and prost-reflect may differ: one table, and for each row what is asked
//! of the transcoder there.

use std::collections::BTreeSet;

use proptest::{
    prelude::ProptestConfig,
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{RngSeed, TestRunner},
};
use transom::transcoding::WriteOptions;

use super::{
    case::{cases, config},
    garbage::nearly,
    oracle::expected_json,
    reading::notes_of,
};

/// Something in a message or in JSON that the two read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exception {
    // On the wire.
    ClosedEnum,
    ClosedEnumEntry,
    WrongWireType,
    NonFiniteWrapper,
    NegativeZero,
    AnyOfEmpty,
    EmptyAny,
    AnyDepth,
    TimestampNanos,
    DurationSign,
    MaskPath,
    NullNumber,
    // On a wire that was damaged.
    LongVarint,
    Overwritten,
    // In JSON.
    Duplicate,
    QuotedNumber,
    LooseNumber,
    Saturated,
    RoundedInteger,
    FloatEdge,
    EnumValue,
    TimestampText,
    DurationText,
    MaskText,
    AnyWithoutValue,
    AnyWithoutType,
    EmptyWithKeys,
    NullList,
}

/// What the transcoder does in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// What the specification says, to which the oracle's answer is corrected.
    AsSpecified,
    /// Does as prost-reflect, but what JSON says is not all that the message holds.
    Lossy,
    /// Accepts, or refuses because of something else.
    MayAccept,
    /// Refuses.
    Refuses,
    /// Anything: the specification is silent, or nobody relies on it.
    Open,
}

/// Each exception, what the transcoder does, and why prost-reflect does otherwise.
pub(crate) const TABLE: &[(Exception, Ours, &str)] = &[
    (
        Exception::ClosedEnum,
        Ours::AsSpecified,
        "a number that a closed (proto2) enum does not know is an unknown field; prost-reflect \
         keeps it as the field's value",
    ),
    (
        Exception::ClosedEnumEntry,
        Ours::Open,
        "a map entry with several values of a closed enum, some unknown: readers differ",
    ),
    (
        Exception::WrongWireType,
        Ours::AsSpecified,
        "a known field of another wire type is an unknown field; prost refuses the message",
    ),
    (
        Exception::NonFiniteWrapper,
        Ours::AsSpecified,
        "prost-reflect writes NaN and infinities in FloatValue and DoubleValue as null",
    ),
    (
        Exception::NegativeZero,
        Ours::AsSpecified,
        "-0.0 is not the default, by its bits; prost-reflect takes it for it and drops it where \
         the field has no presence",
    ),
    (
        Exception::AnyOfEmpty,
        Ours::AsSpecified,
        "whether Empty has a JSON form of its own, so that Any of it has `\"value\": {}`, is read both \
         ways: prost-reflect says yes, C++ no. Either may be written, and is read at least as \
         written",
    ),
    (
        Exception::EmptyAny,
        Ours::AsSpecified,
        "an Any without type and value is `{}` by the conformance suite; prost-reflect refuses it",
    ),
    (
        Exception::AnyDepth,
        Ours::Refuses,
        "Any within Any beyond 32 levels: each is a decode of its own, which prost's depth limit \
         does not see",
    ),
    (
        Exception::TimestampNanos,
        Ours::Refuses,
        "nanos of a Timestamp below 0 or beyond 999,999,999 are an error; prost-types carries them \
         over into the seconds",
    ),
    (
        Exception::DurationSign,
        Ours::Refuses,
        "seconds and nanos of a Duration with different signs are an error; prost-types adds them \
         up, and gets the sign wrong",
    ),
    (
        Exception::MaskPath,
        Ours::Open,
        "a path of a FieldMask that is empty, or ends in an underscore: prost-reflect drops what it \
         cannot say",
    ),
    (
        Exception::NullNumber,
        Ours::Lossy,
        "a NullValue with a number other than 0 is null in JSON, and so read as 0",
    ),
    (
        Exception::LongVarint,
        Ours::Open,
        "a varint beyond 64 bits or a key beyond 32: prost refuses it, others drop the bits",
    ),
    (
        Exception::Overwritten,
        Ours::MayAccept,
        "damage in a value that a later one replaces need not be seen",
    ),
    (
        Exception::Duplicate,
        Ours::Refuses,
        "one key twice, or both spellings of a field: prost-reflect takes the last",
    ),
    (
        Exception::QuotedNumber,
        Ours::MayAccept,
        "an integer in quotes may be spelled as any JSON number, `\"1e2\"`; prost-reflect takes \
         digits only",
    ),
    (
        Exception::LooseNumber,
        Ours::Refuses,
        "a number in quotes, or a key of a map, by Rust's rules and not JSON's: `\"+1\"`, `\"01\"`, \
         `\"inf\"`, `\"1e999\"`",
    ),
    (
        Exception::Saturated,
        Ours::Open,
        "an integer beyond 2^53 spelled as a float: prost-reflect goes through a double, which may be \
         another, and for 2^63 and 2^64 takes the largest there is",
    ),
    (
        Exception::RoundedInteger,
        Ours::Refuses,
        "an integer with a fraction so small that a double has none: prost-reflect does not see it",
    ),
    (
        Exception::FloatEdge,
        Ours::Open,
        "the largest float, which prost-reflect takes for too large as it spells it itself, and what \
         rounds to it; the largest double, which serde_json may miss",
    ),
    (
        Exception::EnumValue,
        Ours::Open,
        "an enum's number spelled `1.0`, unknown to a closed enum, or 0 for NullValue; where unknown \
         values are ignored, one beyond 32 bits, and a map's key again whose first value was ignored: \
         readers differ",
    ),
    (
        Exception::TimestampText,
        Ours::Refuses,
        "a time with more than nine digits of a second, or with a leap second: prost-types drops them",
    ),
    (
        Exception::DurationText,
        Ours::Refuses,
        "a duration with more than nine digits of a second: prost-types drops them",
    ),
    (Exception::MaskText, Ours::Open, "a FieldMask with empty paths, or what no path can be"),
    (
        Exception::AnyWithoutValue,
        Ours::Open,
        "Any of a well-known type without its `value`, or of Empty: prost-reflect asks for `value`",
    ),
    (
        Exception::AnyWithoutType,
        Ours::MayAccept,
        "`{}` as an Any is an empty one; prost-reflect refuses",
    ),
    (
        Exception::EmptyWithKeys,
        Ours::MayAccept,
        "unknown keys of an Empty, where unknown keys are to be ignored: prost-reflect refuses them",
    ),
    (
        Exception::NullList,
        Ours::MayAccept,
        "null for a repeated Value or NullValue is no value; prost-reflect panics",
    ),
];

/// The exceptions that one input gives reason for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(BTreeSet<Exception>);

impl Notes {
    pub(crate) fn add(&mut self, exception: Exception) {
        self.0.insert(exception);
    }

    pub(crate) fn has(&self, exception: Exception) -> bool {
        self.0.contains(&exception)
    }

    pub(crate) fn any(&self, ours: Ours) -> bool {
        TABLE.iter().any(|(exception, theirs, _)| *theirs == ours && self.has(*exception))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The generators are as good as what they reach: a row that nothing is a case of says nothing.
#[test]
fn every_exception_occurs() {
    let mut met = Notes::default();
    let rng_seed = RngSeed::Fixed(9);
    let mut runner = TestRunner::new(ProptestConfig { rng_seed, ..config(1, 9) });
    for _ in 0..700 {
        let Ok(tree) = cases(1..=4).new_tree(&mut runner) else { continue };
        let case = tree.current();
        let subject = case.subject();
        for mut sample in case.samples(&subject) {
            let options = WriteOptions::default();
            met.0.extend(expected_json(&sample.root, &sample.wire, &options).notes.0);
            let json = nearly(&sample.root, 4, &mut sample.choices);
            met.0.extend(notes_of(&sample.root, &json).0);
        }
    }
    // These take a wire that is damaged, or deeper than messages are at random.
    met.0.extend([Exception::LongVarint, Exception::AnyDepth]);
    let rows: BTreeSet<_> = TABLE.iter().map(|(exception, ..)| *exception).collect();
    assert_eq!(rows.len(), TABLE.len(), "an exception with two rows");
    let missing: Vec<_> = rows.difference(&met.0).collect();
    assert!(missing.is_empty(), "nothing is a case of {missing:?}");
}
