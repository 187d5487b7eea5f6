//! Random messages of a random schema, as bytes: everything that a wire may legally be.
//!
//! The words are a program: each puts down a record, or opens a message to put records into, or
//! closes one. Fields come out of order, again, in parts, packed or not; and between them what no
//! schema knows.

use prost::encoding::WireType;
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use super::{
    choices::Choices,
    schema::{MESSAGES, WELL_KNOWN},
    slots::{Shape, Slot, slots, well_known_name},
    values::{bytes, delimited, delimited_record, key, scalar, short_varint},
    well_known::well_known,
};

/// How deep messages are opened in one another.
const DEEPEST: usize = 7;

/// The encoding of the message of type `root` that `words` put down.
pub(crate) fn random_wire(root: &MessageDescriptor, words: &[u64]) -> Vec<u8> {
    let mut first = Choices::of(words.first().copied().unwrap_or_default());
    // What is around the root is not in the schema; only an `Any` at the top is closed into it.
    let mut stack = vec![Frame { slots: Vec::new(), records: Vec::new(), closing: None }];
    let is_any = root.full_name() == "google.protobuf.Any";
    let closing = Closing { any_urls: Vec::new(), into: Destination::Top };
    stack.push(match is_any {
        true => any_frame(root.parent_pool(), Destination::Top, &mut first),
        false => Frame::new(root, closing, &mut first),
    });
    for &word in words.iter().skip(1) {
        let mut choices = Choices::of(word);
        if stack.len() > 2 && choices.one_in(6) {
            close(&mut stack, &mut choices);
            continue;
        }
        let is_shallow = stack.len() < DEEPEST;
        let Some(frame) = stack.last_mut() else { break };
        if choices.one_in(14) {
            frame.records.push(unknown(&frame.slots, 2, &mut choices));
        } else if !frame.slots.is_empty() {
            let slot = choices.pick(&frame.slots).clone();
            match opened(&slot, root.parent_pool(), &mut choices).filter(|_| is_shallow) {
                Some(frame) => stack.push(frame),
                None => frame.records.push(leaf(&slot, &mut choices)),
            }
        }
    }
    while stack.len() > 1 {
        let mut choices = Choices::of(stack.len() as u64);
        close(&mut stack, &mut choices);
    }
    stack.into_iter().flat_map(|frame| frame.records).flatten().collect()
}

/// A message that is being put down.
struct Frame {
    slots: Vec<Slot>,
    records: Vec<Vec<u8>>,
    closing: Option<Closing>,
}

/// What becomes of a message once its records are there.
struct Closing {
    /// The `Any`s around it, from the innermost.
    any_urls: Vec<String>,
    into: Destination,
}

enum Destination {
    Top,
    Field(Slot),
    /// The value of an entry of this map.
    MapValue(Slot),
}

impl Frame {
    /// A well-known message has its records at once, and takes no more.
    fn new(message: &MessageDescriptor, closing: Closing, choices: &mut Choices) -> Self {
        let known = well_known_name(message);
        let records = known.map(|name| well_known(name, choices)).unwrap_or_default();
        let slots = if known.is_some() { Vec::new() } else { slots(message) };
        Self { slots, records, closing: Some(closing) }
    }
}

/// The message that a record of `slot` is to be opened for.
fn opened(slot: &Slot, pool: &DescriptorPool, choices: &mut Choices) -> Option<Frame> {
    let value = slot.map_value();
    let Kind::Message(message) = &value.as_ref().unwrap_or(slot).kind else { return None };
    let into = match value {
        Some(_) => Destination::MapValue(slot.clone()),
        None => Destination::Field(slot.clone()),
    };
    match well_known_name(message) {
        Some("Any") => Some(any_frame(pool, into, choices)),
        Some(_) => None,
        None => Some(Frame::new(message, Closing { any_urls: Vec::new(), into }, choices)),
    }
}

/// The innermost message of one or more `Any`s.
fn any_frame(pool: &DescriptorPool, into: Destination, choices: &mut Choices) -> Frame {
    let mut any_urls = Vec::new();
    loop {
        let name = match choices.below(8) {
            0 => "google.protobuf.Any".to_owned(),
            1 => "google.protobuf.Empty".to_owned(),
            2 | 3 => format!("google.protobuf.{}", choices.pick(&WELL_KNOWN)),
            _ => (*choices.pick(&MESSAGES)).to_owned(),
        };
        let host = *choices.pick(&["type.googleapis.com", "example.com/types", ""]);
        any_urls.insert(0, format!("{host}/{name}"));
        let message = pool.get_message_by_name(&name);
        if let Some(message) = message.filter(|message| well_known_name(message) != Some("Any")) {
            return Frame::new(&message, Closing { any_urls, into }, choices);
        }
    }
}

/// Closes the innermost message, into the one around it.
fn close(stack: &mut Vec<Frame>, choices: &mut Choices) {
    let Some(Frame { mut records, closing: Some(closing), .. }) = stack.pop() else { return };
    let Some(outer) = stack.last_mut() else { return };
    for url in closing.any_urls {
        let url = match choices.below(40) {
            0 => Some("type.googleapis.com/un.Known".to_owned()),
            1 => None,
            _ => Some(url),
        };
        let value = delimited_record(2, &records.concat());
        records = url.iter().map(|url| delimited_record(1, url.as_bytes())).collect();
        records.push(value);
        choices.shuffle(&mut records);
    }
    outer.records.push(match closing.into {
        Destination::Top => records.concat(),
        Destination::MapValue(slot) => entry(&slot, Some(in_parts(records, choices)), choices),
        Destination::Field(slot) => {
            let parts = in_parts(records, choices);
            parts.iter().flat_map(|part| message_record(&slot, part, choices)).collect()
        }
    });
}

/// A message whole, or now and then in two parts that a reader merges.
fn in_parts(records: Vec<Vec<u8>>, choices: &mut Choices) -> Vec<Vec<u8>> {
    if !choices.one_in(5) {
        return vec![records.concat()];
    }
    let (first, second) = records.split_at(choices.below(records.len() + 1));
    vec![first.concat(), second.concat()]
}

fn message_record(slot: &Slot, content: &[u8], choices: &mut Choices) -> Vec<u8> {
    let key = key(slot.number, slot.wire_type(), choices);
    let (before, after) = match slot.is_group {
        true => (Vec::new(), key_of_end(slot.number, choices)),
        false => (short_varint(content.len() as u64, choices), Vec::new()),
    };
    [key, before, content.to_vec(), after].concat()
}

fn key_of_end(number: u32, choices: &mut Choices) -> Vec<u8> {
    key(number, WireType::EndGroup, choices)
}

/// A record of `slot` that opens nothing.
fn leaf(slot: &Slot, choices: &mut Choices) -> Vec<u8> {
    if choices.one_in(60) {
        return wrong_wire_type(slot, choices);
    }
    if slot.shape == Shape::Map {
        return entry(slot, None, choices);
    }
    if let Some(message) = slot.message() {
        let content = message_content(message, choices);
        return message_record(slot, &content, choices);
    }
    if slot.is_packable() && choices.one_in(2) {
        let count = choices.below(4);
        let elements: Vec<_> = (0..count).flat_map(|_| scalar(&slot.kind, choices)).collect();
        let key = key(slot.number, WireType::LengthDelimited, choices);
        let length = short_varint(elements.len() as u64, choices);
        return [key, length, elements].concat();
    }
    [key(slot.number, slot.wire_type(), choices), scalar(&slot.kind, choices)].concat()
}

/// A well-known message, its records in any order, with now and then one that it does not know.
fn message_content(message: &MessageDescriptor, choices: &mut Choices) -> Vec<u8> {
    let Some(name) = well_known_name(message) else { return Vec::new() };
    let mut records = well_known(name, choices);
    if choices.one_in(12) {
        records.push(unknown(&slots(message), 1, choices));
    }
    choices.shuffle(&mut records);
    records.concat()
}

/// An entry of a map: key and value in any order, missing, or there twice. `parts` is a message
/// value that is made already.
fn entry(slot: &Slot, parts: Option<Vec<Vec<u8>>>, choices: &mut Choices) -> Vec<u8> {
    let Kind::Message(entry) = &slot.kind else { return Vec::new() };
    let halves = slots(entry);
    let mut records = Vec::new();
    for half in &halves {
        if half.number == 2 && parts.is_some() {
            continue;
        }
        let times = choices.below(12);
        for _ in 0..[0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1][times] {
            records.push(match half.message() {
                Some(message) => delimited_record(2, &message_content(message, choices)),
                None => {
                    let key = key(half.number, half.wire_type(), choices);
                    [key, scalar(&half.kind, choices)].concat()
                }
            });
        }
    }
    records.extend(parts.into_iter().flatten().map(|part| delimited_record(2, &part)));
    if choices.one_in(15) {
        records.push(unknown(&halves, 1, choices));
    }
    if choices.one_in(3) {
        choices.shuffle(&mut records);
    }
    message_record(slot, &records.concat(), choices)
}

/// A record of `slot` as another kind of field has it: to a reader, of a field that it does not
/// know.
fn wrong_wire_type(slot: &Slot, choices: &mut Choices) -> Vec<u8> {
    let packed = slot.is_packable().then_some(WireType::LengthDelimited);
    let others = [
        WireType::Varint,
        WireType::SixtyFourBit,
        WireType::ThirtyTwoBit,
        WireType::LengthDelimited,
        WireType::StartGroup,
    ];
    let right = |other: &WireType| *other == slot.wire_type() || Some(*other) == packed;
    let others: Vec<_> = others.into_iter().filter(|other| !right(other)).collect();
    raw_record(slot.number, *choices.pick(&others), 1, choices)
}

/// A record of a field that no slot has.
fn unknown(known: &[Slot], depth: usize, choices: &mut Choices) -> Vec<u8> {
    const NUMBERS: [u32; 6] = [21, 99, 999, 19_500, 70_000, 536_870_911];
    let free: Vec<_> = NUMBERS
        .into_iter()
        .filter(|number| known.iter().all(|slot| slot.number != *number))
        .collect();
    let types = [
        WireType::Varint,
        WireType::SixtyFourBit,
        WireType::ThirtyTwoBit,
        WireType::LengthDelimited,
        WireType::StartGroup,
    ];
    raw_record(*choices.pick(&free), *choices.pick(&types), depth, choices)
}

fn raw_record(number: u32, wire_type: WireType, depth: usize, choices: &mut Choices) -> Vec<u8> {
    let mut record = key(number, wire_type, choices);
    record.extend(match wire_type {
        WireType::Varint => scalar(&Kind::Int64, choices),
        WireType::SixtyFourBit => scalar(&Kind::Fixed64, choices),
        WireType::ThirtyTwoBit => scalar(&Kind::Fixed32, choices),
        // Any bytes: nobody looks into them.
        WireType::LengthDelimited => delimited(&bytes(choices)),
        WireType::StartGroup | WireType::EndGroup => {
            let count = if depth == 0 { 0 } else { choices.below(3) };
            let inner = (0..count).flat_map(|_| unknown(&[], depth - 1, choices));
            let mut group: Vec<_> = inner.collect();
            group.extend(key_of_end(number, choices));
            group
        }
    });
    record
}
