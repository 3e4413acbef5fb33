//! A connection that a task owns: anyone may send through a handle, one
//! receives.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
};

use super::Connection;
use crate::{error::Error, frame::CloseFrame, message::Message};

/// Bounds of the queue between the task and its [`Handle`]s, and of the one
/// between the task and its [`Receiver`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Queues {
    /// Most messages in each queue, at least 1. Default 1,024.
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
        let messages = if self.messages == 0 { 1 } else { self.messages };
        let bytes = match self.bytes {
            0 => 1,
            bytes if bytes > 1 << 28 => 1 << 28,
            bytes => bytes,
        };
        Self { messages, bytes }
    }
}

/// Sends through the task that owns the connection; a clone is cheap.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
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
}

/// A message that could not be queued at once, given back.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TrySendError {
    /// The queue is full.
    Full(Message),
    /// The connection is closed or lost.
    Closed(Message),
}

#[derive(Debug)]
enum Command {
    /// What is counted goes with the message, and comes back when it is taken.
    Send {
        message: Message,
        _counted: OwnedSemaphorePermit,
    },
    Close(Option<CloseFrame>, Duration, oneshot::Sender<Result<(), Error>>),
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
    /// [`Error::Closed`] if the connection is closed or lost; the [`Receiver`]
    /// is told the reason.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the message was not queued.
    pub async fn send(&self, message: Message) -> Result<(), Error> {
        let needed = self.bytes.needed(&message);
        let bytes = Arc::clone(&self.bytes.left).acquire_many_owned(needed).await;
        let bytes = bytes.map_err(|_| Error::Closed)?;
        let queued = self.commands.send(Command::Send { message, _counted: bytes }).await;
        queued.map_err(|_| Error::Closed)
    }

    /// Queues `message` if that needs no waiting.
    ///
    /// # Errors
    ///
    /// The message, with the reason.
    pub fn try_send(&self, message: Message) -> Result<(), TrySendError> {
        let needed = self.bytes.needed(&message);
        let Ok(bytes) = Arc::clone(&self.bytes.left).try_acquire_many_owned(needed) else {
            return Err(match self.commands.is_closed() {
                true => TrySendError::Closed(message),
                false => TrySendError::Full(message),
            });
        };
        match self.commands.try_reserve() {
            Ok(slot) => {
                slot.send(Command::Send { message, _counted: bytes });
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(())) => Err(TrySendError::Full(message)),
            Err(mpsc::error::TrySendError::Closed(())) => Err(TrySendError::Closed(message)),
        }
    }

    /// Sends what is queued, closes as [`Connection::close`] does and ends the
    /// task; the [`Receiver`] comes to its end.
    ///
    /// # Errors
    ///
    /// - [`Error::Closed`] if the connection is closed or lost already.
    /// - as [`Connection::close`].
    ///
    /// # Cancel safety
    ///
    /// Dropped while the queue is full, nothing was asked; later, the connection
    /// is closed all the same.
    pub async fn close(&self, frame: Option<CloseFrame>, wait: Duration) -> Result<(), Error> {
        let (done, closed) = oneshot::channel();
        let asked = self.commands.send(Command::Close(frame, wait, done)).await;
        asked.map_err(|_| Error::Closed)?;
        closed.await.map_err(|_| Error::Closed)?
    }
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
        let (out, items) = mpsc::channel(queues.messages);
        let watched = out.clone();
        let task = Task {
            connection: self,
            commands: taken,
            handles: true,
            gone: Box::pin(async move { watched.closed().await }),
            out,
            bytes: Bytes::new(queues.bytes),
            held: None,
        };
        let handle = Handle { commands, bytes: Bytes::new(queues.bytes) };
        (handle, Receiver { items }, task.run())
    }
}

struct Task<S> {
    connection: Connection<S>,
    commands: mpsc::Receiver<Command>,
    /// There may be more commands.
    handles: bool,
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
    Asked(Option<CloseFrame>, Duration, oneshot::Sender<Result<(), Error>>),
    /// The peer closed, or nobody is left.
    Peace,
    Failed(Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Task<S> {
    async fn run(mut self) {
        let end = poll_fn(|cx| self.poll(cx)).await;
        let Self { mut connection, commands, held, out, .. } = self;
        // What is still queued is told that it comes too late.
        drop(commands);
        let failed = match end {
            End::Asked(frame, wait, done) => {
                let closed = connection.close(frame.as_ref(), wait).await;
                let _gone = done.send(closed);
                None
            }
            End::Peace => None,
            End::Failed(error) => Some(error),
        };
        drop(connection);
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
                return Poll::Ready(End::Peace);
            }
            let had_room = self.connection.has_room();
            let progress = match self.held {
                Some(_) => match self.connection.poll_flush(cx) {
                    Poll::Ready(Err(error)) => return Poll::Ready(End::Failed(error)),
                    _ => Poll::Pending,
                },
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
        while self.handles && self.connection.is_open() && self.connection.has_room() {
            match std::task::ready!(self.commands.poll_recv(cx)) {
                Some(Command::Send { message, .. }) => {
                    if let Err(error) = self.connection.queue(&message) {
                        return Poll::Ready(End::Failed(error));
                    }
                }
                Some(Command::Close(frame, wait, done)) => {
                    return Poll::Ready(End::Asked(frame, wait, done));
                }
                None => self.handles = false,
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
        })
    }
}

impl std::error::Error for TrySendError {}
