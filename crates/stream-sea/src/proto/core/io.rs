//! What goes into the core and what comes out of it.

use std::time::Instant;

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
    },
}

/// Who the client says it is on a connection.
#[derive(Clone, Debug)]
pub struct Greeting(pub(crate) Given);
