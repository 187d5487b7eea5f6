//! Envelopes: five bytes of flags and length before each message, in every gRPC protocol.
//!
//! What a flag means is its protocol's affair; here are only framing and the length limit,
//! which is checked before anything is reserved for it.

use bytes::{Buf as _, Bytes, BytesMut};

/// Flags, then the length, big-endian.
pub const HEADER_BYTES: usize = 5;

/// One message of a stream, as it was framed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The first byte.
    pub flags: u8,
    /// The message.
    pub payload: Bytes,
}

/// A message longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {length} bytes is over the limit of {limit}")]
pub struct TooLarge {
    /// What its envelope announced, in bytes.
    pub length: u32,
    /// The limit, in bytes.
    pub limit: usize,
}

/// An empty buffer with room for an envelope's header, which [`finish`] fills in.
pub fn begin(capacity: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEADER_BYTES + capacity);
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    buffer
}

/// Completes the envelope whose header stands at `start` of `buffer`, and whose message is what
/// follows it. Whether it could: a message over 4 GiB has none.
pub fn close(flags: u8, buffer: &mut [u8], start: usize) -> bool {
    let length = buffer.len().checked_sub(start + HEADER_BYTES).map(u32::try_from);
    let Some(Ok(length)) = length else { return false };
    buffer[start] = flags;
    buffer[start + 1..start + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    true
}

/// Completes the envelope that [`begin`] began. None if the message is over 4 GiB.
pub fn finish(flags: u8, mut buffer: Vec<u8>) -> Option<Bytes> {
    close(flags, &mut buffer, 0).then(|| buffer.into())
}

/// Reads envelopes from chunks that end anywhere. A message that lies in one chunk is not copied.
///
/// ```
/// use transom::protocol::envelope::EnvelopeReader;
///
/// let mut reader = EnvelopeReader::new(1024);
/// reader.push((&b"\0\0\0\0\x02h"[..]).into());
/// assert_eq!(reader.next_envelope(), Ok(None));
/// reader.push((&b"i"[..]).into());
/// assert_eq!(reader.next_envelope().unwrap().unwrap().payload, "hi");
/// ```
#[derive(Debug)]
pub struct EnvelopeReader {
    limit: usize,
    current: Bytes,
    /// An envelope that began in an earlier chunk. Grows with what arrives, never by what is
    /// announced.
    partial: BytesMut,
}

impl EnvelopeReader {
    /// Refuses messages over `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, current: Bytes::new(), partial: BytesMut::new() }
    }

    /// Takes the next chunk. The one before must have been read to its end.
    pub fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.current.is_empty(), "next_envelope() has not answered None yet");
        self.current = chunk;
    }

    /// The next complete envelope; None when more bytes are needed.
    pub fn next_envelope(&mut self) -> Result<Option<Envelope>, TooLarge> {
        if self.partial.is_empty() && self.current.len() >= HEADER_BYTES {
            let (flags, length) = header(&self.current, self.limit)?;
            if self.current.len() >= HEADER_BYTES + length {
                self.current.advance(HEADER_BYTES);
                return Ok(Some(Envelope { flags, payload: self.current.split_to(length) }));
            }
        }
        self.fill(HEADER_BYTES);
        if self.partial.len() < HEADER_BYTES {
            return Ok(None);
        }
        let (flags, length) = header(&self.partial, self.limit)?;
        self.fill(HEADER_BYTES + length);
        if self.partial.len() < HEADER_BYTES + length {
            return Ok(None);
        }
        let mut payload = self.partial.split().freeze();
        payload.advance(HEADER_BYTES);
        Ok(Some(Envelope { flags, payload }))
    }

    /// Whether everything that was pushed has been read, and no envelope is incomplete.
    pub fn is_empty(&self) -> bool {
        self.current.is_empty() && self.partial.is_empty()
    }

    fn fill(&mut self, wanted: usize) {
        let missing = wanted.saturating_sub(self.partial.len()).min(self.current.len());
        self.partial.extend_from_slice(&self.current.split_to(missing));
    }
}

/// What a scanner refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A message is longer than the limit.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The first byte of an envelope is neither 0 nor 1.
    #[error("a message has the unknown flags {0:#x}")]
    Flags(u8),
    /// A message is compressed, and nobody said how.
    #[error("a message is compressed without an encoding")]
    Compressed,
}

/// Follows the envelopes in bytes that are passed on as they are.
#[derive(Debug)]
pub struct EnvelopeScanner {
    limit: usize,
    may_be_compressed: bool,
    header: [u8; HEADER_BYTES],
    header_length: usize,
    remaining: usize,
    messages: u64,
}

impl EnvelopeScanner {
    /// Refuses messages over `limit` bytes, and compressed ones unless an encoding was named.
    pub fn new(limit: usize, may_be_compressed: bool) -> Self {
        Self {
            limit,
            may_be_compressed,
            header: [0; HEADER_BYTES],
            header_length: 0,
            remaining: 0,
            messages: 0,
        }
    }

    /// Says whether an encoding was named after all.
    pub fn allow_compressed(&mut self, may_be_compressed: bool) {
        self.may_be_compressed = may_be_compressed;
    }

    /// Looks at the next bytes; answers how many of them belong to messages that are complete.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<usize, EnvelopeError> {
        let mut offset = 0;
        let mut complete = 0;
        while offset < bytes.len() {
            let content = self.remaining.min(bytes.len() - offset);
            self.remaining -= content;
            offset += content;
            if content > 0 && self.remaining == 0 {
                complete = offset;
            }
            if self.remaining > 0 || offset == bytes.len() {
                continue;
            }
            let missing = (HEADER_BYTES - self.header_length).min(bytes.len() - offset);
            self.header[self.header_length..][..missing]
                .copy_from_slice(&bytes[offset..offset + missing]);
            self.header_length += missing;
            offset += missing;
            if self.header_length == HEADER_BYTES {
                let (flags, length) = header(&self.header, self.limit)?;
                match flags {
                    0 => {}
                    1 if self.may_be_compressed => {}
                    1 => return Err(EnvelopeError::Compressed),
                    flags => return Err(EnvelopeError::Flags(flags)),
                }
                self.remaining = length;
                self.header_length = 0;
                self.messages += 1;
                if length == 0 {
                    complete = offset;
                }
            }
        }
        Ok(complete)
    }

    /// Messages begun so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether the bytes so far end where a message ends.
    pub fn is_complete(&self) -> bool {
        self.remaining == 0 && self.header_length == 0
    }
}

fn header(bytes: &[u8], limit: usize) -> Result<(u8, usize), TooLarge> {
    let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
    match usize::try_from(length) {
        Ok(bytes_long) if bytes_long <= limit => Ok((bytes[0], bytes_long)),
        _ => Err(TooLarge { length, limit }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(flags: u8, payload: &[u8]) -> Bytes {
        let mut buffer = begin(payload.len());
        buffer.extend_from_slice(payload);
        finish(flags, buffer).unwrap()
    }

    fn read_all(chunks: &[Bytes], limit: usize) -> Result<Vec<Envelope>, TooLarge> {
        let mut reader = EnvelopeReader::new(limit);
        let mut envelopes = Vec::new();
        for chunk in chunks {
            reader.push(chunk.clone());
            while let Some(envelope) = reader.next_envelope()? {
                envelopes.push(envelope);
            }
        }
        Ok(envelopes)
    }

    proptest! {
        #[test]
        fn chunks_may_end_anywhere(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6),
            cuts in prop::collection::vec(1_usize..9, 0..40),
        ) {
            let whole: Vec<u8> = messages.iter().flat_map(|m| frame(0, m).to_vec()).collect();
            let mut rest = Bytes::from(whole);
            let mut chunks = Vec::new();
            for cut in cuts {
                chunks.push(rest.split_to(cut.min(rest.len())));
            }
            chunks.push(rest);
            let read = read_all(&chunks, 100).unwrap();
            let payloads: Vec<_> = read.iter().map(|e| e.payload.to_vec()).collect();
            prop_assert_eq!(&payloads, &messages);

            let mut scanner = EnvelopeScanner::new(100, false);
            let (mut passed, mut complete) = (0, 0);
            for chunk in &chunks {
                let of_chunk = scanner.scan(chunk).unwrap();
                if of_chunk > 0 {
                    complete = passed + of_chunk;
                }
                passed += chunk.len();
            }
            prop_assert_eq!(complete, passed);
            prop_assert!(scanner.is_complete());
            prop_assert_eq!(scanner.messages(), messages.len() as u64);
        }
    }

    #[test]
    fn a_message_in_one_chunk_is_not_copied() {
        let chunk = frame(0, b"hello");
        let mut reader = EnvelopeReader::new(5);
        reader.push(chunk.clone());
        let payload = reader.next_envelope().unwrap().unwrap().payload;
        assert_eq!(payload.as_ptr(), chunk[HEADER_BYTES..].as_ptr());
        assert!(reader.is_empty());
    }

    #[test]
    fn a_length_over_the_limit_is_refused_from_its_header_alone() {
        let announced = Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]);
        let error = TooLarge { length: u32::MAX, limit: 4 };
        assert_eq!(read_all(std::slice::from_ref(&announced), 4), Err(error));
        assert_eq!(EnvelopeScanner::new(4, false).scan(&announced), Err(error.into()));
        assert!(read_all(&[frame(0, b"four")], 4).is_ok());
    }

    #[test]
    fn an_end_inside_a_message_shows() {
        let mut reader = EnvelopeReader::new(9);
        reader.push(frame(0, b"hello").slice(..7));
        assert_eq!(reader.next_envelope(), Ok(None));
        assert!(!reader.is_empty());
        let mut scanner = EnvelopeScanner::new(9, false);
        let two = [frame(0, b"a"), frame(0, b"hello").slice(..7)].concat();
        assert_eq!(scanner.scan(&two), Ok(6));
        assert!(!scanner.is_complete());
    }

    #[test]
    fn flags_are_looked_at() {
        let scan = |flags, may_be_compressed| {
            EnvelopeScanner::new(9, may_be_compressed).scan(&frame(flags, b"")).err()
        };
        assert_eq!(scan(1, true), None);
        assert_eq!(scan(1, false), Some(EnvelopeError::Compressed));
        assert_eq!(scan(0x80, true), Some(EnvelopeError::Flags(0x80)));
    }
}
