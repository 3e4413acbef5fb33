//! What a subscription delivers.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::{channel::segments, error::Error};

/// A message of a channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    channel: String,
    payload: Bytes,
}

impl Message {
    pub(crate) const fn new(channel: String, payload: Bytes) -> Self {
        Self { channel, payload }
    }

    /// Returns the channel it was published to, with a slash at its end: `room/1/`.
    /// For a private channel that is its own name; key and options are never in it.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Returns the segments of the channel.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        segments(&self.channel)
    }

    /// Returns the payload as it was published.
    #[must_use]
    pub const fn as_binary(&self) -> &Bytes {
        &self.payload
    }

    /// Returns the payload as text.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `decode` if it is not UTF-8.
    pub fn as_str(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.payload).map_err(|e| Error::misuse("decode", e.to_string()))
    }

    /// Decodes the payload from JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `decode` if it is no JSON, not a `T`, or nested
    /// deeper than 128.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn show(message: &emitter::Message) -> Result<(), emitter::Error> {
    /// #[derive(serde::Deserialize)]
    /// struct Tide { level: f64 }
    /// let tide: Tide = message.as_object()?;
    /// # Ok(()) }
    /// ```
    pub fn as_object<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.payload).map_err(|e| Error::misuse("decode", e.to_string()))
    }
}

/// What comes out of a subscription. `T` is a [`Message`], or the
/// [`PresenceEvent`](crate::PresenceEvent) of a presence subscription.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery<T = Message> {
    /// A message, in the order of its connection.
    Message(T),
    /// Messages may be missing here.
    Gap(Gap),
    /// The subscription has ended against the application's will; nothing
    /// comes after this.
    Ended(Error),
}

impl<T> Delivery<T> {
    /// Returns the message, if it is one.
    #[must_use]
    pub fn into_message(self) -> Option<T> {
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

impl Gap {
    pub(crate) const RECONNECTED: Self = Self { reason: GapReason::Reconnected, missed: None };
}

/// Why messages are missing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum GapReason {
    /// The consumer was slow, under
    /// [`Overflow::DropOldest`](crate::Overflow::DropOldest).
    Overflow,
    /// The connection was lost, and the broker keeps nothing for who is away; what
    /// was stored was not asked for, or was more than was asked for.
    Reconnected,
}
