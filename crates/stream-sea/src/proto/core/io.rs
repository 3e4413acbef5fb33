//! What goes into the core and what comes out of it.

use std::{fmt, time::Instant};

use client_core::CloseReport;

use crate::{config::Given, error::Error};

/// What the core asks its driver to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect<R> {
    /// Open a WebSocket, and report [`Core::connected`](super::Core::connected) or
    /// [`Core::disconnected`](super::Core::disconnected), at the latest at `deadline`.
    Connect {
        /// The end of the attempt, authentication included.
        deadline: Instant,
    },
    /// Give the connection or the attempt up, and report nothing.
    Disconnect {
        /// Whether a closing handshake is worth its time.
        graceful: bool,
    },
    /// Answer somebody.
    Reply {
        /// Who waits.
        to: R,
        /// What came of it.
        result: Result<(), Error>,
    },
    /// The client is closed; no call changes anything any more.
    Closed {
        /// Who asked for it.
        to: Vec<R>,
        /// What became of the requests of this core: it has none of its own.
        report: CloseReport,
    },
}

/// What the driver received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the kinds of WebSocket message")]
pub enum Input<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message, which the protocol never uses.
    Binary,
    /// A ping or a pong: a sign of life.
    Control,
}

/// What the driver has to send. Its `Debug` hides the text: it may hold a secret.
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the kinds of WebSocket message that are used")]
pub enum Transmit {
    /// A text message.
    Text(String),
    /// A ping.
    Ping,
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Ping => f.write_str("Ping"),
        }
    }
}

/// Who the client says it is on a connection.
#[derive(Clone, Debug)]
pub struct Greeting(pub(crate) Given);
