//! Protobuf's wire format where no schema is needed: keys, varints, fields passed over.
//!
//! Readers answer None where the bytes are malformed or cut off.

pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const DELIMITED: u8 = 2;
pub(super) const START_GROUP: u8 = 3;
pub(super) const END_GROUP: u8 = 4;
pub(super) const FIXED32: u8 = 5;

/// How deep groups may nest where they are passed over.
const GROUP_DEPTH_LIMIT: usize = 100;

/// Reads a varint of up to ten bytes.
#[inline(always)]
pub(super) fn varint(wire: &[u8], position: &mut usize) -> Option<u64> {
    let first = *wire.get(*position)?;
    if first < 0x80 {
        *position += 1;
        return Some(u64::from(first));
    }
    long_varint(wire, position)
}

fn long_varint(wire: &[u8], position: &mut usize) -> Option<u64> {
    // Up to eight bytes at once: find the last, then push the groups of seven bits together.
    if let Some(chunk) = wire.get(*position..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let last = !word & 0x8080_8080_8080_8080;
        if last != 0 {
            let bits = last.trailing_zeros() + 1;
            let groups = word & 0x7f7f_7f7f_7f7f_7f7f & (u64::MAX >> (64 - bits));
            let pairs = (groups & 0x007f_007f_007f_007f) | (groups & 0x7f00_7f00_7f00_7f00) >> 1;
            let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
            *position += bits as usize / 8;
            return Some((fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4);
        }
    }
    varint_by_bytes(wire, position)
}

/// The last bytes of a message, and varints of nine and ten bytes.
#[inline(never)]
fn varint_by_bytes(wire: &[u8], position: &mut usize) -> Option<u64> {
    let mut value = 0;
    let mut shift = 0;
    for &byte in wire.get(*position..)?.iter().take(10) {
        value |= u64::from(byte & 0x7f) << shift;
        *position += 1;
        if byte < 0x80 {
            // The tenth byte has room for one bit.
            return (shift < 63 || byte <= 1).then_some(value);
        }
        shift += 7;
    }
    None
}

/// Reads a field's key: its number, from 1 to 2²⁹ - 1, and its wire type.
#[inline(always)]
pub(super) fn tag(wire: &[u8], position: &mut usize) -> Option<(u32, u8)> {
    let tag = varint(wire, position)?;
    let (number, wire_type) = (tag >> 3, (tag & 7) as u8);
    (number != 0 && number < 1 << 29 && wire_type <= FIXED32).then_some((number as u32, wire_type))
}

/// Reads a length and answers where that many bytes start and end.
#[inline(always)]
pub(super) fn delimited(wire: &[u8], position: &mut usize) -> Option<(usize, usize)> {
    let length = varint(wire, position)?;
    let start = *position;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    if end > wire.len() {
        return None;
    }
    *position = end;
    Some((start, end))
}

/// Passes over a field behind its key.
pub(super) fn skip(wire: &[u8], position: &mut usize, number: u32, wire_type: u8) -> Option<()> {
    match wire_type {
        VARINT => {
            varint(wire, position)?;
        }
        DELIMITED => {
            delimited(wire, position)?;
        }
        FIXED64 => *position = wire.get(*position..*position + 8).map(|_| *position + 8)?,
        FIXED32 => *position = wire.get(*position..*position + 4).map(|_| *position + 4)?,
        START_GROUP => {
            group_end(wire, position, number)?;
        }
        _ => return None,
    }
    Some(())
}

/// Passes over a group behind its start, and answers where its content ends.
pub(super) fn group_end(wire: &[u8], position: &mut usize, number: u32) -> Option<usize> {
    // The numbers of the groups that are open, the outermost first.
    let mut open = [0; GROUP_DEPTH_LIMIT];
    open[0] = number;
    let mut depth = 1;
    loop {
        let at = *position;
        let (number, wire_type) = tag(wire, position)?;
        match wire_type {
            START_GROUP => {
                *open.get_mut(depth)? = number;
                depth += 1;
            }
            END_GROUP => {
                depth -= 1;
                if open[depth] != number {
                    return None;
                }
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => skip(wire, position, number, wire_type)?,
        }
    }
}

/// Appends a varint.
#[inline]
pub(super) fn put_raw_varint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
    } else {
        put_long_varint(out, value);
    }
}

fn put_long_varint(out: &mut Vec<u8>, value: u64) {
    let (bytes, count) = varint_bytes(value);
    // Copied whole and cut: two moves.
    let end = out.len() + count;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

/// A varint, and how many of the bytes are its.
pub(super) fn varint_bytes(mut value: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut count = 0;
    for byte in &mut bytes {
        count += 1;
        if value < 0x80 {
            *byte = value as u8;
            break;
        }
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    (bytes, count)
}

/// Appends a field's key.
pub(super) fn put_tag(number: u32, wire_type: u8, out: &mut Vec<u8>) {
    put_raw_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

/// Appends a length-delimited field.
pub(super) fn put_delimited(number: u32, content: &[u8], out: &mut Vec<u8>) {
    put_tag(number, DELIMITED, out);
    put_raw_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Appends a varint field.
pub(super) fn put_varint(number: u32, value: u64, out: &mut Vec<u8>) {
    put_tag(number, VARINT, out);
    put_raw_varint(out, value);
}

/// Puts the fields from `start` on into the message, or group, that is field `number`. What is
/// put into one again merges when it is read, as protobuf has it.
pub(super) fn enclose(number: u32, is_group: bool, start: usize, out: &mut Vec<u8>) {
    let end = out.len();
    if is_group {
        put_tag(number, START_GROUP, out);
    } else {
        put_tag(number, DELIMITED, out);
        put_raw_varint(out, (end - start) as u64);
    }
    let head = out.len() - end;
    out[start..].rotate_right(head);
    if is_group {
        put_tag(number, END_GROUP, out);
    }
}

/// The last occurrence of the field that `numbers` leads to, key included.
pub(super) fn find_last<N>(wire: &[u8], mut numbers: N) -> Option<&[u8]>
where
    N: Iterator<Item = u32> + Clone,
{
    let number = numbers.next()?;
    let is_leaf = numbers.clone().next().is_none();
    let mut found = None;
    for field in fields(wire).filter(|field| field.number == number) {
        if is_leaf {
            found = Some(field.whole);
        } else if field.is_message {
            found = find_last(field.content, numbers.clone()).or(found);
        }
    }
    found
}

/// One field as it stands on the wire.
pub(super) struct WireField<'w> {
    pub(super) number: u32,
    /// Key, length and content.
    pub(super) whole: &'w [u8],
    /// What is in a length-delimited field or a group; empty for any other.
    pub(super) content: &'w [u8],
    /// Whether it can be a message.
    pub(super) is_message: bool,
}

/// The top-level fields of a message, up to the first that is malformed.
pub(super) fn fields(wire: &[u8]) -> impl Iterator<Item = WireField<'_>> {
    let mut position = 0;
    std::iter::from_fn(move || {
        let start = position;
        let (number, wire_type) = tag(wire, &mut position)?;
        let value = position;
        let content: &[u8] = match wire_type {
            START_GROUP => &wire[value..group_end(wire, &mut position, number)?],
            DELIMITED => {
                let (start, end) = delimited(wire, &mut position)?;
                &wire[start..end]
            }
            _ => {
                skip(wire, &mut position, number, wire_type)?;
                &[]
            }
        };
        let whole = &wire[start..position];
        let is_message = matches!(wire_type, DELIMITED | START_GROUP);
        Some(WireField { number, whole, content, is_message })
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
        wire.extend_from_slice(&leaf);
        enclose(2, true, 0, &mut wire);
        enclose(1, false, 0, &mut wire);
        put_delimited(1, b"", &mut wire);
        assert_eq!(find_last(&wire, [1, 2, 3].into_iter()), Some(&leaf[..]));
        assert_eq!(find_last(&wire, [1, 2, 4].into_iter()), None);
        assert_eq!(find_last(&wire, [1].into_iter()), Some(&[0x0a, 0][..]));
    }

    #[test]
    fn what_is_long_is_enclosed_too() {
        let mut wire = b"before".to_vec();
        put_delimited(1, &[b'x'; 300], &mut wire);
        enclose(2, false, 6, &mut wire);
        let mut expected = b"before".to_vec();
        let mut inner = Vec::new();
        put_delimited(1, &[b'x'; 300], &mut inner);
        put_delimited(2, &inner, &mut expected);
        assert_eq!(wire, expected);
    }

    #[test]
    fn malformed_bytes_end_the_search() {
        for wire in [&[0x0a, 0xff, 0xff][..], &[0x0a], &[0xff; 20], &[0x0b, 0x0b], &[0x0c], &[9]] {
            assert!(find_last(wire, [1, 1].into_iter()).is_none());
        }
    }

    #[test]
    fn varints_have_at_most_ten_bytes_and_64_bits() {
        let read = |wire: &[u8]| varint(wire, &mut 0);
        assert_eq!(read(&[0x7f]), Some(0x7f));
        for shift in 0..64 {
            let value = 0x0123_4567_89ab_cdef_u64.rotate_left(shift) >> shift;
            let mut wire = Vec::new();
            put_raw_varint(&mut wire, value);
            assert_eq!(read(&wire), Some(value));
            let (mut position, length) = (0, wire.len());
            wire.extend([0xff; 8]);
            assert_eq!((varint(&wire, &mut position), position), (Some(value), length));
        }
        assert_eq!(read(&[0x80, 0x00]), Some(0));
        assert_eq!(
            read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Some(u64::MAX)
        );
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
        assert_eq!(read(&[0x80; 11]), None);
        assert_eq!(read(&[0x80]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn keys_have_a_number_and_a_wire_type_that_exist() {
        let read = |tag: u64| {
            let mut wire = Vec::new();
            put_raw_varint(&mut wire, tag);
            super::tag(&wire, &mut 0)
        };
        assert_eq!(read(1 << 3), Some((1, VARINT)));
        assert_eq!(read((1 << 32) - 3), Some(((1 << 29) - 1, FIXED32)));
        assert_eq!([0, 6, 1 << 3 | 6, 1 << 3 | 7, 1 << 32].map(read), [None; 5]);
    }

    #[test]
    fn groups_are_passed_over_to_their_own_end() {
        let skip = |wire: &[u8]| {
            let mut position = 0;
            let (number, wire_type) = tag(wire, &mut position)?;
            super::skip(wire, &mut position, number, wire_type).map(|()| position)
        };
        assert_eq!(skip(&[0x0b, 0x13, 0x14, 0x08, 1, 0x0c, 9]), Some(6));
        assert_eq!(skip(&[0x0b, 0x13, 0x0c, 0x14]), None);
        assert_eq!(skip(&[0x0b, 0x13, 0x14]), None);
        assert_eq!(skip(&[0x0c]), None);
        let nested = |depth| [[0x0b].repeat(depth), [0x0c].repeat(depth)].concat();
        assert_eq!(skip(&nested(100)), Some(200));
        assert_eq!(skip(&nested(101)), None);
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        assert_eq!(delimited(&[3, 1, 2], &mut 0), None);
        assert_eq!(delimited(&[2, 1, 2], &mut 0), Some((1, 3)));
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(delimited(&huge, &mut 0), None);
    }
}
