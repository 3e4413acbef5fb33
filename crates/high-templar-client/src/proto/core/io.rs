//! What goes into the core and what comes out of it.

use std::time::Instant;

use crate::{error::Error, room::AllowedRooms, status::Status};

/// What the core asks its driver to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect<R> {
    /// Open a WebSocket, and report [`Core::connected`](super::Core::connected) or
    /// [`Core::disconnected`](super::Core::disconnected), at the latest at `deadline`.
    Connect {
        /// The end of the attempt, the first frame included.
        deadline: Instant,
    },
    /// Give the connection or the attempt up, and report nothing.
    Disconnect {
        /// Whether a closing handshake is worth its time.
        graceful: bool,
    },
    /// The server has said which rooms the user may enter.
    Allowed(AllowedRooms),
    /// Answer somebody.
    Reply {
        /// Who waits.
        to: R,
        /// What came of it.
        result: Result<Answer, Error>,
    },
    /// The client is closed; no call changes anything any more.
    Closed {
        /// Who asked for it.
        to: Vec<R>,
    },
}

/// What a call comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// It is done.
    Done,
    /// What was asked for.
    Status(Box<Status>),
}
