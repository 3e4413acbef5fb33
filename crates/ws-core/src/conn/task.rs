//! A connection that a task owns: anyone may send through a handle, one
//! receives.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::Instant,
};

use super::Connection;
use crate::{
    error::Error,
    frame::{CloseFrame, MAX_CONTROL},
    message::Message,
};

/// Bounds of the queue between the task and its [`Handle`]s, and of the one
/// between the task and its [`Receiver`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Queues {
    /// Most messages in each queue, 1 to 2^20. Default 1,024.
    pub messages: usize,
    /// Most bytes of payload in each queue, 1 to 2^28. Default 4 MiB. A longer
    /// message is let through alone.
    pub bytes: u32,
}

impl Default for Queues {
    fn default() -> Self {
        Self { messages: 1024, bytes: 4 << 20 }
    }
}

impl Queues {
    /// Sets the most messages in each queue.
    #[must_use]
    pub const fn messages(mut self, messages: usize) -> Self {
        self.messages = messages;
        self
    }

    /// Sets the most bytes of payload in each queue.
    #[must_use]
    pub const fn bytes(mut self, bytes: u32) -> Self {
        self.bytes = bytes;
        self
    }

    const fn within_range(self) -> Self {
        let messages = match self.messages {
            0 => 1,
            messages if messages > 1 << 20 => 1 << 20,
            messages => messages,
        };
        let bytes = match self.bytes {
            0 => 1,
            bytes if bytes > 1 << 28 => 1 << 28,
            bytes => bytes,
        };
        Self { messages, bytes }
    }
}

/// Sends through the task that owns the connection; a clone is cheap.
///
/// When the last handle and the receiver are dropped, the task ends at once, and
/// what is still queued is lost: [`close`](Self::close) sends it before.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Queued>,
    closes: mpsc::Sender<Asked>,
    bytes: Bytes,
}

/// Receives from the task that owns the connection.
///
/// While nobody takes what has arrived and its queue is full, the task stops
/// reading, so that the peer has to wait; it still sends. Dropped, what arrives
/// is thrown away. When all handles are gone too, so is the connection.
#[derive(Debug)]
pub struct Receiver {
    items: mpsc::Receiver<Item>,
    closed: Arc<OnceLock<CloseFrame>>,
}

/// A message that could not be queued at once, given back.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TrySendError {
    /// The queue is full.
    Full(Message),
    /// The connection is closed or lost.
    Closed(Message),
    /// A ping or pong of over 125 bytes, which cannot be sent at all.
    Invalid(Message),
}

/// What is counted goes with the message, and comes back when it is taken.
type Queued = (Message, OwnedSemaphorePermit);

/// How to close, and who waits for it. It does not stand behind what is queued:
/// its time begins when it is asked for.
#[derive(Debug)]
struct Asked {
    frame: Option<CloseFrame>,
    deadline: Instant,
    done: oneshot::Sender<Result<(), Error>>,
}

type Item = Result<(Message, OwnedSemaphorePermit), Error>;

/// Counts the payload in a queue.
#[derive(Clone, Debug)]
struct Bytes {
    left: Arc<Semaphore>,
    most: u32,
}

impl Bytes {
    fn new(most: u32) -> Self {
        Self { left: Arc::new(Semaphore::new(most as usize)), most }
    }

    fn needed(&self, message: &Message) -> u32 {
        u32::try_from(message.payload_len()).unwrap_or(u32::MAX).min(self.most)
    }
}

impl Handle {
    /// Queues `message`; waits while the queue is full. `Ok` means queued, not
    /// written.
    ///
    /// # Errors
    ///
    /// - [`Error::Closed`] if the connection is closed or lost; the [`Receiver`]
    ///   is told the reason.
    /// - [`Error::Config`] for a ping or pong of over 125 bytes; nothing else
    ///   comes of it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the message was not queued.
    pub async fn send(&self, message: Message) -> Result<(), Error> {
        if is_too_long(&message) {
            return Err(Error::Config("a ping or pong takes at most 125 bytes".into()));
        }
        let needed = self.bytes.needed(&message);
        let bytes = Arc::clone(&self.bytes.left).acquire_many_owned(needed).await;
        let bytes = bytes.map_err(|_| Error::Closed)?;
        self.commands.send((message, bytes)).await.map_err(|_| Error::Closed)
    }

    /// Queues `message` if that needs no waiting.
    ///
    /// # Errors
    ///
    /// The message, with the reason.
    pub fn try_send(&self, message: Message) -> Result<(), TrySendError> {
        if is_too_long(&message) {
            return Err(TrySendError::Invalid(message));
        }
        let needed = self.bytes.needed(&message);
        let Ok(bytes) = Arc::clone(&self.bytes.left).try_acquire_many_owned(needed) else {
            return Err(match self.commands.is_closed() {
                true => TrySendError::Closed(message),
                false => TrySendError::Full(message),
            });
        };
        match self.commands.try_reserve() {
            Ok(slot) => {
                slot.send((message, bytes));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(())) => Err(TrySendError::Full(message)),
            Err(mpsc::error::TrySendError::Closed(())) => Err(TrySendError::Closed(message)),
        }
    }

    /// Sends what is queued, closes as [`Connection::close`] does and ends the
    /// task, all within `wait`; the [`Receiver`] comes to its end.
    ///
    /// # Errors
    ///
    /// - [`Error::Closed`] if the connection is closed or lost already.
    /// - [`Error::Config`] if `frame` has a code that must not be sent; nothing
    ///   else comes of it.
    /// - as [`Connection::close`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it was first polled, nothing was asked; later, the
    /// connection is closed all the same.
    pub async fn close(&self, frame: Option<CloseFrame>, wait: Duration) -> Result<(), Error> {
        if let Some(code) = frame.as_ref().map(|frame| frame.code)
            && !code.is_allowed_on_wire()
        {
            return Err(Error::Config(format!("close code {code} must not be sent")));
        }
        let ((done, closed), deadline) = (oneshot::channel(), Instant::now() + wait);
        let asked = self.closes.send(Asked { frame, deadline, done }).await;
        asked.map_err(|_| Error::Closed)?;
        closed.await.map_err(|_| Error::Closed)?
    }
}

fn is_too_long(message: &Message) -> bool {
    matches!(message, Message::Ping(_) | Message::Pong(_)) && message.payload_len() > MAX_CONTROL
}

impl Receiver {
    /// Receives the next message other than a ping, which is answered and not
    /// told; `None` after a closing handshake.
    ///
    /// # Errors
    ///
    /// As [`Connection::next`], once.
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
        self.items.poll_recv(cx).map(|item| item.transpose().map(|item| item.map(|(m, _)| m)))
    }

    /// Returns the close frame that the peer sent, if it gave a code; known when
    /// [`next`](Self::next) has come to its end.
    #[must_use]
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.closed.get()
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection<S> {
    /// Gives the connection to a task of its own, spawned on the current tokio
    /// runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as [`tokio::spawn`]; [`task`](Self::task) does
    /// not.
    pub fn spawn(self, queues: Queues) -> (Handle, Receiver) {
        let (handle, receiver, task) = self.task(queues);
        drop(tokio::spawn(task));
        (handle, receiver)
    }

    /// [`spawn`](Self::spawn) for whoever spawns the task in a way of his own.
    /// Nothing is sent or received but by the returned future.
    ///
    /// The task sends all that is queued at a time in one write.
    pub fn task(self, queues: Queues) -> (Handle, Receiver, impl Future<Output = ()> + Send) {
        let queues = queues.within_range();
        let (commands, taken) = mpsc::channel(queues.messages);
        let (closes, asked) = mpsc::channel(1);
        let closed = Arc::new(OnceLock::new());
        let (out, items) = mpsc::channel(queues.messages);
        let watched = out.clone();
        let task = Task {
            connection: self,
            commands: taken,
            asked,
            handles: true,
            closed: Arc::clone(&closed),
            gone: Box::pin(async move { watched.closed().await }),
            out,
            bytes: Bytes::new(queues.bytes),
            held: None,
        };
        let handle = Handle { commands, closes, bytes: Bytes::new(queues.bytes) };
        (handle, Receiver { items, closed }, task.run())
    }
}

struct Task<S> {
    connection: Connection<S>,
    commands: mpsc::Receiver<Queued>,
    asked: mpsc::Receiver<Asked>,
    /// Somebody may send or close.
    handles: bool,
    closed: Arc<OnceLock<CloseFrame>>,
    out: mpsc::Sender<Item>,
    /// Ends with the receiver.
    gone: Waiting,
    bytes: Bytes,
    /// A message that its queue has no room for; nothing is read meanwhile.
    held: Option<Waiting>,
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a task ends.
enum End {
    Asked(Asked),
    /// The peer closed.
    Peace,
    /// Nobody is left.
    Abandoned,
    Failed(Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Task<S> {
    async fn run(mut self) {
        let end = poll_fn(|cx| self.poll(cx)).await;
        let Self { mut connection, mut commands, held, out, closed, .. } = self;
        // Who comes now is told that it is too late.
        commands.close();
        let failed = match end {
            End::Asked(Asked { frame, deadline, done }) => {
                let rest = async {
                    while let Ok((message, _counted)) = commands.try_recv() {
                        connection.feed(&message).await?;
                    }
                    Ok::<(), Error>(())
                };
                // What cannot be sent in time is lost; closing says why.
                let _sent = tokio::time::timeout_at(deadline, rest).await;
                let wait = deadline.saturating_duration_since(Instant::now());
                let _gone = done.send(connection.close(frame.as_ref(), wait).await);
                None
            }
            End::Peace | End::Abandoned => None,
            End::Failed(error) => Some(error),
        };
        if let Some(frame) = connection.close_frame() {
            let _first = closed.set(frame.clone());
        }
        drop((connection, commands));
        // The receiver may take its time; it holds nobody up any more.
        if let Some(held) = held {
            held.await;
        }
        if let Some(error) = failed {
            let _gone = out.send(Err(error)).await;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Poll::Ready(end) = self.poll_commands(cx) {
                return Poll::Ready(end);
            }
            if let Some(held) = &mut self.held
                && held.as_mut().poll(cx).is_ready()
            {
                self.held = None;
            }
            if !self.handles && self.gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Abandoned);
            }
            let had_room = self.connection.has_room();
            let progress = match self.held {
                Some(_) => {
                    // A failed write is told by the read after it: what the peer sent
                    // before is still to be delivered.
                    let _later = self.connection.poll_flush(cx);
                    Poll::Pending
                }
                None => match self.connection.poll_next(cx) {
                    Poll::Ready(Ok(Some(message))) => {
                        self.deliver(message);
                        Poll::Ready(())
                    }
                    Poll::Ready(Ok(None)) => return Poll::Ready(End::Peace),
                    Poll::Ready(Err(error)) => return Poll::Ready(End::Failed(error)),
                    Poll::Pending => Poll::Pending,
                },
            };
            // With new room there are commands to look at again.
            if progress.is_pending() && (had_room || !self.connection.has_room()) {
                return Poll::Pending;
            }
        }
    }

    /// Queues what is to be sent, as long as there is room.
    fn poll_commands(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        // Whether there is room or not: a peer that does not read must not keep us
        // from closing, nor from noticing that nobody is left.
        if self.handles {
            match self.asked.poll_recv(cx) {
                Poll::Ready(Some(asked)) => return Poll::Ready(End::Asked(asked)),
                Poll::Ready(None) => self.handles = false,
                Poll::Pending => {}
            }
        }
        if !self.connection.is_open() {
            // Whoever waits for room is told, and what has it is given up.
            self.commands.close();
            while self.commands.try_recv().is_ok() {}
            return Poll::Pending;
        }
        while self.connection.has_room() {
            let Poll::Ready(Some((message, _counted))) = self.commands.poll_recv(cx) else {
                return Poll::Pending;
            };
            if let Err(error) = self.connection.queue(&message) {
                return Poll::Ready(End::Failed(error));
            }
        }
        Poll::Pending
    }

    /// Hands a message to the receiver, or keeps it until there is room.
    fn deliver(&mut self, message: Message) {
        if matches!(message, Message::Ping(_)) {
            return;
        }
        let (left, needed) = (Arc::clone(&self.bytes.left), self.bytes.needed(&message));
        let bytes = Arc::clone(&left).try_acquire_many_owned(needed);
        if let (Ok(bytes), Ok(slot)) = (bytes, self.out.try_reserve()) {
            return slot.send(Ok((message, bytes)));
        }
        let out = self.out.clone();
        self.held = Some(Box::pin(async move {
            let Ok(bytes) = left.acquire_many_owned(needed).await else { return };
            let _gone = out.send(Ok((message, bytes))).await;
        }));
    }
}

impl std::fmt::Display for TrySendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Closed(_) => "the connection is closed",
            Self::Invalid(_) => "a ping or pong takes at most 125 bytes",
        })
    }
}

impl std::error::Error for TrySendError {}
