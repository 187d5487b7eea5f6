//! A caller's socket: which HTTP it speaks, and how long a caller may keep it waiting.
//!
//! hyper has no timer before it knows the version, and none for a caller that takes nothing; both
//! gaps are closed here.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{head_timer::HeadTimer, linger::Linger};

/// What every HTTP/2 connection begins with: RFC 9113, 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Http {
    One,
    Two,
}

/// What the first bytes of a connection told.
pub(super) struct Sniffed {
    pub(super) http: Http,
    /// The bytes, which belong to the first request.
    pub(super) read: Bytes,
}

/// Reads until it is clear which HTTP the caller speaks.
pub(super) async fn sniff(stream: &mut TcpStream) -> io::Result<Sniffed> {
    let mut read = BytesMut::with_capacity(1 << 10);
    loop {
        let count = stream.read_buf(&mut read).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let compared = read.len().min(PREFACE.len());
        let http = match read[..compared] == PREFACE[..compared] {
            false => Http::One,
            true if compared == PREFACE.len() => Http::Two,
            true => continue,
        };
        return Ok(Sniffed { http, read: read.freeze() });
    }
}

/// Which requests of a connection are being answered: between those of HTTP/1, bytes are a head.
#[derive(Clone, Debug)]
pub(super) struct HeadClock(Arc<Calls>);

#[derive(Debug, Default)]
struct Calls {
    open: AtomicUsize,
    /// Calls begun so far.
    begun: AtomicUsize,
    /// Calls begun and writes so far: what changes while something happens.
    progress: AtomicUsize,
    /// Whether a write waits for the caller to take what was sent before.
    is_writing: AtomicBool,
}

impl HeadClock {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// A head is complete; its call lasts until the guard is dropped.
    pub(super) fn begin_call(&self) -> Busy {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        count(&self.0.begun);
        count(&self.0.progress);
        Busy(self.clone())
    }

    fn note_write(&self, is_waiting: bool) {
        self.0.is_writing.store(is_waiting, Ordering::Relaxed);
        count(&self.0.progress);
    }

    /// How many calls were begun.
    pub(super) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Waits until no call was open and nothing was sent for `limit`, or up to twice that. An
    /// answer is on its way for longer than its call: it waits in buffers. A write that waits is
    /// timed by its stall alone.
    pub(super) async fn idle_for(&self, limit: Duration) {
        let mut before = None;
        loop {
            let progress = self.0.progress.load(Ordering::Relaxed);
            let is_idle = self.is_idle() && !self.is_writing();
            if is_idle && before == Some(progress) {
                return;
            }
            before = is_idle.then_some(progress);
            tokio::time::sleep(limit).await;
        }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.0.is_writing.load(Ordering::Relaxed)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) == 0
    }
}

/// Only the connection's own task counts, so that no other's count can be lost in between.
fn count(counter: &AtomicUsize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

pub(super) struct Busy(HeadClock);

impl Busy {
    pub(super) fn until_end_of(self, body: Body) -> BusyBody {
        BusyBody { body, _busy: self }
    }

    /// For as long as the connection: it is no longer HTTP, and no head will come.
    pub(super) fn for_good(&self) {
        self.0.0.open.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body; hyper drops it when it is sent.
pub(super) struct BusyBody {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket whose first bytes were already read.
pub(super) struct CallerIo {
    stream: TcpStream,
    read: Bytes,
    head: Option<HeadTimer>,
    clock: HeadClock,
    stall: Stall,
    linger: Linger,
    closed: CancellationToken,
    _closes: DropGuard,
}

/// How long a write has been waiting for a caller that takes nothing.
struct Stall {
    limit: Duration,
    /// Made only for a write that has to wait.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl CallerIo {
    /// A connection that closes when its caller takes nothing for as long as `stall`.
    pub(super) fn new(stream: TcpStream, read: Bytes, clock: HeadClock, stall: Duration) -> Self {
        let stall = Stall { limit: stall, sleep: None };
        let closed = CancellationToken::new();
        let _closes = closed.clone().drop_guard();
        let linger = Linger::default();
        Self { stream, read, head: None, clock, stall, linger, closed, _closes }
    }

    /// Cancelled when the socket is dropped, by whoever has it by then.
    pub(super) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// The same, with limits for HTTP/1: for the wait for a head, and for each head.
    pub(super) fn with_head_limits(mut self, keep_alive: Duration, head: Duration) -> Self {
        self.head = Some(HeadTimer::new(self.clock.clone(), keep_alive, head));
        self
    }
}

impl Stall {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.sleep = None;
            return written;
        }
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        match sleep.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let message = "the caller takes nothing of what it is sent";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
            }
        }
    }
}

impl AsyncRead for CallerIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.has_remaining() {
            let count = this.read.len().min(buffer.remaining());
            buffer.put_slice(&this.read.split_to(count));
            if this.read.is_empty() {
                // An empty rest would keep the memory of the whole.
                this.read = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some(head) = &mut this.head {
            let read = match &result {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len() > before)),
                Poll::Ready(Err(_)) => return result,
                Poll::Pending => Poll::Pending,
            };
            head.poll(cx, &read)?;
        }
        result
    }
}

impl AsyncWrite for CallerIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.clock.note_write(written.is_pending());
        self.stall.poll(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        // Behind an answer hyper does not read again before something comes.
        if let Some(head) = &mut this.head {
            head.poll(cx, &Poll::Pending)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // No head is waited for any more, and lingering has a limit of its own.
        this.head = None;
        this.linger.poll_shutdown(&mut this.stream, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.clock.note_write(written.is_pending());
        self.stall.poll(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
