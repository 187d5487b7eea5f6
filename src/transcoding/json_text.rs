//! JSON's leaves, written: strings, numbers, base64.
//!
//! Short runs are copied by a fixed size and cut, which the compiler turns into two moves where a
//! copy of any length is a call.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};

const ANY_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks, in the high bit of each byte of ASCII, control characters, `"` and `\`; what else is set
/// means nothing. The lowest mark is exact; those above one may be false.
#[inline(always)]
fn specials(word: u64) -> u64 {
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    control | quote | backslash
}

/// Marks, as [`specials`], what cannot be copied into a JSON string unseen: those, and everything
/// beyond ASCII.
#[inline(always)]
fn marks(word: u64) -> u64 {
    (specials(word) | word) & HIGH
}

/// Marks, as [`specials`], what ends a run of a JSON string that is read.
#[inline(always)]
pub(super) fn run_ends(word: u64) -> u64 {
    specials(word) & !word & HIGH
}

/// Whether a byte of the word is beyond ASCII.
#[inline(always)]
pub(super) fn is_beyond_ascii(word: u64) -> bool {
    word & HIGH != 0
}

/// Somebody's text as an error tells it: quoted, and not at any length.
pub(super) fn shown(text: &[u8]) -> String {
    const SHOWN: usize = 100;
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

#[inline(always)]
fn words(chunk: &[u8; 16]) -> (u64, u64) {
    let (low, high) = chunk.split_at(8);
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    (word(low), word(high))
}

/// Appends `bytes[start..end]` as a JSON string. False, and nothing appended but garbage, where
/// it is not UTF-8.
#[inline]
pub(super) fn put_string(out: &mut Vec<u8>, bytes: &[u8], start: usize, end: usize) -> bool {
    let opened = out.len();
    out.push(b'"');
    let mut at = start;
    while at < end {
        // The last chunk may reach beyond the string: what does is cut, and its marks unseen.
        let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) else {
            return put_tail(out, opened, bytes, at, start, end);
        };
        let (low, high) = words(chunk);
        let left = end - at;
        let marked = if left >= 16 {
            marks(low) | marks(high)
        } else if left >= 8 {
            marks(low) | (marks(high) & ((1 << (8 * (left - 8))) - 1))
        } else {
            marks(low) & ((1 << (8 * left)) - 1)
        };
        if marked != 0 {
            out.truncate(opened);
            return put_escaped(out, &bytes[start..end]);
        }
        out.extend_from_slice(chunk);
        at += 16;
    }
    out.truncate(opened + 1 + (end - start));
    out.push(b'"');
    true
}

/// The end of a string that the end of the input is too near to.
fn put_tail(
    out: &mut Vec<u8>,
    opened: usize,
    bytes: &[u8],
    at: usize,
    start: usize,
    end: usize,
) -> bool {
    let Some(rest) = bytes.get(at..end) else { return false };
    let plain = |&byte: &u8| (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\';
    if !rest.iter().all(plain) {
        out.truncate(opened);
        return bytes.get(start..end).is_some_and(|text| put_escaped(out, text));
    }
    out.extend_from_slice(rest);
    out.push(b'"');
    true
}

/// A string with something in it that is not plain ASCII.
#[inline(never)]
fn put_escaped(out: &mut Vec<u8>, text: &[u8]) -> bool {
    match std::str::from_utf8(text) {
        Ok(text) => {
            put_str(out, text);
            true
        }
        Err(_) => false,
    }
}

/// Appends a JSON string.
pub(super) fn put_str(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Appends a whole number.
#[inline]
pub(super) fn put_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a double: the shortest text that is it again, or a quoted `NaN`, `Infinity`.
pub(super) fn put_double(out: &mut Vec<u8>, value: f64) {
    match value.is_finite() {
        true => put_decimal(out, zmij::Buffer::new().format_finite(value)),
        false => put_not_finite(out, value),
    }
}

/// Appends a float, as [`put_double`].
pub(super) fn put_float(out: &mut Vec<u8>, value: f32) {
    match value.is_finite() {
        true => put_decimal(out, zmij::Buffer::new().format_finite(value)),
        false => put_not_finite(out, f64::from(value)),
    }
}

fn put_decimal(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
}

fn put_not_finite(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(match value {
        f64::INFINITY => b"\"Infinity\"",
        f64::NEG_INFINITY => b"\"-Infinity\"",
        _ => b"\"NaN\"",
    });
}

/// Appends bytes: a string of padded standard base64.
pub(super) fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let at = out.len();
    out.resize(at + 4 * bytes.len().div_ceil(3), 0);
    // There is room for all of it.
    let _ = BASE64_STANDARD.encode_slice(bytes, &mut out[at..]);
    out.push(b'"');
}

/// Appends the bytes that base64 stands for: either alphabet, padded or not. False, and garbage
/// appended, where it is none.
pub(super) fn put_decoded_base64(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let at = out.len();
    out.resize(at + text.len().div_ceil(4) * 3, 0);
    // Nearly always the first; texts that have characters of both alphabets are neither.
    let decoded = STANDARD
        .decode_slice(text, &mut out[at..])
        .or_else(|_| URL_SAFE.decode_slice(text, &mut out[at..]))
        .ok();
    out.truncate(at + decoded.unwrap_or(0));
    decoded.is_some()
}

/// Appends `count` bytes of `bytes` from `at` on.
#[inline(always)]
pub(super) fn put_run(out: &mut Vec<u8>, bytes: &[u8], at: usize, count: usize) {
    if count <= 32
        && let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<32>())
    {
        let end = out.len() + count;
        out.extend_from_slice(chunk);
        out.truncate(end);
    } else {
        out.extend_from_slice(&bytes[at..at + count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(put: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = b"x".to_vec();
        put(&mut out);
        String::from_utf8(out).unwrap()[1..].to_owned()
    }

    #[test]
    fn strings_are_those_of_serde_json_wherever_they_stand() {
        let texts = [
            "",
            "a",
            "plain text",
            "fifteen letters",
            "sixteen letters!",
            "seventeen letters",
            "q\"uote",
            "back\\slash",
            "\u{0}\u{1}\u{1f}\u{7f}",
            "\u{8}\u{c}\n\r\t",
            "é",
            "日本語",
            "a long text of plain letters, and then \"quotes\"",
            "🦀🦀🦀🦀🦀🦀",
            "\u{80}",
        ];
        for text in texts {
            for (before, after) in
                [("", ""), ("\"", "\""), ("\u{1}é", "\u{1}\u{2}\u{3}\"\\ééééééé")]
            {
                let whole = [before, text, after].concat();
                let (start, end) = (before.len(), before.len() + text.len());
                let found = written(|out| {
                    assert!(put_string(out, whole.as_bytes(), start, end));
                });
                assert_eq!(found, serde_json::Value::from(text).to_string());
            }
        }
    }

    #[test]
    fn each_byte_at_each_place_is_seen() {
        for place in 0..40 {
            for byte in 0..=u8::MAX {
                let mut text = [b'a'; 40];
                text[place] = byte;
                let mut out = Vec::new();
                let taken = put_string(&mut out, &text, 0, 40);
                match std::str::from_utf8(&text) {
                    Ok(text) => {
                        assert_eq!(out, serde_json::Value::from(text).to_string().as_bytes());
                    }
                    Err(_) => assert!(!taken),
                }
            }
        }
    }

    #[test]
    fn numbers_are_the_shortest_and_whole_ones_have_no_point() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (1.5, "1.5"),
            (1e300, "1e+300"),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
            (0.1, "0.1"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(written(|out| put_double(out, value)), text);
        }
        assert_eq!(written(|out| put_float(out, 0.1)), "0.1");
        assert_eq!(written(|out| put_float(out, f32::NAN)), "\"NaN\"");
    }

    #[test]
    fn base64_is_read_in_both_alphabets_padded_or_not() {
        let read = |text: &str| {
            let mut out = b"x".to_vec();
            put_decoded_base64(&mut out, text.as_bytes()).then(|| out[1..].to_vec())
        };
        for text in ["+/8=", "+/8", "-_8=", "-_8"] {
            assert_eq!(read(text), Some(vec![0xfb, 0xff]));
        }
        assert_eq!(read(""), Some(vec![]));
        for text in ["+_8=", "=", "A", "A===", "AA A", "ä", "AAAA="] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in
            [(&b""[..], "\"\""), (b"\xff", "\"/w==\""), (b"\xfb\xef\xbe", "\"++++\"")]
        {
            assert_eq!(written(|out| put_base64(out, bytes)), text);
        }
    }
}
