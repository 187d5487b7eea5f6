//! A WebSocket as a call needs it: whole messages in, fragments out, and a pulse.
//!
//! What is on its way to a caller is in one buffer of bounded size, and no message is taken on
//! before the one ahead of it is in there: a caller that does not read stops the upstream.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, SinkExt as _, Stream as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, Sleep},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        error::ProtocolError,
        protocol::{
            CloseFrame, Role, WebSocketConfig,
            frame::{
                Frame,
                coding::{Data, OpCode},
            },
        },
    },
};

use crate::{
    config::{Deadlines, Limits},
    protocol::websocket::{Form, NOT_UTF8, PROTOCOL_ERROR, close_reason},
};

/// What is read of a socket at once.
const READ_BYTES: usize = 8 << 10;
/// What is written to a socket at once, and the longest fragment. So the buffer has twice that.
const WRITE_BYTES: usize = 32 << 10;
/// What the buffer has beside messages: pongs, of which the caller decides how many.
const CONTROL_BYTES: usize = 16 << 10;
/// After how many pulses without a sign of life a caller is gone.
const MISSED: u32 = 2;

/// What comes from a caller.
pub(super) enum Received {
    /// A message.
    Message(Form, Bytes),
    /// There will be no more messages.
    End,
    /// A message that is longer than any may be.
    TooLarge,
    /// A close frame, or the end of the connection.
    Gone,
    /// What is not WebSocket, and the close code that says so.
    Broken(u16),
}

/// The connection is lost.
#[derive(Debug)]
pub(super) struct Lost;

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        tracing::debug!(%error, "a WebSocket is lost");
        Self
    }
}

pub(super) struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    /// What is left of the message that is being sent.
    rest: Option<Rest>,
    /// Whether the caller has yet to take what is buffered.
    is_blocked: bool,
    pulse: Pin<Box<Sleep>>,
    pulse_every: Duration,
    is_heard: bool,
    missed: u32,
    close_within: Duration,
}

/// What is left of a message, and what its next fragment is.
struct Rest {
    opcode: Data,
    bytes: Bytes,
}

impl Socket {
    pub(super) async fn new(upgraded: Upgraded, limits: &Limits, deadlines: &Deadlines) -> Self {
        // Each form has a limit of its own, which is looked at once the form is known.
        let longest = limits.longest_frame_bytes();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(WRITE_BYTES)
            .max_write_buffer_size(2 * WRITE_BYTES + CONTROL_BYTES)
            .max_message_size(Some(longest))
            .max_frame_size(Some(longest));
        let io = TokioIo::new(upgraded);
        let pulse_every = Duration::from_millis(deadlines.websocket_ping_ms.max(1));
        Self {
            stream: WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await,
            rest: None,
            is_blocked: false,
            pulse: Box::pin(tokio::time::sleep(pulse_every)),
            pulse_every,
            is_heard: true,
            missed: 0,
            close_within: Duration::from_millis(deadlines.websocket_close_ms),
        }
    }

    /// What comes next. Pings are answered on the way.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            let next = ready!(Pin::new(&mut self.stream).poll_next(cx));
            self.is_heard = true;
            return Poll::Ready(match next {
                Some(Ok(Message::Text(text))) if text.is_empty() => Received::End,
                Some(Ok(Message::Text(text))) => Received::Message(Form::Text, text.into()),
                Some(Ok(Message::Binary(bytes))) => Received::Message(Form::Binary, bytes),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_))) | None => Received::Gone,
                Some(Err(error)) => match error {
                    Error::Capacity(_) => Received::TooLarge,
                    Error::Utf8(_) => Received::Broken(NOT_UTF8),
                    Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Received::Gone,
                    Error::Protocol(_) => Received::Broken(PROTOCOL_ERROR),
                    _ => Received::Gone,
                },
            });
        }
    }

    /// Waits until there is room for a message: until that before it is buffered.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        if self.is_blocked {
            ready!(self.poll_flush(cx))?;
        }
        while let Some(rest) = &mut self.rest {
            if Pin::new(&mut self.stream).poll_ready(cx)?.is_pending() {
                self.is_blocked = true;
                return Poll::Pending;
            }
            let (frame, is_last) = rest.next_fragment();
            if is_last {
                self.rest = None;
            }
            Pin::new(&mut self.stream).start_send(Message::Frame(frame))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a message. There has to be room.
    pub(super) fn send(&mut self, form: Form, bytes: Bytes) {
        debug_assert!(self.rest.is_none(), "poll_room() has not answered yet");
        let opcode = match form {
            Form::Text => Data::Text,
            Form::Binary => Data::Binary,
        };
        self.rest = Some(Rest { opcode, bytes });
    }

    /// Hands everything that is buffered to the connection.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx)?;
        let was_blocked = std::mem::replace(&mut self.is_blocked, flushed.is_pending());
        // Who takes what it is sent is alive, however far behind its pongs are.
        self.is_heard |= was_blocked && flushed.is_ready();
        flushed.map(Ok)
    }

    /// Pings the caller at times; ready when it is gone. Where nothing is read, nothing is heard.
    pub(super) fn poll_pulse(&mut self, cx: &mut Context<'_>, is_read: bool) -> Poll<Lost> {
        while self.pulse.as_mut().poll(cx).is_ready() {
            self.pulse.as_mut().reset(Instant::now() + self.pulse_every);
            let is_heard = std::mem::replace(&mut self.is_heard, false);
            self.missed = if is_heard || !is_read { 0 } else { self.missed + 1 };
            if self.missed >= MISSED {
                tracing::debug!("the caller of a WebSocket answers no ping");
                return Poll::Ready(Lost);
            }
            if self.is_blocked {
                continue;
            }
            let sent = match Pin::new(&mut self.stream).poll_ready(cx) {
                Poll::Ready(Ok(())) => {
                    Pin::new(&mut self.stream).start_send(Message::Ping(Bytes::new()))
                }
                Poll::Ready(error) => error,
                Poll::Pending => continue,
            };
            if sent.is_err() || matches!(self.poll_flush(cx), Poll::Ready(Err(_))) {
                return Poll::Ready(Lost);
            }
        }
        Poll::Pending
    }

    /// Sends `last`, closes, and waits a while for the caller to close too.
    pub(super) async fn close(mut self, last: Vec<Bytes>, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: close_reason(reason).into() };
        let within = self.close_within;
        let closing = async {
            for text in last {
                poll_fn(|cx| self.poll_room(cx)).await?;
                self.send(Form::Text, text);
            }
            poll_fn(|cx| self.poll_room(cx)).await?;
            self.stream.send(Message::Close(Some(frame))).await?;
            let mut is_answered = false;
            while let Some(received) = self.stream.next().await {
                is_answered |= matches!(received, Ok(Message::Close(_)));
            }
            if !is_answered {
                self.linger().await;
            }
            Ok::<_, Lost>(())
        };
        // Whether it came to that or not, the connection is over.
        let _ = tokio::time::timeout(within, closing).await;
    }

    /// Answers the caller's close frame.
    pub(super) async fn close_back(mut self) {
        let closing = async { while self.stream.next().await.is_some() {} };
        let _ = tokio::time::timeout(self.close_within, closing).await;
    }

    /// Reads what still comes: closing with bytes unread would reset the connection, and with it
    /// what the caller has yet to read.
    async fn linger(&mut self) {
        let io = self.stream.get_mut();
        let mut discarded = [0; 1 << 10];
        if io.shutdown().await.is_ok() {
            while matches!(io.read(&mut discarded).await, Ok(1..)) {}
        }
    }
}

impl Rest {
    /// The next fragment, and whether it is the last.
    fn next_fragment(&mut self) -> (Frame, bool) {
        let length = self.bytes.len().min(WRITE_BYTES);
        let fragment = self.bytes.split_to(length);
        let is_last = !self.bytes.has_remaining();
        let opcode = std::mem::replace(&mut self.opcode, Data::Continue);
        (Frame::message(fragment, OpCode::Data(opcode), is_last), is_last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_out_in_fragments() {
        for (length, fragments) in
            [(0, 1), (1, 1), (WRITE_BYTES, 1), (WRITE_BYTES + 1, 2), (3 * WRITE_BYTES, 3)]
        {
            let mut rest = Rest { opcode: Data::Text, bytes: vec![b'x'; length].into() };
            let (mut count, mut sent) = (0, 0);
            loop {
                let (frame, is_last) = rest.next_fragment();
                let opcode = if count == 0 { Data::Text } else { Data::Continue };
                assert_eq!(frame.header().opcode, OpCode::Data(opcode));
                assert_eq!(frame.header().is_final, is_last);
                sent += frame.payload().len();
                count += 1;
                if is_last {
                    break;
                }
            }
            assert_eq!((count, sent), (fragments, length));
        }
    }
}
