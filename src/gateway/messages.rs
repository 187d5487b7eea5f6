//! Messages in envelopes, on their way through: as they are, or one by one by a [`MessageCodec`].

use std::collections::VecDeque;

use bytes::Bytes;

use super::{message_codec::MessageCodec, reply};
use crate::{
    protocol::{
        compression::{DecompressError, Encoding},
        envelope::{Envelope, EnvelopeError, EnvelopeReader, EnvelopeScanner, HEADER_BYTES},
    },
    status::{Cause, Refusal},
};

/// The messages of a request, on their way to the upstream.
pub(super) struct RequestMessages {
    way: RequestWay,
    /// How long a message may be, as the caller sends it.
    limit: usize,
    /// Bytes that have come, and go on as they are.
    passing: Bytes,
    /// Messages begun, or read, so far.
    count: u64,
}

enum RequestWay {
    /// Bytes pass; envelopes are followed.
    Pass(EnvelopeScanner),
    /// Bytes pass; what each message is when decompressed is measured first.
    Measure(EnvelopeReader, Encoding),
    /// Each becomes plain protobuf.
    Recode(EnvelopeReader, Box<MessageCodec>),
}

impl RequestMessages {
    /// As they are; `encoding` is how those are compressed that are.
    pub(super) fn pass(limit: usize, encoding: Option<Encoding>) -> Self {
        let way = match encoding {
            None => RequestWay::Pass(EnvelopeScanner::new(limit, false)),
            Some(encoding) => RequestWay::Measure(EnvelopeReader::new(limit), encoding),
        };
        Self { way, limit, passing: Bytes::new(), count: 0 }
    }

    /// One by one.
    pub(super) fn recode(codec: MessageCodec) -> Self {
        let limit = codec.text_limit();
        let way = RequestWay::Recode(EnvelopeReader::new(limit), Box::new(codec));
        Self { way, limit, passing: Bytes::new(), count: 0 }
    }

    /// Whether messages are looked into, which costs more than their bytes.
    pub(super) fn are_read(&self) -> bool {
        !matches!(self.way, RequestWay::Pass(_))
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Takes the next bytes. Everything of those before must have been asked for.
    pub(super) fn push(&mut self, data: Bytes) -> Result<(), Refusal> {
        match &mut self.way {
            RequestWay::Pass(scanner) => {
                scanner.scan(&data).map_err(refusal_of)?;
                self.count = scanner.messages();
                self.passing = data;
            }
            // The end of a message that is too large does not go on, and so the message does not.
            RequestWay::Measure(reader, encoding) => {
                reader.push(data.clone());
                while let Some((is_compressed, message)) = next_message(reader, true)? {
                    if is_compressed {
                        let measured = encoding.measure(&message, self.limit);
                        measured.map_err(DecompressError::of_request)?;
                    }
                    self.count += 1;
                }
                self.passing = data;
            }
            RequestWay::Recode(reader, _) => reader.push(data),
        }
        Ok(())
    }

    /// What goes on next; None when more bytes are needed. One message at a time where they are
    /// read: few bytes can stand for many. In a stream (`is_stream`), faults tell which message
    /// they are in.
    pub(super) fn next(&mut self, is_stream: bool) -> Result<Option<Bytes>, Refusal> {
        let RequestWay::Recode(reader, codec) = &mut self.way else {
            let passing = std::mem::take(&mut self.passing);
            return Ok((!passing.is_empty()).then_some(passing));
        };
        let message = next_message(reader, codec.encoding().is_some())?;
        let Some((is_compressed, message)) = message else { return Ok(None) };
        let place = is_stream.then_some(self.count as usize);
        self.count += 1;
        let mut out = Vec::with_capacity(message.len() + HEADER_BYTES);
        codec.read(&message, is_compressed, place, &mut out)?;
        Ok(Some(out.into()))
    }

    /// Whether the bytes so far end where a message ends.
    pub(super) fn is_complete(&self) -> bool {
        match &self.way {
            RequestWay::Pass(scanner) => scanner.is_complete(),
            RequestWay::Measure(reader, _) | RequestWay::Recode(reader, _) => reader.is_empty(),
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
    Recode(EnvelopeReader, Box<MessageCodec>, u64),
}

impl ReplyMessages {
    /// `holds`: only whole messages are handed on.
    pub(super) fn pass(limit: usize, holds: bool) -> Self {
        Self::Pass { scanner: EnvelopeScanner::new(limit, false), held: holds.then(Vec::new) }
    }

    pub(super) fn recode(limit: usize, codec: MessageCodec) -> Self {
        Self::Recode(EnvelopeReader::new(limit), Box::new(codec), 0)
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
