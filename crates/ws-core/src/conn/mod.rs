//! A WebSocket over any tokio byte stream: as one, in two halves, or in a task.

#[cfg(feature = "futures")]
mod futures;
mod split;
mod task;

use std::{
    borrow::Borrow,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite};

pub use split::{Reader, Writer};
pub use task::{Handle, Queues, Receiver, TrySendError};

use crate::{
    decode::Found,
    error::{Error, Step},
    frame::{CloseFrame, OpCode},
    message::{Message, MessageRef},
    session::Session,
};

/// Reads that one call may make before it lets other tasks run.
const READS_PER_POLL: usize = 16;

/// How long a peer that has closed may take to read the answer.
const ECHO: Duration = Duration::from_secs(1);

/// One open WebSocket.
///
/// *Cancel safe* here means: a future that is dropped before it is ready
/// neither loses a message nor leaves half of one on the wire; the operation is
/// continued by whichever call comes next.
///
/// Dropping the connection closes the byte stream without a closing handshake.
#[derive(Debug)]
pub struct Connection<S> {
    io: S,
    session: Session,
    /// The stream has failed or ended; nothing more is asked of it.
    dead: bool,
    /// Bytes were written that the stream may still hold in a buffer of its own.
    unflushed: bool,
    /// How long the answer to the peer's close may take to be written.
    echo: Option<Pin<Box<tokio::time::Sleep>>>,
    received: u64,
    /// The answer to the peer's close waits for ours.
    holds_close: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) const fn new(io: S, session: Session) -> Self {
        Self {
            io,
            session,
            dead: false,
            unflushed: false,
            echo: None,
            received: 0,
            holds_close: false,
        }
    }

    /// Receives the next message; `None` after a closing handshake. A peer that has
    /// closed is given a second to take the answer.
    ///
    /// Answers pings and a close on the way, and writes what
    /// [`feed`](Self::feed) has queued.
    ///
    /// # Errors
    ///
    /// - [`Error::Protocol`], once, if the peer breaks a rule.
    /// - [`Error::UnexpectedEof`] if the stream ends without a closing handshake.
    /// - [`Error::Io`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next) without a copy: the message lies in the connection's
    /// own buffers until the next call. What a reader that parses at once wants.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn next_ref(&mut self) -> Result<Option<MessageRef<'_>>, Error> {
        let found = poll_fn(|cx| self.poll_found(cx)).await?;
        Ok(found.map(|found| self.session.view(found)))
    }

    /// Keeps the answer to the peer's close back until [`close`](Self::close) is called:
    /// [`next`](Self::next) returns `None` as soon as the peer has closed. For a server
    /// that wants to have forgotten a client before the client knows.
    pub const fn hold_close(&mut self) {
        self.holds_close = true;
    }

    /// Queues `message` as soon as fewer than [`Limits::max_out`] bytes wait;
    /// it goes out with the next [`next`](Self::next), [`flush`](Self::flush)
    /// or [`close`](Self::close).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the message was not queued.
    ///
    /// [`Limits::max_out`]: crate::Limits::max_out
    pub async fn feed(&mut self, message: &Message) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.session.send(message)
    }

    /// Queues `message` without waiting, whatever [`has_room`](Self::has_room)
    /// says.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn queue(&mut self, message: &Message) -> Result<(), Error> {
        self.session.send(message)
    }

    /// Queues `message` and writes everything that waits.
    ///
    /// # Errors
    ///
    /// - [`Error::Closed`] once a close was sent or received.
    /// - [`Error::Config`] for a ping or pong over 125 bytes.
    /// - [`Error::Io`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe in that no frame is torn; whether the message was queued is
    /// not known. Who must know uses [`feed`](Self::feed).
    pub async fn send(&mut self, message: &Message) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Sends `messages`, all in one write as far as [`Limits::max_out`] goes.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send); some of the messages may have been queued.
    ///
    /// [`Limits::max_out`]: crate::Limits::max_out
    pub async fn send_batch(
        &mut self,
        messages: impl IntoIterator<Item = impl Borrow<Message>>,
    ) -> Result<(), Error> {
        for message in messages {
            self.feed(message.borrow()).await?;
        }
        self.flush().await
    }

    /// Writes everything that waits.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Returns whether [`feed`](Self::feed) would queue without waiting.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.session.has_room()
    }

    /// Returns whether messages may be sent: no close was sent or received.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.session.is_open()
    }

    /// Returns how many bytes were received, those of messages that are not
    /// complete included: the sign of life of a slow peer.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Returns the close frame that the peer sent, if it gave a code.
    #[must_use]
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.session.close_frame()
    }

    /// Closes: sends `frame`, drops what the peer still sends until it answers,
    /// ends the stream and waits for the peer to end it too, so that nothing
    /// that was sent is lost to a reset. Takes at most `wait`. On a connection
    /// that is already closed, or failed, it only ends the stream.
    ///
    /// # Errors
    ///
    /// - [`Error::Timeout`] if the peer did not answer within `wait`.
    /// - [`Error::Config`] if `frame` has a code that must not be sent.
    /// - as [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a second call goes on where the first was dropped.
    pub async fn close(&mut self, frame: Option<&CloseFrame>, wait: Duration) -> Result<(), Error> {
        self.session.close(frame)?;
        let ended = tokio::time::timeout(wait, async {
            if !self.dead {
                while self.next().await?.is_some() {}
                self.flush().await?;
            }
            poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await.map_err(Error::Io)?;
            poll_fn(|cx| self.poll_drain(cx)).await;
            Ok(())
        });
        match ended.await {
            Ok(ended) => ended,
            // The handshake is complete; only the end of the stream is missing.
            Err(_) if self.session.is_ended() && !self.session.has_transmit() => Ok(()),
            Err(_) => Err(Error::Timeout(Step::Close)),
        }
    }

    /// [`next`](Self::next) for a task that waits for several things at once.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let found = ready!(self.poll_found(cx))?;
        Poll::Ready(Ok(found.map(|found| self.session.take(found))))
    }

    /// [`next_ref`](Self::next_ref) for hand-written futures.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn poll_next_ref(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<MessageRef<'_>>, Error>> {
        let found = ready!(self.poll_found(cx))?;
        Poll::Ready(Ok(found.map(|found| self.session.view(found))))
    }

    fn poll_found(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Found>, Error>> {
        for _ in 0..READS_PER_POLL {
            match self.session.find() {
                Ok(Some(found)) => {
                    if found.kind == OpCode::Ping {
                        // The pong goes as far as the socket takes it now; the
                        // rest goes with the next call.
                        let _best_effort = self.poll_flush(cx);
                    }
                    return Poll::Ready(Ok(Some(found)));
                }
                Ok(None) => {}
                Err(error) => {
                    // The close frame goes as far as the socket takes it now; a
                    // peer that breaks rules is not waited for.
                    let _best_effort = self.poll_flush(cx);
                    return Poll::Ready(Err(Error::Protocol(error)));
                }
            }
            if self.holds_close && self.session.is_ended() {
                return Poll::Ready(Ok(None));
            }
            // A failed write is not reported here: what the peer sent before it
            // went away is still to be read.
            let written = self.poll_flush(cx);
            if self.session.is_ended() {
                // A peer that closes and reads no more is not waited for long.
                if written.is_pending() {
                    let echo = self.echo.get_or_insert_with(|| Box::pin(tokio::time::sleep(ECHO)));
                    ready!(echo.as_mut().poll(cx));
                }
                return Poll::Ready(Ok(None));
            }
            if self.dead {
                return Poll::Ready(Err(Error::UnexpectedEof));
            }
            match ready!(self.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) => {
                    self.dead = true;
                    return Poll::Ready(Err(Error::UnexpectedEof));
                }
                Err(error) => {
                    self.dead = true;
                    return Poll::Ready(Err(error));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// [`flush`](Self::flush) for a task that waits for several things at once.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while let Some(bytes) = self.session.poll_transmit() {
            match Pin::new(&mut self.io).poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(Error::Io(io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(written)) => self.session.transmitted(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Error::Io(error))),
                Poll::Pending => return Poll::Pending,
            }
            self.unflushed = true;
        }
        // Streams that buffer (TLS) need the nudge; TCP does nothing here.
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx)).map_err(Error::Io)?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until [`feed`](Self::feed) would answer at once, and writes meanwhile.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let ready = |session: &Session| session.has_room() || !session.is_open();
        if ready(&self.session) {
            return Poll::Ready(Ok(()));
        }
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ if ready(&self.session) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    /// Reads into spare capacity, which stays uninitialised until then.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        let input = self.session.input();
        let read = std::pin::pin!(tokio::io::AsyncReadExt::read_buf(&mut self.io, input));
        let read = ready!(read.poll(cx)).map_err(|error| match error.kind() {
            // What TLS says of an end that was not announced.
            io::ErrorKind::UnexpectedEof => Error::UnexpectedEof,
            _ => Error::Io(error),
        })?;
        self.received += read as u64;
        Poll::Ready(Ok(read))
    }

    /// Reads to the end of the stream and throws it away: a stream that is
    /// dropped with unread bytes is reset, and what was sent last with it.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.session.input().clear();
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }
}

impl<S> Connection<S> {
    /// Returns the stream and the bytes of the peer that were not looked at.
    #[must_use]
    pub fn into_parts(mut self) -> (S, bytes::Bytes) {
        let input = self.session.input();
        let rest = input.copy_to_bytes(input.len());
        (self.io, rest)
    }
}
