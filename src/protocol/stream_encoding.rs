//! How a REST caller gets a stream of messages: as events, as lines, or as one array.
//!
//! Whichever it is, an end can be told from a failure: by an event, by a last line with an
//! `error`, by an array that is left open while the connection breaks.

use http::{HeaderMap, HeaderValue};

use super::{accept, rest, sse};
use crate::status::Code;

/// An encoding of a stream of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEncoding {
    /// Server-sent events.
    Events,
    /// One JSON value a line, by the name the caller asked for.
    Lines(LinesName),
    /// A JSON array, written as it arrives.
    Array,
}

/// The names that newline-delimited JSON has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinesName {
    /// `application/x-ndjson`
    Ndjson,
    /// `application/jsonl`
    Jsonl,
}

/// Every media type that a stream is answered in: where a caller likes several the same, the
/// first of these is meant.
const OFFERED: [(&str, StreamEncoding); 4] = [
    (sse::MEDIA_TYPE, StreamEncoding::Events),
    ("application/x-ndjson", StreamEncoding::Lines(LinesName::Ndjson)),
    ("application/jsonl", StreamEncoding::Lines(LinesName::Jsonl)),
    ("application/json", StreamEncoding::Array),
];

impl StreamEncoding {
    /// What the caller likes best; None where it takes none of them.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let liked =
            OFFERED.iter().map(|(media, encoding)| (accept::quality(headers, media), encoding));
        // The first of the best: `max_by_key` answers the last.
        let best = liked.rev().max_by_key(|(quality, _)| *quality)?;
        (best.0 > 0).then_some(*best.1)
    }

    /// The media types a stream can be asked for, for people.
    pub const OFFERED: &str =
        "text/event-stream, application/x-ndjson, application/jsonl or application/json";

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        let offered = OFFERED.iter().find(|(_, encoding)| *encoding == self);
        offered.map_or(sse::MEDIA_TYPE, |(media, _)| media)
    }

    /// The `content-type` of an answer.
    pub fn content_type(self) -> HeaderValue {
        match self {
            Self::Events => sse::CONTENT_TYPE,
            Self::Array => rest::JSON,
            Self::Lines(_) => HeaderValue::from_static(self.media_type()),
        }
    }

    /// What a stream begins with.
    pub fn preamble(self) -> &'static [u8] {
        match self {
            Self::Events => sse::PREAMBLE,
            Self::Lines(_) => b"",
            Self::Array => b"[",
        }
    }

    /// Begins a message; `is_first` of the stream. Its JSON follows, on one line.
    pub fn begin_message(self, is_first: bool, id: Option<&str>, out: &mut Vec<u8>) {
        match self {
            Self::Events => sse::begin_event(id, out),
            Self::Lines(_) => {}
            Self::Array if is_first => {}
            Self::Array => out.push(b','),
        }
    }

    /// Ends what [`Self::begin_message`] began.
    pub fn end_message(self, out: &mut Vec<u8>) {
        match self {
            Self::Events => sse::end_event(out),
            Self::Lines(_) => out.push(b'\n'),
            Self::Array => {}
        }
    }

    /// What a complete stream ends with.
    pub fn end(self) -> &'static [u8] {
        match self {
            Self::Events => sse::END,
            Self::Lines(_) => b"",
            Self::Array => b"]",
        }
    }

    /// Writes the failure that ends a stream. False where it has no form, and the stream has to
    /// break: an array that is closed would look complete.
    pub fn put_error(self, code: Code, status_json: &[u8], out: &mut Vec<u8>) -> bool {
        match self {
            Self::Events => sse::put_error(code, status_json, out),
            Self::Lines(_) => {
                out.extend_from_slice(b"{\"error\":");
                out.extend_from_slice(status_json);
                out.extend_from_slice(b"}\n");
            }
            Self::Array => return false,
        }
        true
    }

    /// What bridges silence, where something can.
    pub fn keep_alive(self) -> Option<&'static [u8]> {
        (self == Self::Events).then_some(sse::KEEP_ALIVE)
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    #[test]
    fn the_caller_chooses_by_accept() {
        let of = |accept: &'static str| {
            let value = HeaderValue::from_static(accept);
            let headers = HeaderMap::from_iter([(header::ACCEPT, value)]);
            StreamEncoding::of(&headers).map(StreamEncoding::media_type)
        };
        assert_eq!(StreamEncoding::of(&HeaderMap::new()), Some(StreamEncoding::Events));
        for (accept, media) in [
            ("*/*", "text/event-stream"),
            ("text/event-stream", "text/event-stream"),
            ("application/x-ndjson", "application/x-ndjson"),
            ("application/jsonl", "application/jsonl"),
            ("application/json", "application/json"),
            ("application/*", "application/x-ndjson"),
            ("text/html, application/json;q=0.9, */*;q=0.8", "application/json"),
            ("application/json;q=0.5, application/x-ndjson;q=0.6", "application/x-ndjson"),
            ("application/json, text/event-stream", "text/event-stream"),
        ] {
            assert_eq!(of(accept), Some(media), "{accept}");
        }
        assert_eq!(of("text/html"), None);
        assert_eq!(of("*/*;q=0"), None);
    }
}
