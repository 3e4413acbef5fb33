//! The task of a client that keeps one connection, a WebSocket or a byte stream: it
//! moves bytes, time and wake-ups, and decides nothing. What decides is a
//! [`Machine`].

mod bytes;
mod ended;
mod open;
#[cfg(feature = "own-runtime")]
mod own_runtime;
mod room;
mod task;
mod wire;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

pub use ended::Ended;
pub use open::{OpenError, open, open_bytes};
#[cfg(feature = "own-runtime")]
pub use own_runtime::{InsideRuntime, OwnRuntime};
pub use room::{Place, Room};
pub use task::drive;
pub use wire::Wire;

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

/// A wire on its way to being open, and what was learned on that way.
pub type Opening<T, E> = Pin<Box<dyn Future<Output = Result<(Wire, T), E>> + Send>>;

/// A client without its wire, as [`drive`] drives it.
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

    /// Returns what is sent last on a wire that is closed in peace, before the close
    /// of a WebSocket.
    fn farewell(&self) -> Option<Transmit> {
        None
    }

    /// Takes what a handle asks.
    fn handle_command(&mut self, now: Instant, command: Self::Command);

    /// Notices handles that were dropped.
    fn handle_dropped(&mut self, now: Instant);

    /// The wire is open.
    fn connected(&mut self, now: Instant, greeting: Self::Greeting);

    /// A wire could not be opened.
    fn refused(&mut self, now: Instant, cause: Self::Error);

    /// An open wire has ended.
    fn broken(&mut self, now: Instant, cause: Broken);

    /// Takes what was received.
    fn handle_input(&mut self, now: Instant, input: Input<'_>);

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Does what is due at `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// Answers who waits, and returns the next thing to do with the wire.
    fn poll_order(&mut self, now: Instant) -> Option<LinkOrder>;

    /// Returns whether [`poll_order`](Self::poll_order) has something to do.
    fn has_order(&self) -> bool;

    /// Returns the next message to send.
    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit>;

    /// Returns whether a slow consumer keeps the wire from being read.
    fn is_blocked(&self) -> bool;

    /// Waits until the wire may be read.
    fn poll_room(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<()>;

    /// Ends at once: no handle is left.
    fn abort(&mut self);

    /// Returns whether the client is closed for good.
    fn is_closed(&self) -> bool;

    /// The wire is gone, and no command comes any more: answers those who wait
    /// for the end.
    fn finish(&mut self);
}
