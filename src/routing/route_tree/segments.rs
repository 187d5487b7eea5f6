//! A path, split at its slashes and each segment decoded for comparison.

use std::borrow::Cow;

use super::PathError;
use crate::routing::percent_encoding::{self, Slashes};

/// A segment, decoded.
pub(super) type Segment<'p> = Cow<'p, str>;

/// So many segments need no memory of their own; few paths have more.
const INLINE: usize = 12;

/// Whether some would take it for a way to another path.
pub(super) fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// `text` up to the first `separator`, and what is behind that. Segments are short: to look at
/// each byte costs less than to set up a search.
fn cut(text: &str, separator: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == separator) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// The segments of a path.
pub(super) struct Segments<'p> {
    inline: [Segment<'p>; INLINE],
    inline_count: usize,
    /// All of them, where there are too many.
    spilled: Vec<Segment<'p>>,
    /// The last one as it was sent: an encoded colon is no verb.
    last_raw: &'p str,
    has_empty: bool,
}

impl<'p> Segments<'p> {
    pub(super) fn none() -> Self {
        Self {
            inline: [const { Cow::Borrowed("") }; INLINE],
            inline_count: 0,
            spilled: Vec::new(),
            last_raw: "",
            has_empty: false,
        }
    }

    /// Takes the segments of `path`; in place, since it is long.
    pub(super) fn split(&mut self, path: &'p str) -> Result<(), PathError> {
        if path.contains('\\') {
            return Err(PathError::Backslash);
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let is_plain = !path.contains('%');
        let mut rest = Some(path);
        while let Some(left) = rest {
            let raw;
            (raw, rest) = cut(left, b'/');
            let segment = match is_plain {
                true => Cow::Borrowed(raw),
                false => percent_encoding::decode(raw, Slashes::Decode)?,
            };
            if is_dots(&segment) {
                return Err(PathError::DotSegment);
            }
            self.has_empty |= segment.is_empty();
            self.push(segment);
            self.last_raw = raw;
        }
        Ok(())
    }

    fn push(&mut self, segment: Segment<'p>) {
        if let Some(slot) = self.inline.get_mut(self.inline_count) {
            *slot = segment;
            self.inline_count += 1;
            return;
        }
        if self.spilled.is_empty() {
            self.spilled.extend(self.inline.iter_mut().map(std::mem::take));
        }
        self.spilled.push(segment);
    }

    pub(super) fn as_slice(&self) -> &[Segment<'p>] {
        match self.spilled.as_slice() {
            [] => &self.inline[..self.inline_count],
            spilled => spilled,
        }
    }

    /// Whether a segment is empty: of a `//`, or behind a slash at the end.
    pub(super) fn has_empty(&self) -> bool {
        self.has_empty
    }

    /// The last segment cut at its last colon, each part decoded.
    pub(super) fn split_verb(&self) -> Option<(Segment<'p>, Segment<'p>)> {
        let (head, verb) = self.last_raw.rsplit_once(':')?;
        let decode = |text| percent_encoding::decode(text, Slashes::Decode).ok();
        Some((decode(head)?, decode(verb)?))
    }

    /// Puts `segment` in the place of the last one, and gives that back.
    pub(super) fn replace_last(&mut self, segment: Segment<'p>) -> Segment<'p> {
        let last = match self.spilled.last_mut() {
            Some(last) => last,
            // A path has a segment at least.
            None => &mut self.inline[self.inline_count.saturating_sub(1)],
        };
        std::mem::replace(last, segment)
    }
}
