//! What a subscription delivers.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::Error;

/// What was triggered in a room, exactly as the server sent it.
#[derive(Clone, Debug)]
pub struct Message {
    raw: Box<RawValue>,
}

impl Message {
    pub(crate) const fn new(raw: Box<RawValue>) -> Self {
        Self { raw }
    }

    /// Returns the data as JSON text; numbers keep every digit.
    #[must_use]
    pub fn json(&self) -> &str {
        self.raw.get()
    }

    /// Decodes the data.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `decode` if the data is not a `T`, or is nested
    /// deeper than 128.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn show(message: &high_templar_client::Message) -> Result<(), high_templar_client::Error> {
    /// #[derive(serde::Deserialize)]
    /// struct Chat { id: u64 }
    /// let chat: Chat = message.decode()?;
    /// # Ok(()) }
    /// ```
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(self.json()).map_err(|e| Error::misuse("decode", e.to_string()))
    }
}

/// What comes out of a subscription.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// A message, in the order of the server.
    Message(Message),
    /// Messages may be missing before this.
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

/// Messages that were triggered and will not be delivered.
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
    /// The consumer was slow, under
    /// [`Overflow::DropOldest`](crate::Overflow::DropOldest).
    Overflow,
    /// The connection was lost, and the server keeps nothing for who is away. Told when
    /// the room is subscribed again: what is fetched from the backend from now on, with
    /// what is delivered from now on, is all there is.
    Reconnected,
}
