//! `google.protobuf.Timestamp` and `Duration` as text: RFC 3339, and seconds with an `s`.

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Some 10,000 years, either way.
const DURATION_SECONDS_LIMIT: i64 = 315_576_000_000;
const NANOS_PER_SECOND: i32 = 1_000_000_000;

/// Seconds and nanoseconds, as both messages have them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Instant {
    pub(super) seconds: i64,
    pub(super) nanos: i32,
}

/// Appends a quoted timestamp. False, and nothing appended, where it is out of range.
pub(super) fn put_timestamp(out: &mut Vec<u8>, at: Instant) -> bool {
    if !TIMESTAMP_SECONDS.contains(&at.seconds) || !(0..NANOS_PER_SECOND).contains(&at.nanos) {
        return false;
    }
    // From the first second of year 1 on, so that nothing is negative.
    let second = at.seconds.abs_diff(*TIMESTAMP_SECONDS.start());
    let (year, month, day) = civil((second / 86_400) as u32);
    let second = (second % 86_400) as u32;
    let mut text = *b"\"0000-00-00T00:00:00.000000000Z\"";
    put_two(&mut text, 1, year / 100);
    put_two(&mut text, 3, year % 100);
    put_two(&mut text, 6, month);
    put_two(&mut text, 9, day);
    put_two(&mut text, 12, second / 3600);
    put_two(&mut text, 15, second / 60 % 60);
    put_two(&mut text, 18, second % 60);
    let length = put_fraction(&mut text, 20, at.nanos.unsigned_abs());
    text[length..length + 2].copy_from_slice(b"Z\"");
    // Copied whole and cut: two moves.
    let end = out.len() + length + 2;
    out.extend_from_slice(&text);
    out.truncate(end);
    true
}

/// Appends a quoted duration. False, and nothing appended, where it is out of range or its parts
/// have different signs.
pub(super) fn put_duration(out: &mut Vec<u8>, span: Instant) -> bool {
    let Instant { seconds, nanos } = span;
    if !is_duration(span) {
        return false;
    }
    out.push(b'"');
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(seconds.unsigned_abs()).as_bytes());
    let mut text = [0; 32];
    let length = put_fraction(&mut text, 0, nanos.unsigned_abs());
    out.extend_from_slice(&text[..length]);
    out.extend_from_slice(b"s\"");
    true
}

/// Reads RFC 3339: capital `T`, `Z` or an offset, up to nine digits of a second.
pub(super) fn timestamp(text: &[u8]) -> Option<Instant> {
    let (date, rest) = text.split_first_chunk::<19>()?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| date[at] != byte) {
        return None;
    }
    let year = 100 * two(date, 0)? + two(date, 2)?;
    let (month, day) = (two(date, 5)?, two(date, 8)?);
    let (hour, minute, second) = (two(date, 11)?, two(date, 14)?, two(date, 17)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || day == 0 || day > days_in_month || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let offset = match zone {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] => {
            let zone: &[u8; 5] = zone.try_into().ok()?;
            let (hours, minutes) = (two(zone, 0)?, two(zone, 3)?);
            if zone[2] != b':' || hours > 23 || minutes > 59 {
                return None;
            }
            let offset = i64::from(hours * 3600 + minutes * 60);
            if *sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    let time = i64::from(hour * 3600 + minute * 60 + second);
    let days = i64::from(days_from_civil(year, month, day));
    let seconds = TIMESTAMP_SECONDS.start() + days * 86_400 + time - offset;
    TIMESTAMP_SECONDS.contains(&seconds).then_some(Instant { seconds, nanos })
}

/// Reads seconds with up to nine digits behind the point, and an `s`.
pub(super) fn duration(text: &[u8]) -> Option<Instant> {
    let text = text.strip_suffix(b"s")?;
    let (text, sign) = match text.strip_prefix(b"-") {
        Some(rest) => (rest, -1),
        None => (text, 1),
    };
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // Twelve digits are more than the limit; leading zeros are nobody's.
    if digits == 0 || digits > 12 {
        return None;
    }
    let (whole, rest) = text.split_at(digits);
    let seconds = whole.iter().fold(0, |n, digit| 10 * n + i64::from(digit - b'0'));
    let (nanos, rest) = fraction(rest)?;
    let span = Instant { seconds: sign * seconds, nanos: sign as i32 * nanos };
    (rest.is_empty() && is_duration(span)).then_some(span)
}

fn is_duration(Instant { seconds, nanos }: Instant) -> bool {
    let limit = DURATION_SECONDS_LIMIT;
    let one_sign = (seconds >= 0 && nanos >= 0) || (seconds <= 0 && nanos <= 0);
    let fraction = -NANOS_PER_SECOND + 1..NANOS_PER_SECOND;
    (-limit..=limit).contains(&seconds) && fraction.contains(&nanos) && one_sign
}

/// Milliseconds, microseconds or nanoseconds, as many digits as say it all, at `at`. Answers where
/// they end.
#[inline(always)]
fn put_fraction(text: &mut [u8; 32], at: usize, nanos: u32) -> usize {
    if nanos == 0 {
        return at;
    }
    let (millis, micros, rest) = (nanos / 1_000_000, nanos / 1_000 % 1_000, nanos % 1_000);
    text[at] = b'.';
    put_three(text, at + 1, millis);
    if (micros, rest) == (0, 0) {
        return at + 4;
    }
    put_three(text, at + 4, micros);
    if rest == 0 {
        return at + 7;
    }
    put_three(text, at + 7, rest);
    at + 10
}

/// Nanoseconds of `.123`, and what is behind; 0 where there is no point.
fn fraction(text: &[u8]) -> Option<(i32, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let (digits, rest) = digits.split_at(count);
    let value = digits.iter().fold(0, |n, digit| 10 * n + i32::from(digit - b'0'));
    Some((value * 10_i32.pow(9 - count as u32), rest))
}

fn two(text: &[u8], at: usize) -> Option<u32> {
    let (tens, ones) = (text[at], text[at + 1]);
    let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    digits.then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

#[inline(always)]
fn put_three(text: &mut [u8; 32], at: usize, value: u32) {
    text[at] = b'0' + (value / 100) as u8;
    put_two(text, at + 1, value % 100);
}

#[inline(always)]
fn put_two(text: &mut [u8; 32], at: usize, value: u32) {
    text[at] = b'0' + (value / 10) as u8;
    text[at + 1] = b'0' + (value % 10) as u8;
}

/// Days since 0001-01-01 → year, month, day of the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year: then the months
/// have 153 days in each five.
fn civil(days: u32) -> (u32, u32, u32) {
    const DAYS_IN_400_YEARS: u32 = 146_097;
    // From 0000-03-01.
    let days = days + 306;
    let era = days / DAYS_IN_400_YEARS;
    let day_of_era = days % DAYS_IN_400_YEARS;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
}

/// The way back of [`civil`].
fn days_from_civil(year: u32, month: u32, day: u32) -> u32 {
    let year = year - u32::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 306
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_there_and_back() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400, 1_000, "2000-02-29T00:00:00.000001Z"),
            (1_767_323_045, 6_000_000, "2026-01-02T03:04:05.006Z"),
            (*TIMESTAMP_SECONDS.start(), 0, "0001-01-01T00:00:00Z"),
            (*TIMESTAMP_SECONDS.end(), 0, "9999-12-31T23:59:59Z"),
        ] {
            let at = Instant { seconds, nanos };
            let mut out = Vec::new();
            assert!(put_timestamp(&mut out, at));
            assert_eq!(out, format!("\"{text}\"").as_bytes());
            assert_eq!(timestamp(text.as_bytes()), Some(at));
        }
    }

    #[test]
    fn every_day_of_ten_thousand_years_is_itself() {
        let mut previous = (0, 12, 31);
        for day in 0..=3_652_058 {
            let (year, month, of_month) = civil(day);
            assert_eq!(days_from_civil(year, month, of_month), day);
            assert!((year, month, of_month) > previous);
            previous = (year, month, of_month);
        }
        assert_eq!(previous, (9999, 12, 31));
    }

    #[test]
    fn offsets_are_taken_off() {
        let at = |text: &str| timestamp(text.as_bytes()).map(|at| at.seconds);
        assert_eq!(at("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(at("1969-12-31T16:30:00-07:30"), Some(0));
        assert_eq!(at("0001-01-01T00:00:00+00:01"), None);
        assert_eq!(at("9999-12-31T23:59:59-00:01"), None);
    }

    #[test]
    fn what_is_no_timestamp_is_refused() {
        for text in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-01-01 00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1970-01-32T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567890Z",
            "1970-01-01T00:00:00+0100",
            "1970-01-01T00:00:00+1:00",
            "1970-01-01T00:00:00ZZ",
            "0000-01-01T00:00:00Z",
            "1970-01-01T00:00:00,5Z",
            "+970-01-01T00:00:00Z",
            "1970-01-01T00:00:00+24:00",
        ] {
            assert_eq!(timestamp(text.as_bytes()), None, "{text}");
        }
        for at in [(-62_135_596_801, 0), (253_402_300_800, 0), (0, -1), (0, NANOS_PER_SECOND)] {
            assert!(!put_timestamp(&mut Vec::new(), Instant { seconds: at.0, nanos: at.1 }));
        }
    }

    #[test]
    fn durations_there_and_back() {
        for (seconds, nanos, text) in [
            (0, 0, "0s"),
            (1, 500_000_000, "1.500s"),
            (0, -1, "-0.000000001s"),
            (-3, -1_000, "-3.000001s"),
            (DURATION_SECONDS_LIMIT, 0, "315576000000s"),
            (-DURATION_SECONDS_LIMIT, 0, "-315576000000s"),
        ] {
            let span = Instant { seconds, nanos };
            let mut out = Vec::new();
            assert!(put_duration(&mut out, span));
            assert_eq!(out, format!("\"{text}\"").as_bytes());
            assert_eq!(duration(text.as_bytes()), Some(span));
        }
        assert_eq!(duration(b"1.5s"), Some(Instant { seconds: 1, nanos: 500_000_000 }));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "s",
            "1",
            "1.s",
            ".5s",
            "--1s",
            "+1s",
            "1.0000000001s",
            "1 s",
            "315576000001s",
            "1e2s",
            "9999999999999999999s",
        ] {
            assert_eq!(duration(text.as_bytes()), None, "{text}");
        }
        for (seconds, nanos) in [
            (DURATION_SECONDS_LIMIT + 1, 0),
            (1, -1),
            (-1, 1),
            (0, NANOS_PER_SECOND),
            (i64::MIN, 0),
            (0, i32::MIN),
        ] {
            assert!(!put_duration(&mut Vec::new(), Instant { seconds, nanos }));
        }
    }
}
