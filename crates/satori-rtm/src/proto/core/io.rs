//! What goes into the core and what comes out of it.

use std::{any::Any, borrow::Cow, fmt, time::Instant};

use client_core::CloseReport;
use serde::Serialize;

use crate::{
    answer::Answer,
    codec::{Field, Payload, Protocol},
    config::add_own,
    error::Error,
    options::Options,
    proto::pdu,
    value::Value,
};

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
        /// The service's answer, or the error.
        result: Result<Answer, Error>,
    },
    /// The client is closed; no call changes anything any more.
    Closed {
        /// Who asked for it.
        to: Vec<R>,
        /// What became of the requests.
        report: CloseReport,
    },
}

/// A request of the application, written already: later changes to the message are not
/// seen.
pub struct Request {
    pub(super) action: Cow<'static, str>,
    pub(super) body: Payload,
    pub(super) at_most_once: bool,
    /// Kept until the request is settled: room that was reserved for it.
    pub(super) hold: Option<Box<dyn Any + Send>>,
    message_bytes: usize,
}

impl Request {
    /// `rtm/publish`.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] if the message, or a field of the options, cannot be written.
    pub fn publish<M: Serialize + ?Sized>(
        protocol: Protocol,
        channel: &str,
        message: &M,
        options: &Options,
    ) -> Result<Self, Error> {
        Self::with_message(pdu::PUBLISH, protocol, channel, message, options)
    }

    /// `rtm/write`.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn write<M: Serialize + ?Sized>(
        protocol: Protocol,
        channel: &str,
        message: &M,
        options: &Options,
    ) -> Result<Self, Error> {
        Self::with_message(pdu::WRITE, protocol, channel, message, options)
    }

    /// `rtm/read`.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] if a field of the options cannot be written.
    pub fn read(protocol: Protocol, channel: &str, options: &Options) -> Result<Self, Error> {
        Self::new(pdu::READ, protocol, channel, None, options)
    }

    /// `rtm/delete`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn delete(protocol: Protocol, channel: &str, options: &Options) -> Result<Self, Error> {
        Self::new(pdu::DELETE, protocol, channel, None, options)
    }

    /// Any action, with a body of any fields.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `encode` if `body` is no map, or cannot be written.
    pub fn action(protocol: Protocol, action: &str, body: &Value) -> Result<Self, Error> {
        if !matches!(body, Value::Map(_)) {
            return Err(Error::misuse("encode", "the body of a PDU is a map"));
        }
        let body = protocol.message(body)?;
        let action = Cow::Owned(action.to_owned());
        Ok(Self { action, body, at_most_once: false, hold: None, message_bytes: 0 })
    }

    fn with_message<M: Serialize + ?Sized>(
        action: &'static str,
        protocol: Protocol,
        channel: &str,
        message: &M,
        options: &Options,
    ) -> Result<Self, Error> {
        let message = protocol.message(message)?;
        Self::new(action, protocol, channel, Some(&message), options)
    }

    fn new(
        action: &'static str,
        protocol: Protocol,
        channel: &str,
        message: Option<&Payload>,
        options: &Options,
    ) -> Result<Self, Error> {
        let mut fields = Vec::with_capacity(4);
        fields.push(("channel", Field::Text(channel)));
        fields.extend(message.map(|message| ("message", Field::Message(message))));
        let position = options.position.as_ref();
        fields.extend(position.map(|position| ("position", Field::Text(position.as_str()))));
        add_own(&mut fields, &options.fields);
        Ok(Self {
            action: Cow::Borrowed(action),
            body: protocol.body(&fields)?,
            at_most_once: options.at_most_once,
            hold: None,
            message_bytes: message.map_or(0, Payload::len),
        })
    }

    /// Keeps `room` until the request is settled.
    #[must_use]
    pub fn holding(mut self, room: impl Any + Send) -> Self {
        self.hold = Some(Box::new(room));
        self
    }

    /// Returns the length of the message, as it is written.
    #[must_use]
    pub const fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    /// Returns the length of the body, which is what counts in the outbox.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.len()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", self.action, self.body.len())
    }
}
