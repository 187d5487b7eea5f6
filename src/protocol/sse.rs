//! Server-sent events: a stream of messages for `EventSource`.
//!
//! Follows the HTML standard's `text/event-stream`. Messages are unnamed events, so that
//! `onmessage` sees them; an end and an error are named ones, so that neither is mistaken for
//! the other or for a lost connection.

use http::{HeaderName, HeaderValue};

use crate::status::Code;

/// The media type.
pub const MEDIA_TYPE: &str = "text/event-stream";

/// What an answer says of itself.
pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static(MEDIA_TYPE);

/// The id of the last event that a caller has seen.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The id behind which there is nothing: a reconnect that names it is answered 204, on which
/// `EventSource` stops.
pub const END_ID: &str = "transom-end";

/// What every stream begins with: how long to wait before reconnecting, in milliseconds.
pub const PREAMBLE: &[u8] = b"retry: 3000\n\n";

/// A comment that keeps intermediaries from closing a quiet stream.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// The event that says the stream is complete.
pub const END: &[u8] = b"event: end\nid: transom-end\ndata: {}\n\n";

/// Begins an event: its id, if it has one, and the field that the JSON follows. JSON on one line.
pub fn begin_event(id: Option<&str>, out: &mut Vec<u8>) {
    // An id with a line break or a NUL would end the field, or be ignored.
    if let Some(id) = id.filter(|id| !id.contains(['\n', '\r', '\0'])) {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
}

/// Ends what [`begin_event`] began.
pub fn end_event(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\n\n");
}

/// The event of a failed call. A permanent failure carries the end's id, so that a reconnect
/// stops; one worth retrying keeps the last message's id, so that a reconnect resumes there.
pub fn put_error(code: Code, status_json: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: error\n");
    begin_event((!code.is_worth_retrying()).then_some(END_ID), out);
    out.extend_from_slice(status_json);
    end_event(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_a_permanent_error_ends_the_reconnecting() {
        assert_eq!(
            text(|out| put_error(Code::NotFound, b"{}", out)),
            "event: error\nid: transom-end\ndata: {}\n\n"
        );
        assert_eq!(
            text(|out| put_error(Code::Unavailable, b"{}", out)),
            "event: error\ndata: {}\n\n"
        );
    }

    #[test]
    fn an_id_cannot_break_out_of_its_line() {
        assert_eq!(text(|out| begin_event(Some("a\ndata: x"), out)), "data: ");
        assert_eq!(text(|out| begin_event(Some("7"), out)), "id: 7\ndata: ");
    }
}
