//! `Accept`: what a caller takes, by RFC 9110, 12.5.1.

use http::{HeaderMap, header};

use super::{media_type, values};

/// Whether the request says what it takes.
pub fn is_said(headers: &HeaderMap) -> bool {
    values(headers, header::ACCEPT).next().is_some()
}

/// Whether the request takes `media`, like `application/json`. No header takes everything.
pub fn accepts(headers: &HeaderMap, media: &str) -> bool {
    quality(headers, media) > 0
}

/// Whether the request names `media` itself, and not only a range that it is in.
pub fn names(headers: &HeaderMap, media: &str) -> bool {
    let range = range_of(headers, media);
    range.is_some_and(|range| specificity(range, media) == Some(2) && q(range) > 0)
}

/// The q-value of `media` in thousandths; the most specific range that covers it counts.
pub fn quality(headers: &HeaderMap, media: &str) -> u16 {
    if !is_said(headers) {
        return 1_000;
    }
    range_of(headers, media).map_or(0, q)
}

/// The parameters of the media range that covers `media` most specifically, `q` excepted: names
/// as they are written, values without quotes.
pub fn parameters<'h>(
    headers: &'h HeaderMap,
    media: &str,
) -> impl Iterator<Item = (&'h str, &'h str)> {
    let range = range_of(headers, media).unwrap_or_default();
    range.split(';').skip(1).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        (!name.eq_ignore_ascii_case("q")).then_some((name, value))
    })
}

/// The most specific media range that covers `media`.
fn range_of<'h>(headers: &'h HeaderMap, media: &str) -> Option<&'h str> {
    let values = values(headers, header::ACCEPT).filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(','));
    let covering = ranges.filter_map(|range| Some((specificity(range, media)?, range)));
    covering.max_by_key(|(specificity, _)| *specificity).map(|(_, range)| range)
}

fn specificity(range: &str, media: &str) -> Option<u8> {
    let range = std::str::from_utf8(media_type(range.as_bytes())).ok()?;
    let (kind, _) = media.split_once('/')?;
    match range.split_once('/')? {
        _ if range.eq_ignore_ascii_case(media) => Some(2),
        (wanted, "*") if wanted.eq_ignore_ascii_case(kind) => Some(1),
        ("*", "*") => Some(0),
        _ => None,
    }
}

fn q(range: &str) -> u16 {
    let parameter = range.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    match parameter.map(str::parse::<f32>) {
        None => 1_000,
        Some(Ok(value)) if (0.0..=1.0).contains(&value) => (value * 1_000.0) as u16,
        Some(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_counts() {
        let quality_of = |accept: &'static str, media: &str| {
            let value = http::HeaderValue::from_static(accept);
            quality(&HeaderMap::from_iter([(header::ACCEPT, value)]), media)
        };
        assert_eq!(quality_of("text/html, */*;q=0.8", "application/json"), 800);
        assert_eq!(quality_of("*/*, application/json;q=0", "application/json"), 0);
        assert_eq!(quality_of("Application/*; q=0.5", "application/json"), 500);
        assert_eq!(quality_of("text/html", "application/json"), 0);
        assert_eq!(quality_of("text/event-stream", "text/event-stream"), 1_000);
        assert_eq!(quality_of("text/event-stream;q=x", "text/event-stream"), 0);
        assert!(accepts(&HeaderMap::new(), "application/json"));
        let names_it = |accept: &'static str| {
            let value = http::HeaderValue::from_static(accept);
            names(&HeaderMap::from_iter([(header::ACCEPT, value)]), "application/json")
        };
        assert!(names_it("*/*, application/json") && !names_it("*/*"));
        assert!(!names_it("application/json;q=0"));
    }
}
