//! The messages of one call, one by one: from the caller's codec and compression to the
//! upstream's plain protobuf, and back.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;

use super::{Shared, Table, Target, call::Call, rest};
use crate::{
    protocol::{
        Codec,
        compression::{COMPRESS_FROM_BYTES, DecompressError, Encoding},
        envelope,
    },
    schema::Method,
    status::{Cause, Refusal},
    transcoding::{ReadOptions, RequestBody, RestRequest, Transcoder, WriteOptions},
};

pub(super) struct MessageCodec {
    shared: Arc<Shared>,
    table: Arc<Table>,
    target: Target,
    codec: Codec,
    /// How the caller's messages are compressed, those that are.
    encoding: Option<Encoding>,
    /// How those of the answer may be.
    accepted: Option<Encoding>,
}

/// The flags of an envelope.
const PLAIN: u8 = 0;
const COMPRESSED: u8 = 1;

impl MessageCodec {
    pub(super) fn new(
        call: &Call,
        codec: Codec,
        encoding: Option<Encoding>,
        accepted: Option<Encoding>,
    ) -> Self {
        Self {
            shared: Arc::clone(&call.shared),
            table: Arc::clone(&call.table),
            target: call.target,
            codec,
            encoding,
            accepted,
        }
    }

    pub(super) fn encoding(&self) -> Option<Encoding> {
        self.encoding
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    pub(super) fn accepted(&self) -> Option<Encoding> {
        self.accepted
    }

    /// How long a message may be as the caller writes it. JSON is as long as a body may be.
    pub(super) fn text_limit(&self) -> usize {
        match self.codec {
            Codec::Proto => self.shared.limits.message_limit_bytes,
            Codec::Json => self.shared.limits.body_limit_bytes,
        }
    }

    fn method(&self) -> &Method {
        self.table.routes.method(self.target.method)
    }

    fn transcoder(&self) -> &Transcoder {
        &self.table.served[self.target.method.schema].transcoder
    }

    /// Appends a caller's message to `out` in an envelope, as the upstream has it; of a stream,
    /// with its `place` there. What is in `out` before stays whatever happens.
    pub(super) fn read(
        &self,
        message: &[u8],
        is_compressed: bool,
        place: Option<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let start = out.len();
        let read = self.put_request(message, is_compressed, place, out);
        if read.is_err() {
            out.truncate(start);
        }
        read
    }

    fn put_request(
        &self,
        message: &[u8],
        is_compressed: bool,
        place: Option<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let message = match self.encoding {
            Some(encoding) if is_compressed => Cow::Owned(
                encoding
                    .decompress(message, self.text_limit())
                    .map_err(DecompressError::of_request)?,
            ),
            _ => Cow::Borrowed(message),
        };
        let start = out.len();
        out.extend_from_slice(&[0; envelope::HEADER_BYTES]);
        match self.codec {
            Codec::Proto => out.extend_from_slice(&message),
            Codec::Json => self.put_wire(&message, place, out)?,
        }
        let length = out.len() - start - envelope::HEADER_BYTES;
        let limit = self.shared.limits.message_limit_bytes;
        if length > limit || !envelope::close(PLAIN, out, start) {
            return Err(rest::message_too_large(length, limit));
        }
        Ok(())
    }

    fn put_wire(
        &self,
        json: &[u8],
        place: Option<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        // REST takes no body for an empty message; here each message has to be one.
        if json.trim_ascii().is_empty() {
            let message = "the message is empty: JSON has `{}` for a message without fields";
            return Err(Refusal::new(Cause::Malformed, message));
        }
        let options = ReadOptions {
            // Both sides of an RPC have the schema, and one may have a newer one.
            ignore_unknown_fields: true,
            depth_limit: rest::json_depth_limit(&self.shared.limits),
        };
        let request = RestRequest {
            input: self.method().input,
            path: &[],
            query: &[],
            body: RequestBody::Message(json),
            mask: None,
            resume: None,
        };
        self.transcoder().bind(&request, &options, out).map_err(|mut violations| {
            if let Some(place) = place {
                violations.iter_mut().for_each(|violation| rest::put_place(place, violation));
            }
            Refusal::bad_request(violations)
        })
    }

    /// Appends an upstream's message to `out` in an envelope, as the caller takes it. On a
    /// refusal `out` is as before.
    pub(super) fn write(&self, wire: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let start = out.len();
        out.extend_from_slice(&[0; envelope::HEADER_BYTES]);
        let text = out.len();
        if let Err(refusal) = self.put_text(wire, out) {
            out.truncate(start);
            return Err(refusal);
        }
        let flags = match self.compress(&out[text..]) {
            Some(compressed) => {
                out.truncate(text);
                out.extend_from_slice(&compressed);
                COMPRESSED
            }
            None => PLAIN,
        };
        if !envelope::close(flags, out, start) {
            out.truncate(start);
            let message = "the upstream's message is over 4 GiB as JSON";
            return Err(Refusal::new(Cause::UpstreamMessageTooLarge, message));
        }
        Ok(())
    }

    /// An upstream's message without an envelope, and whether it is compressed.
    pub(super) fn write_bare(&self, wire: Bytes) -> Result<(Bytes, bool), Refusal> {
        let text = match self.codec {
            Codec::Proto => wire,
            Codec::Json => {
                let mut json = Vec::with_capacity(2 * wire.len() + 64);
                self.put_text(&wire, &mut json)?;
                json.into()
            }
        };
        Ok(match self.compress(&text) {
            Some(compressed) => (compressed.into(), true),
            None => (text, false),
        })
    }

    fn put_text(&self, wire: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.codec == Codec::Proto {
            out.extend_from_slice(wire);
            return Ok(());
        }
        let output_limit_bytes = self.shared.limits.json_limit_bytes;
        let options = WriteOptions { output_limit_bytes, ..WriteOptions::default() };
        let method = self.method();
        self.transcoder()
            .wire_to_json(method.output, wire, &options, out)
            .map_err(|error| super::call::unreadable(method, &error))
    }

    fn compress(&self, text: &[u8]) -> Option<Vec<u8>> {
        let encoding = self.accepted.filter(|_| text.len() >= COMPRESS_FROM_BYTES)?;
        Some(encoding.compress(text))
    }
}
