//! How long a caller is willing to wait, in each header that says so.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::status::{Cause, Refusal};

/// gRPC's form: up to eight digits and a unit, `H M S m u n`.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Connect's form: milliseconds, up to ten digits.
const CONNECT_TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");

/// Decimal seconds.
const SERVER_TIMEOUT: HeaderName = HeaderName::from_static("x-server-timeout");

type Form = fn(&str) -> Option<Duration>;

/// The smallest of the timeouts a request asks for; None where it asks for none.
pub fn requested(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let mut smallest: Option<Duration> = None;
    for (name, value) in headers {
        let Some(parse) = form_of(name) else { continue };
        let timeout = value.to_str().ok().and_then(parse).ok_or_else(|| {
            Refusal::new(Cause::Malformed, format!("the header {name} is malformed"))
        })?;
        smallest = Some(smallest.map_or(timeout, |other| other.min(timeout)));
    }
    Ok(smallest)
}

/// How the value of a header is read that says a timeout.
fn form_of(name: &HeaderName) -> Option<Form> {
    match name {
        _ if *name == GRPC_TIMEOUT => Some(parse_grpc),
        _ if *name == CONNECT_TIMEOUT => Some(parse_connect),
        _ if *name == SERVER_TIMEOUT => Some(parse_seconds),
        _ => None,
    }
}

/// A timeout in gRPC's form, never longer than `timeout`.
pub fn grpc_value(timeout: Duration) -> HeaderValue {
    const MAX_DIGITS: usize = 8;
    const MAX: u128 = 99_999_999;
    let units = [(timeout.as_micros(), 'u'), (timeout.as_millis(), 'm')];
    let fitting = units.into_iter().find(|(amount, _)| *amount <= MAX);
    let (amount, unit) = fitting.unwrap_or((u128::from(timeout.as_secs()).min(MAX), 'S'));
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(amount as u32).as_bytes();
    let mut text = [0; MAX_DIGITS + 1];
    text[..digits.len()].copy_from_slice(digits);
    text[digits.len()] = unit as u8;
    // Digits and a letter: always a valid header value.
    HeaderValue::from_bytes(&text[..=digits.len()]).unwrap_or(HeaderValue::from_static("0u"))
}

fn parse_grpc(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3_600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

fn parse_connect(text: &str) -> Option<Duration> {
    if text.is_empty() || text.len() > 10 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Duration::from_millis)
}

fn parse_seconds(text: &str) -> Option<Duration> {
    let plain = |b: u8| b.is_ascii_digit() || b == b'.';
    if text.is_empty() || text.len() > 16 || !text.bytes().all(plain) {
        return None;
    }
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&'static str, &'static str)]) -> Result<Option<Duration>, Refusal> {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        requested(&fields.iter().map(field).collect())
    }

    #[test]
    fn the_smallest_of_all_forms_holds() {
        assert_eq!(of(&[]).unwrap(), None);
        for (value, millis) in [("2H", 7_200_000), ("3M", 180_000), ("4S", 4_000), ("5m", 5)] {
            let expected = Some(Duration::from_millis(millis));
            assert_eq!(of(&[("grpc-timeout", value)]).unwrap(), expected);
        }
        assert_eq!(of(&[("grpc-timeout", "7u")]).unwrap(), Some(Duration::from_micros(7)));
        assert_eq!(of(&[("grpc-timeout", "8n")]).unwrap(), Some(Duration::from_nanos(8)));
        let both = of(&[("grpc-timeout", "1S"), ("x-server-timeout", "0.25")]).unwrap();
        assert_eq!(both, Some(Duration::from_millis(250)));
        let all = [("grpc-timeout", "1S"), ("connect-timeout-ms", "7"), ("x-server-timeout", "2")];
        assert_eq!(of(&all).unwrap(), Some(Duration::from_millis(7)));
        let longest = of(&[("connect-timeout-ms", "9999999999")]).unwrap();
        assert_eq!(longest, Some(Duration::from_millis(9_999_999_999)));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for value in ["", "S", "1", "1x", "123456789S", "-1S", "+1S", "1.5S", " 1S", "1\u{b5}"] {
            assert!(parse_grpc(value).is_none(), "{value}");
        }
        for value in ["", "12345678901", "-1", "+1", "1.5", " 1", "1s"] {
            assert!(parse_connect(value).is_none(), "{value}");
        }
        for value in ["", "x", "1e3", "-1", "inf", "1.2.3", "."] {
            assert!(parse_seconds(value).is_none(), "{value}");
        }
        assert_eq!(of(&[("grpc-timeout", "soon")]).unwrap_err().cause, Cause::Malformed);
    }

    #[test]
    fn what_is_written_is_never_longer() {
        for (timeout, value) in [
            (Duration::from_nanos(1_500), "1u"),
            (Duration::from_secs(15), "15000000u"),
            (Duration::from_secs(3_600), "3600000m"),
            (Duration::from_secs(1_000_000), "1000000S"),
        ] {
            assert_eq!(grpc_value(timeout), value);
        }
    }
}
