//! The task of a client that speaks over a WebSocket: it moves bytes, time and
//! wake-ups, and decides nothing. What decides is a [`Machine`].

mod driver;
mod open;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

pub use driver::drive;
pub use open::{OpenError, Socket, open};

use crate::{
    link::LinkOrder,
    traffic::{Input, Transmit},
};

/// How an open connection ended.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is closed, or fails on either side")]
pub enum Broken {
    /// The peer closed it, with this frame if it sent one.
    Closed(Option<ws_core::CloseFrame>),
    /// The peer broke the rules of WebSocket.
    Violation(ws_core::ProtocolError),
    /// The connection failed.
    Failed(ws_core::Error),
}

/// A WebSocket on its way to being open, and what was learned on that way.
pub type Opening<T, E> = Pin<Box<dyn Future<Output = Result<(Socket, T), E>> + Send>>;

/// A client without its socket, as [`drive`] drives it.
pub trait Machine: Send + 'static {
    /// What handles ask of it.
    type Command: Send;
    /// The client's error.
    type Error: Send;
    /// What is learned while a connection is opened: credentials, for example.
    type Greeting: Send;

    /// Begins to open a connection, which must end at `deadline`.
    fn open(&self, deadline: Instant) -> Opening<Self::Greeting, Self::Error>;

    /// Returns how long a peer has to answer a close.
    fn close_timeout(&self) -> Duration;

    /// Takes what a handle asks.
    fn handle_command(&mut self, now: Instant, command: Self::Command);

    /// Notices handles that were dropped.
    fn handle_dropped(&mut self, now: Instant);

    /// The WebSocket is open.
    fn connected(&mut self, now: Instant, greeting: Self::Greeting);

    /// A WebSocket could not be opened.
    fn refused(&mut self, now: Instant, cause: Self::Error);

    /// An open WebSocket has ended.
    fn broken(&mut self, now: Instant, cause: Broken);

    /// Takes what was received.
    fn handle_input(&mut self, now: Instant, input: Input<'_>);

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Does what is due at `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// Answers who waits, and returns the next thing to do with the socket.
    fn poll_order(&mut self, now: Instant) -> Option<LinkOrder>;

    /// Returns whether [`poll_order`](Self::poll_order) has something to do.
    fn has_order(&self) -> bool;

    /// Returns the next message to send.
    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit>;

    /// Returns whether a slow consumer keeps the socket from being read.
    fn is_blocked(&self) -> bool;

    /// Waits until the socket may be read.
    fn poll_room(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<()>;

    /// Ends at once: no handle is left.
    fn abort(&mut self);

    /// Returns whether the client is closed for good.
    fn is_closed(&self) -> bool;

    /// The socket is gone, and no command comes any more: answers those who wait
    /// for the end.
    fn finish(&mut self);
}
