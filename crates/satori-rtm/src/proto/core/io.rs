//! What goes into the core and what comes out of it.

use std::time::Instant;

use client_core::CloseReport;
use serde_json::value::RawValue;

use crate::{error::Error, proto::pdu};

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
        /// The body of the service's answer, if it has one, or the error.
        result: Result<Option<Box<RawValue>>, Error>,
    },
    /// The client is closed; no call changes anything any more.
    Closed {
        /// Who asked for it.
        to: Vec<R>,
        /// What became of the requests.
        report: CloseReport,
    },
}

/// A request of the application. Messages are JSON text.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) action: &'static str,
    pub(super) body: String,
}

impl Request {
    /// `rtm/publish`.
    #[must_use]
    pub fn publish(channel: &str, message: &str) -> Self {
        Self { action: pdu::PUBLISH, body: pdu::message_body(channel, message) }
    }

    /// `rtm/write`.
    #[must_use]
    pub fn write(channel: &str, message: &str) -> Self {
        Self { action: pdu::WRITE, body: pdu::message_body(channel, message) }
    }

    /// `rtm/read`.
    #[must_use]
    pub fn read(channel: &str) -> Self {
        Self { action: pdu::READ, body: pdu::channel_body(channel) }
    }

    /// `rtm/delete`.
    #[must_use]
    pub fn delete(channel: &str) -> Self {
        Self { action: pdu::DELETE, body: pdu::channel_body(channel) }
    }
}
