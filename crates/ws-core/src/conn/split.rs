//! The two halves of a connection, for two tasks.
//!
//! Both poll the same socket, and a socket remembers one waker a direction: if
//! each half left its own there, the one that polled last would be woken for
//! what the other waits for, and the other never. So the socket is only ever
//! given one waker, which wakes both halves.

use std::{
    borrow::Borrow,
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::Connection;
use crate::{error::Error, frame::CloseFrame, message::Message};

/// The receiving half of a [`Connection`].
///
/// Answers pings and a close as the connection does, also while the writing half
/// has nothing to do or has to wait. Dropping one half leaves the other usable;
/// dropping both closes the byte stream.
pub struct Reader<S>(Arc<Shared<S>>);

/// The sending half of a [`Connection`].
pub struct Writer<S>(Arc<Shared<S>>);

struct Shared<S> {
    connection: Mutex<Connection<S>>,
    wakers: Arc<Wakers>,
    /// Wakes both halves; the only one that the socket sees.
    both: Waker,
}

#[derive(Default)]
struct Wakers {
    reader: Mutex<Option<Waker>>,
    writer: Mutex<Option<Waker>>,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        wake(&self.reader);
        wake(&self.writer);
    }
}

type Slot = Mutex<Option<Waker>>;

fn wake(slot: &Slot) {
    // Not woken under the lock: a waker may poll its task right away.
    let waker = lock(slot).take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A panic under one of these locks leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> Connection<S> {
    /// Splits the connection, so that one task receives and another one sends.
    #[must_use]
    pub fn split(self) -> (Reader<S>, Writer<S>) {
        let wakers = Arc::new(Wakers::default());
        let both = Waker::from(Arc::clone(&wakers));
        let shared = Arc::new(Shared { connection: Mutex::new(self), wakers, both });
        (Reader(Arc::clone(&shared)), Writer(shared))
    }
}

impl<S> Shared<S> {
    /// Polls the connection for one half, whose slot is `mine`.
    ///
    /// The waker is left in its slot before the connection is looked at: what
    /// changes in between wakes it.
    fn poll<T>(
        &self,
        [mine, others]: [&Slot; 2],
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Connection<S>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        *lock(mine) = Some(cx.waker().clone());
        let mut connection = lock(&self.connection);
        let before = connection.prospects();
        let polled = poll(&mut connection, &mut Context::from_waker(&self.both));
        let changed = connection.prospects() != before;
        drop(connection);
        // What the other half waits for may just have come about without the
        // socket: room to send, the end of the connection.
        if changed {
            wake(others);
        }
        polled
    }
}

impl<S> Connection<S> {
    /// What a half may wait for beside bytes.
    fn prospects(&self) -> [bool; 4] {
        [
            self.session.has_room(),
            self.session.has_transmit(),
            self.session.is_open(),
            self.dead || self.session.is_ended(),
        ]
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    /// Receives the next message, as [`Connection::next`] does.
    ///
    /// # Errors
    ///
    /// As [`Connection::next`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next) for a task that waits for several things at once.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let wakers = &self.0.wakers;
        self.0.poll([&wakers.reader, &wakers.writer], cx, |connection, cx| connection.poll_next(cx))
    }
}

impl<S> Reader<S> {
    /// Returns how many bytes were received, as [`Connection::received`] does.
    #[must_use]
    pub fn received(&self) -> u64 {
        lock(&self.0.connection).received
    }

    /// Returns the close frame that the peer sent, if it gave a code.
    #[must_use]
    pub fn close_frame(&self) -> Option<CloseFrame> {
        lock(&self.0.connection).session.close_frame().cloned()
    }

    /// Puts the connection together again.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of the same connection.
    pub fn reunite(self, writer: Writer<S>) -> Result<Connection<S>, (Self, Writer<S>)> {
        if !Arc::ptr_eq(&self.0, &writer.0) {
            return Err((self, writer));
        }
        drop(writer);
        match Arc::try_unwrap(self.0) {
            Ok(shared) => {
                Ok(shared.connection.into_inner().unwrap_or_else(PoisonError::into_inner))
            }
            // There are no more than two halves.
            Err(shared) => Err((Self(Arc::clone(&shared)), Writer(shared))),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    /// Queues `message`, as [`Connection::feed`] does.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the message was not queued.
    pub async fn feed(&mut self, message: &Message) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.queue(message)
    }

    /// Queues `message` without waiting, as [`Connection::queue`] does.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub fn queue(&mut self, message: &Message) -> Result<(), Error> {
        lock(&self.0.connection).session.send(message)
    }

    /// Queues `message` and writes everything that waits.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`Connection::send`].
    pub async fn send(&mut self, message: &Message) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Sends `messages`, as [`Connection::send_batch`] does.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`Connection::send_batch`].
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

    /// Sends a close frame. The reading half then goes on to receive until the
    /// peer has answered it; [`reunite`](Reader::reunite) and
    /// [`Connection::close`] have a deadline for that.
    ///
    /// # Errors
    ///
    /// - [`Error::Config`] if `frame` has a code that must not be sent.
    /// - [`Error::Io`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a second call goes on where the first was dropped.
    pub async fn close(&mut self, frame: Option<&CloseFrame>) -> Result<(), Error> {
        self.begin_close(frame)?;
        self.flush().await
    }

    pub(super) fn begin_close(&self, frame: Option<&CloseFrame>) -> Result<(), Error> {
        lock(&self.0.connection).session.close(frame)
    }

    /// [`flush`](Self::flush) for a task that waits for several things at once.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let wakers = &self.0.wakers;
        let slots = [&wakers.writer, &wakers.reader];
        self.0.poll(slots, cx, |connection, cx| connection.poll_flush(cx))
    }

    /// Waits until [`feed`](Self::feed) would queue at once, and writes meanwhile.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let wakers = &self.0.wakers;
        let slots = [&wakers.writer, &wakers.reader];
        self.0.poll(slots, cx, |connection, cx| connection.poll_room(cx))
    }
}

impl<S> Writer<S> {
    /// Returns whether [`feed`](Self::feed) would queue without waiting.
    #[must_use]
    pub fn has_room(&self) -> bool {
        lock(&self.0.connection).session.has_room()
    }

    /// Returns whether messages may be sent: no close was sent or received.
    #[must_use]
    pub fn is_open(&self) -> bool {
        lock(&self.0.connection).session.is_open()
    }
}

impl<S> fmt::Debug for Reader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Writer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
