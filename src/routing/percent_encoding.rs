//! Percent-decoding, strict: RFC 3986, malformed sequences refused.
//!
//! A path is split first and decoded once, segment by segment; nothing is decoded twice.

use std::borrow::Cow;

/// What to do with an encoded slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slashes {
    /// `%2F` becomes `/`: a variable of one segment.
    Decode,
    /// `%2F` stays as it is: a variable of several segments, where `/` means something.
    Keep,
}

/// Why a text cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    /// A `%` without two hexadecimal digits behind it.
    #[error("a % must be followed by two hexadecimal digits")]
    Malformed,
    /// The decoded bytes are no text.
    #[error("the percent-encoded bytes are not valid UTF-8")]
    NotUtf8,
    /// `%00`.
    #[error("a NUL byte (%00) is not allowed")]
    Nul,
}

/// Decodes `text`; borrows where there is nothing to decode.
pub fn decode(text: &str, slashes: Slashes) -> Result<Cow<'_, str>, PercentError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (high, low) = match tail {
            [high, low, ..] => (hex(*high), hex(*low)),
            _ => (None, None),
        };
        let (Some(high), Some(low)) = (high, low) else {
            return Err(PercentError::Malformed);
        };
        rest = &tail[2..];
        match high << 4 | low {
            0 => return Err(PercentError::Nul),
            b'/' if slashes == Slashes::Keep => decoded.extend([b'%', tail[0], tail[1]]),
            byte => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| PercentError::NotUtf8)
}

/// Decodes a query's name or value: `+` is a space there.
pub fn decode_query(text: &str) -> Result<Cow<'_, str>, PercentError> {
    if !text.contains('+') {
        return decode(text, Slashes::Decode);
    }
    let spaced = text.replace('+', " ");
    decode(&spaced, Slashes::Decode).map(|text| Cow::Owned(text.into_owned()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_once_and_borrows_when_it_can() {
        assert!(matches!(decode("plain", Slashes::Decode), Ok(Cow::Borrowed("plain"))));
        assert_eq!(decode("a%20b%252F", Slashes::Decode).unwrap(), "a b%2F");
        assert_eq!(decode("a%2Fb%2f%21", Slashes::Keep).unwrap(), "a%2Fb%2f!");
        assert_eq!(decode("a%2Fb", Slashes::Decode).unwrap(), "a/b");
        assert_eq!(decode_query("a+b%2B").unwrap(), "a b+");
    }

    #[test]
    fn refuses_what_is_not_text() {
        for malformed in ["%", "%1", "a%zz", "%2", "%%41"] {
            assert_eq!(decode(malformed, Slashes::Decode), Err(PercentError::Malformed));
        }
        assert_eq!(decode("%C3%28", Slashes::Decode), Err(PercentError::NotUtf8));
        assert_eq!(decode("a%00", Slashes::Decode), Err(PercentError::Nul));
    }
}
