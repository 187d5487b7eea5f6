//! A wire as what it is without a schema: records, one behind the other.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Bytes that are no sequence of records.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// Because of a key beyond 32 bits.
    pub(crate) has_long_key: bool,
}

const MALFORMED: Malformed = Malformed { has_long_key: false };

/// One record: its key, and what is in it without key, length and end of group.
pub(crate) struct Record<'w> {
    pub(crate) number: u32,
    pub(crate) wire_type: WireType,
    pub(crate) content: &'w [u8],
    pub(crate) whole: &'w [u8],
}

/// Whether there may be a varint in `wire` that is beyond 64 bits.
pub(crate) fn may_have_long_varint(wire: &[u8]) -> bool {
    let goes_on = |bytes: &[u8]| bytes[..9].iter().all(|byte| *byte >= 0x80);
    wire.windows(10).any(|bytes| goes_on(bytes) && bytes[9] > 1)
}

/// All records of `wire`.
pub(crate) fn records(wire: &[u8]) -> Result<Vec<Record<'_>>, Malformed> {
    let mut records = Vec::new();
    let mut rest = wire;
    while !rest.is_empty() {
        let start = rest;
        let (number, wire_type) = key(&mut rest)?;
        let content = match wire_type {
            WireType::StartGroup => group_content(number, &mut rest)?,
            WireType::LengthDelimited => {
                let length = decode_varint(&mut rest).map_err(|_| MALFORMED)?;
                let length = usize::try_from(length).map_err(|_| MALFORMED)?;
                let (content, after) = rest.split_at_checked(length).ok_or(MALFORMED)?;
                rest = after;
                content
            }
            _ => {
                let before = rest;
                let context = DecodeContext::default();
                skip_field(wire_type, number, &mut rest, context).map_err(|_| MALFORMED)?;
                &before[..before.len() - rest.len()]
            }
        };
        records.push(Record {
            number,
            wire_type,
            content,
            whole: &start[..start.len() - rest.len()],
        });
    }
    Ok(records)
}

fn key(rest: &mut &[u8]) -> Result<(u32, WireType), Malformed> {
    let start = *rest;
    decode_key(rest).map_err(|_| {
        let key = decode_varint(&mut { start });
        Malformed { has_long_key: key.is_ok_and(|key| u32::try_from(key).is_err()) }
    })
}

fn group_content<'w>(number: u32, rest: &mut &'w [u8]) -> Result<&'w [u8], Malformed> {
    let start = *rest;
    loop {
        let content = &start[..start.len() - rest.len()];
        let (inner, wire_type) = key(rest)?;
        if wire_type == WireType::EndGroup {
            return if inner == number { Ok(content) } else { Err(MALFORMED) };
        }
        skip_field(wire_type, inner, rest, DecodeContext::default()).map_err(|_| MALFORMED)?;
    }
}
