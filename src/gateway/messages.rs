//! Messages in envelopes, on their way through: as they are, or one by one by a [`MessageCodec`].

use std::collections::VecDeque;

use bytes::Bytes;

use super::{message_codec::MessageCodec, reply};
use crate::{
    protocol::{
        compression::{DecompressError, Encoding},
        envelope::{Envelope, EnvelopeError, EnvelopeReader, EnvelopeScanner},
    },
    status::{Cause, Refusal},
};

/// The messages of a request, on their way to the upstream.
pub(super) enum RequestMessages {
    /// Bytes pass; envelopes are followed.
    Pass(EnvelopeScanner, usize),
    /// Bytes pass; what each message is when decompressed is measured first.
    Measure { encoding: Encoding, reader: EnvelopeReader, limit: usize, count: u64 },
    /// Each becomes plain protobuf.
    Recode(EnvelopeReader, MessageCodec, u64),
}

impl RequestMessages {
    pub(super) fn pass(limit: usize, encoding: Option<Encoding>) -> Self {
        match encoding {
            None => Self::Pass(EnvelopeScanner::new(limit, false), limit),
            Some(encoding) => {
                Self::Measure { encoding, reader: EnvelopeReader::new(limit), limit, count: 0 }
            }
        }
    }

    pub(super) fn recode(codec: MessageCodec) -> Self {
        Self::Recode(EnvelopeReader::new(codec.text_limit()), codec, 0)
    }

    /// How long a message may be, as the caller sends it.
    pub(super) fn limit(&self) -> usize {
        match self {
            Self::Pass(_, limit) | Self::Measure { limit, .. } => *limit,
            Self::Recode(_, codec, _) => codec.text_limit(),
        }
    }

    /// What goes on of these bytes. In a `stream` faults tell which message they are in.
    pub(super) fn take(&mut self, data: Bytes, is_stream: bool) -> Result<Bytes, Refusal> {
        let (reader, codec, count) = match self {
            Self::Pass(scanner, _) => {
                return match scanner.scan(&data) {
                    Ok(_) => Ok(data),
                    Err(error) => Err(refusal_of(error)),
                };
            }
            // The end of a message that is too large does not go on, and so the message does not.
            Self::Measure { encoding, reader, limit, count } => {
                reader.push(data.clone());
                while let Some((is_compressed, message)) = next_message(reader, true)? {
                    if is_compressed {
                        encoding.measure(&message, *limit).map_err(DecompressError::of_request)?;
                    }
                    *count += 1;
                }
                return Ok(data);
            }
            Self::Recode(reader, codec, count) => (reader, codec, count),
        };
        let mut out = Vec::new();
        reader.push(data);
        let may_be_compressed = codec.encoding().is_some();
        while let Some((is_compressed, message)) = next_message(reader, may_be_compressed)? {
            let place = is_stream.then_some(*count as usize);
            codec.read(&message, is_compressed, place, &mut out)?;
            *count += 1;
        }
        Ok(out.into())
    }

    /// Messages begun, or read, so far.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Pass(scanner, _) => scanner.messages(),
            Self::Measure { count, .. } | Self::Recode(_, _, count) => *count,
        }
    }

    /// Whether the bytes so far end where a message ends.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Pass(scanner, _) => scanner.is_complete(),
            Self::Measure { reader, .. } | Self::Recode(reader, ..) => reader.is_empty(),
        }
    }
}

/// The next message of a request, and whether it is compressed.
fn next_message(
    reader: &mut EnvelopeReader,
    may_be_compressed: bool,
) -> Result<Option<(bool, Bytes)>, Refusal> {
    let envelope = reader.next_envelope().map_err(|error| refusal_of(error.into()))?;
    let Some(Envelope { flags, payload }) = envelope else { return Ok(None) };
    match flags {
        0 => Ok(Some((false, payload))),
        1 if may_be_compressed => Ok(Some((true, payload))),
        1 => Err(refusal_of(EnvelopeError::Compressed)),
        flags => Err(refusal_of(EnvelopeError::Flags(flags))),
    }
}

/// The messages of an answer, on their way to the caller.
pub(super) enum ReplyMessages {
    /// Bytes pass; envelopes are followed.
    Pass {
        scanner: EnvelopeScanner,
        /// The beginning of a message. Where the end is told in the same bytes as the messages, it
        /// can only stand between two of them.
        held: Option<Vec<Bytes>>,
    },
    /// Each becomes what the caller takes.
    Recode(EnvelopeReader, MessageCodec, u64),
}

impl ReplyMessages {
    /// `holds`: only whole messages are handed on.
    pub(super) fn pass(limit: usize, holds: bool) -> Self {
        Self::Pass { scanner: EnvelopeScanner::new(limit, false), held: holds.then(Vec::new) }
    }

    pub(super) fn recode(limit: usize, codec: MessageCodec) -> Self {
        Self::Recode(EnvelopeReader::new(limit), codec, 0)
    }

    /// Takes bytes of an upstream that names its compression, or none, and puts into `ready` what
    /// goes on.
    pub(super) fn take(
        &mut self,
        mut data: Bytes,
        is_encoded: bool,
        ready: &mut VecDeque<Bytes>,
    ) -> Result<(), Refusal> {
        match self {
            Self::Pass { scanner, held } => {
                scanner.allow_compressed(is_encoded);
                let complete = scanner.scan(&data).map_err(reply::envelope)?;
                let Some(held) = held else {
                    ready.push_back(data);
                    return Ok(());
                };
                if complete > 0 {
                    ready.extend(held.drain(..));
                    ready.push_back(data.split_to(complete));
                }
                if !data.is_empty() {
                    held.push(data);
                }
                Ok(())
            }
            Self::Recode(reader, codec, count) => {
                reader.push(data);
                let mut out = Vec::new();
                let recoded = recode(reader, codec, count, &mut out);
                // Those before a faulty one are good.
                if !out.is_empty() {
                    ready.push_back(out.into());
                }
                recoded
            }
        }
    }

    /// Messages begun, or read, so far.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Pass { scanner, .. } => scanner.messages(),
            Self::Recode(_, _, count) => *count,
        }
    }

    /// Whether the bytes so far end where a message ends.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Pass { scanner, .. } => scanner.is_complete(),
            Self::Recode(reader, ..) => reader.is_empty(),
        }
    }
}

fn recode(
    reader: &mut EnvelopeReader,
    codec: &MessageCodec,
    count: &mut u64,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    while let Some(envelope) = reader.next_envelope().map_err(reply::too_large)? {
        let message = reply::plain(envelope)?;
        codec.write(&message, out)?;
        *count += 1;
    }
    Ok(())
}

fn refusal_of(error: EnvelopeError) -> Refusal {
    let cause = match error {
        EnvelopeError::TooLarge(_) => Cause::RequestTooLarge,
        EnvelopeError::Compressed => Cause::UnnamedEncoding,
        EnvelopeError::Flags(_) => Cause::Malformed,
    };
    Refusal::new(cause, error.to_string())
}
