//! Closing so that the last answer is read.
//!
//! A request that is refused early has not been read to its end. Closing a socket with
//! bytes unread, or that come after the close, resets it, and the reset can overtake the answer: the
//! caller sees a broken pipe instead of why. So this side stops sending, and throws away what
//! still comes until the caller has closed too: RFC 9112, 9.6.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

/// How long a caller may go on, and how much it may send: enough to notice, too little to be held
/// up by.
const LIMIT: Duration = Duration::from_secs(1);
const LIMIT_BYTES: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Linger {
    /// Made when this side has stopped sending.
    sleep: Option<Pin<Box<Sleep>>>,
    thrown_away: usize,
}

impl Linger {
    /// Stops sending, then reads until the caller closes, or a limit is reached.
    pub(super) fn poll_shutdown(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let sleep = match &mut self.sleep {
            Some(sleep) => sleep,
            None => {
                ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                self.sleep.insert(Box::pin(tokio::time::sleep(LIMIT)))
            }
        };
        let mut space = [0; 4 << 10];
        while self.thrown_away < LIMIT_BYTES {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return sleep.as_mut().poll(cx).map(Ok),
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.thrown_away += buffer.filled().len();
                }
                // The caller has closed, in one way or another.
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
