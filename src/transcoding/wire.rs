//! Protobuf's wire format where no descriptor is needed: fields out, fields found.

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

/// Appends a length-delimited field.
pub(super) fn put_delimited(number: u32, content: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Appends a varint field.
pub(super) fn put_varint(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

/// Appends `field`, an encoded field, inside the messages that `parents` leads through. Repeated
/// calls for one parent merge when they are read, as protobuf has it.
pub(super) fn put_nested(parents: &[u32], field: &[u8], out: &mut Vec<u8>) {
    let Some((&outer, inner)) = parents.split_first() else {
        out.extend_from_slice(field);
        return;
    };
    let mut content = Vec::with_capacity(field.len() + 8 * inner.len());
    put_nested(inner, field, &mut content);
    put_delimited(outer, &content, out);
}

/// The last occurrence of the field that `numbers` leads to, key included.
pub(super) fn find_last<'w>(wire: &'w [u8], numbers: &[u32]) -> Option<&'w [u8]> {
    let (&number, inner) = numbers.split_first()?;
    let mut found = None;
    for field in fields(wire) {
        if field.number != number {
            continue;
        }
        if inner.is_empty() {
            found = Some(field.whole);
        } else if field.is_delimited {
            found = find_last(field.content, inner).or(found);
        }
    }
    found
}

/// One field as it stands on the wire.
pub(super) struct WireField<'w> {
    pub(super) number: u32,
    /// Key, length and content.
    pub(super) whole: &'w [u8],
    /// The content of a length-delimited field; empty for any other.
    pub(super) content: &'w [u8],
    pub(super) is_delimited: bool,
}

/// The top-level fields of a message, up to the first that is malformed. Groups are skipped.
pub(super) fn fields(wire: &[u8]) -> impl Iterator<Item = WireField<'_>> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        loop {
            let start = rest;
            let (number, r#type) = decode_key(&mut rest).ok()?;
            let mut content: &[u8] = &[];
            let length = match r#type {
                WireType::Varint => {
                    decode_varint(&mut rest).ok()?;
                    0
                }
                WireType::SixtyFourBit => 8,
                WireType::ThirtyTwoBit => 4,
                WireType::LengthDelimited => {
                    let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                    content = rest.get(..length)?;
                    length
                }
                WireType::StartGroup => {
                    let context = prost::encoding::DecodeContext::default();
                    prost::encoding::skip_field(r#type, number, &mut rest, context).ok()?;
                    continue;
                }
                WireType::EndGroup => return None,
            };
            rest = rest.get(length..)?;
            let whole = &start[..start.len() - rest.len()];
            let is_delimited = r#type == WireType::LengthDelimited;
            return Some(WireField { number, whole, content, is_delimited });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_occurrence_is_found_through_merged_parents() {
        let mut wire = Vec::new();
        let mut leaf = Vec::new();
        put_varint(3, 7, &mut leaf);
        put_nested(&[1, 2], &leaf, &mut wire);
        put_delimited(1, b"", &mut wire);
        assert_eq!(find_last(&wire, &[1, 2, 3]), Some(&leaf[..]));
        assert_eq!(find_last(&wire, &[1, 2, 4]), None);
        assert_eq!(find_last(&wire, &[1]), Some(&[0x0a, 0][..]));
    }

    #[test]
    fn malformed_bytes_end_the_search() {
        for wire in [&[0x0a, 0xff, 0xff][..], &[0x0a], &[0xff; 20], &[0x0b, 0x0b], &[0x0c], &[9]] {
            assert!(find_last(wire, &[1, 1]).is_none());
        }
    }
}
