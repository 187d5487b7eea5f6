//! Numbers: JSON's grammar, exact integers however they are written, floats in range.

use super::{Reader, Stop, string::Text};

/// An integer's sign and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Integer {
    pub(super) negative: bool,
    pub(super) magnitude: u64,
}

impl Integer {
    /// As a signed number of so many bits.
    #[inline]
    pub(super) fn signed(self, bits: u32) -> Option<i64> {
        let limit = 1 << (bits - 1);
        match self.negative {
            true if self.magnitude <= limit => Some((self.magnitude as i64).wrapping_neg()),
            false if self.magnitude < limit => Some(self.magnitude as i64),
            _ => None,
        }
    }

    /// As an unsigned number of so many bits.
    #[inline]
    pub(super) fn unsigned(self, bits: u32) -> Option<u64> {
        let fits = self.magnitude <= u64::MAX >> (64 - bits);
        (fits && (!self.negative || self.magnitude == 0)).then_some(self.magnitude)
    }
}

impl<'a, const COLLECTS: bool> Reader<'a, COLLECTS> {
    /// Reads an integer, bare or quoted; `expected` is what an error says.
    #[inline]
    pub(super) fn integer(&mut self, expected: &str) -> Result<Integer, Stop> {
        let json = self.json;
        let quoted = self.peek() == b'"';
        let mut at = self.position + usize::from(quoted);
        let negative = json.get(at) == Some(&b'-');
        at += usize::from(negative);
        let first = at;
        let mut magnitude: u64 = 0;
        while let Some(&byte) = json.get(at)
            && byte.is_ascii_digit()
        {
            magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            at += 1;
        }
        let count = at - first;
        let is_plain = match json.get(at) {
            Some(b'"') => quoted,
            Some(b'.' | b'e' | b'E') => false,
            _ => !quoted,
        };
        // Nineteen digits fit always.
        let fits = count == 1 || ((2..=19).contains(&count) && json[first] != b'0');
        if is_plain && fits {
            self.position = at + usize::from(quoted);
            return Ok(Integer { negative, magnitude });
        }
        self.unusual_integer(quoted, expected)
    }

    #[inline(never)]
    fn unusual_integer(&mut self, quoted: bool, expected: &str) -> Result<Integer, Stop> {
        let at = self.position;
        let text = if quoted { Some(self.string()?) } else { self.number_token().ok() };
        let integer = text.and_then(|text| integer_of(self.text(text)));
        integer.ok_or_else(|| self.expected_at(at, expected))
    }

    /// Refuses the token at `at`, which was passed over already.
    #[cold]
    pub(super) fn expected_at(&mut self, at: usize, what: &str) -> Stop {
        self.position = at;
        self.expected(what)
    }

    /// Reads a double, bare or quoted.
    pub(super) fn double(&mut self) -> Result<f64, Stop> {
        let at = self.position;
        let text = self.float_text()?;
        let value = match text {
            Number::Named(value) => return Ok(value),
            Number::Decimal(text) => parse::<f64>(self.text(text)),
        };
        let found = value.filter(|value| value.is_finite());
        found.ok_or_else(|| self.expected_at(at, "a number in the range of a double"))
    }

    /// Reads a float, bare or quoted.
    pub(super) fn float(&mut self) -> Result<f32, Stop> {
        let at = self.position;
        let text = self.float_text()?;
        let value = match text {
            Number::Named(value) => return Ok(value as f32),
            Number::Decimal(text) => parse::<f32>(self.text(text)),
        };
        let found = value.filter(|value| value.is_finite());
        found.ok_or_else(|| self.expected_at(at, "a number in the range of a float"))
    }

    fn float_text(&mut self) -> Result<Number, Stop> {
        let at = self.position;
        match self.peek() {
            b'"' => {
                let text = self.string()?;
                match self.text(text) {
                    b"NaN" => Ok(Number::Named(f64::NAN)),
                    b"Infinity" => Ok(Number::Named(f64::INFINITY)),
                    b"-Infinity" => Ok(Number::Named(f64::NEG_INFINITY)),
                    quoted if token(quoted) == Some(quoted.len()) => Ok(Number::Decimal(text)),
                    _ => Err(self.expected_at(at, "a number")),
                }
            }
            b'-' | b'0'..=b'9' => self.number_token().map(Number::Decimal),
            _ => Err(self.expected("a number")),
        }
    }

    /// Passes over a number.
    pub(super) fn number_token(&mut self) -> Result<Text, Stop> {
        let start = self.position;
        let Some(length) = self.json.get(start..).and_then(token) else {
            return Err(self.expected("a number"));
        };
        self.position = start + length;
        Ok(Text::Plain(start, self.position))
    }
}

enum Number {
    Named(f64),
    Decimal(Text),
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The length of the JSON number that `text` begins with.
fn token(text: &[u8]) -> Option<usize> {
    let digits = |at: usize| text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    at += match text.get(at)? {
        // A number does not begin with a zero that it does not need.
        b'0' if text.get(at + 1).is_some_and(u8::is_ascii_digit) => return None,
        _ => Some(digits(at)).filter(|&count| count > 0)?,
    };
    if text.get(at) == Some(&b'.') {
        at += 1 + Some(digits(at + 1)).filter(|&count| count > 0)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at += Some(digits(at)).filter(|&count| count > 0)?;
    }
    Some(at)
}

/// The integer that a JSON number is exactly: `1e2` and `1.0` are integers, `1.5` is not.
pub(super) fn integer_of(text: &[u8]) -> Option<Integer> {
    if token(text)? != text.len() {
        return None;
    }
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b"0"[..]),
    };
    let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
    let is_zero = mantissa.iter().all(|byte| matches!(byte, b'0' | b'.'));
    if is_zero {
        return Some(Integer { negative, magnitude: 0 });
    }
    // An exponent too long to read is far out of every range.
    let exponent: i64 = parse(exponent.strip_prefix(b"+").unwrap_or(exponent))?;
    let mut magnitude: u64 = 0;
    // Of the digit that comes next: 0 is the last before the point.
    let mut place = exponent.checked_add(point as i64)? - 1;
    for &digit in mantissa.iter().filter(|&&byte| byte != b'.') {
        let digit = u64::from(digit - b'0');
        if place < 0 {
            if digit != 0 {
                return None;
            }
        } else {
            magnitude = magnitude.checked_mul(10)?.checked_add(digit)?;
        }
        place = place.saturating_sub(1);
    }
    // Zeros that the exponent stands for: twenty are too many already.
    if place > 20 {
        return None;
    }
    for _ in 0..=place {
        magnitude = magnitude.checked_mul(10)?;
    }
    Some(Integer { negative, magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_however_they_are_written() {
        let read = |text: &str| integer_of(text.as_bytes()).map(|i| (i.negative, i.magnitude));
        for (text, value) in [
            ("0", 0),
            ("7", 7),
            ("1e2", 100),
            ("1E+2", 100),
            ("1.50e2", 150),
            ("100e-2", 1),
            ("1.0", 1),
            ("0e999999999999999999999", 0),
            ("0.000", 0),
            ("18446744073709551615", u64::MAX),
            ("1844674407370955161.5e1", u64::MAX),
            ("0.00001e5", 1),
        ] {
            assert_eq!(read(text), Some((false, value)), "{text}");
        }
        assert_eq!(read("-0"), Some((true, 0)));
        for text in [
            "",
            "-",
            "+1",
            "01",
            "1.",
            ".1",
            "1e",
            "1e+",
            "0x1",
            " 1",
            "1 ",
            "1.5",
            "1e-1",
            "15e-1",
            "18446744073709551616",
            "0.1e-9223372036854775808",
            "1e20",
            "1e99",
            "1e999999999999999999999",
            "-",
            "--1",
            "1e1.5",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn ranges_end_where_they_should() {
        let signed = |negative, magnitude| Integer { negative, magnitude }.signed(32);
        assert_eq!(signed(true, 1 << 31), Some(i64::from(i32::MIN)));
        assert_eq!(signed(true, (1 << 31) + 1), None);
        assert_eq!(signed(false, (1 << 31) - 1), Some(i64::from(i32::MAX)));
        assert_eq!(signed(false, 1 << 31), None);
        let least = Integer { negative: true, magnitude: 1 << 63 };
        assert_eq!(least.signed(64), Some(i64::MIN));
        assert_eq!(Integer { negative: false, ..least }.signed(64), None);
        let unsigned = |negative, magnitude| Integer { negative, magnitude }.unsigned(32);
        assert_eq!(unsigned(false, u64::from(u32::MAX)), Some(u64::from(u32::MAX)));
        assert_eq!(unsigned(false, 1 << 32), None);
        assert_eq!(unsigned(true, 1), None);
        assert_eq!(unsigned(true, 0), Some(0));
        assert_eq!(Integer { negative: false, magnitude: u64::MAX }.unsigned(64), Some(u64::MAX));
    }
}
