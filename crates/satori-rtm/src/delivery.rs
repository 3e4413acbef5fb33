//! What a subscription delivers.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{codec::Payload, error::Error, value::Value};

/// A place in a channel's stream of messages: an opaque text that only the
/// service can read.
///
/// Wire: every `position` field (docs/protocols/satori-rtm.md, 3).
///
/// # Examples
///
/// ```
/// let position = satori_rtm::Position::from("1700000000:41");
/// assert_eq!(position.as_str(), "1700000000:41");
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Position(Box<str>);

impl Position {
    /// Returns the text, to be kept and handed back unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Position {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Position {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One message of a channel, exactly as the publisher wrote it.
///
/// It shows itself as JSON on one line, with byte strings as `h'00ff'`.
#[derive(Clone, Debug)]
pub struct Message {
    payload: Payload,
    next: Option<Position>,
}

impl Message {
    pub(crate) const fn new(payload: Payload, next: Option<Position>) -> Self {
        Self { payload, next }
    }

    /// Decodes the message.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `decode` if the message is not a `T`, or is
    /// nested deeper than 128.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn show(message: &satori_rtm::Message) -> Result<(), satori_rtm::Error> {
    /// let numbers: Vec<u64> = message.decode()?;
    /// # Ok(()) }
    /// ```
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.payload.raw().decode().map_err(|e| Error::misuse("decode", e))
    }

    /// Returns the message as JSON text, in which numbers keep every digit; nothing
    /// if it came as CBOR.
    #[must_use]
    pub fn as_json(&self) -> Option<&str> {
        match &self.payload {
            Payload::Json(text) => Some(text),
            Payload::Cbor(_) => None,
        }
    }

    /// Returns the message as CBOR; nothing if it came as JSON.
    #[must_use]
    pub fn as_cbor(&self) -> Option<&[u8]> {
        match &self.payload {
            Payload::Cbor(bytes) => Some(bytes),
            Payload::Json(_) => None,
        }
    }

    /// Returns the position at which a new subscription continues after this
    /// message. The service names it once a batch: only a batch's last message
    /// has it.
    #[must_use]
    pub const fn next_position(&self) -> Option<&Position> {
        self.next.as_ref()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.payload, self.decode::<Value>()) {
            // A line break is between items only: in a text it is written as an escape.
            (Payload::Json(text), _) if text.contains(['\n', '\r']) => {
                f.write_str(&text.replace(['\n', '\r'], " "))
            }
            (Payload::Json(text), _) => f.write_str(text),
            (_, Ok(value)) => value.fmt(f),
            // What came was walked over once: only a message of unusual numbers or
            // keys is left.
            (Payload::Cbor(bytes), Err(_)) => write!(f, "CBOR of {} bytes", bytes.len()),
        }
    }
}

/// What comes out of a subscription.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// A message, in channel order.
    Message(Message),
    /// Messages may be missing here.
    Gap(Gap),
    /// The subscription has ended against the application's will; nothing
    /// comes after this.
    Ended(Error),
}

impl Delivery {
    /// Returns the message, if it is one.
    #[must_use]
    pub fn into_message(self) -> Option<Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Gap(_) | Self::Ended(_) => None,
        }
    }
}

/// Messages that were published and will not be delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Gap {
    /// Why.
    pub reason: GapReason,
    /// How many, if that is known.
    pub missed: Option<u64>,
}

/// Why messages are missing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum GapReason {
    /// The position is older than what the service keeps.
    Expired,
    /// The service skipped ahead (`fast_forward`).
    FastForward,
    /// The service ended the subscription, which had fallen behind
    /// (`out_of_sync`).
    OutOfSync,
    /// The consumer was slow, under
    /// [`Overflow::DropOldest`](crate::Overflow::DropOldest).
    Overflow,
    /// The service named no position from which to go on.
    Unknown,
}
