//! What a subscription delivers.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::Error;

/// One message of a stream, exactly as the publisher wrote it.
#[derive(Clone, Debug)]
pub struct Message {
    raw: Box<RawValue>,
}

impl Message {
    pub(crate) const fn new(raw: Box<RawValue>) -> Self {
        Self { raw }
    }

    /// Returns the payload as JSON text; numbers keep every digit.
    #[must_use]
    pub fn json(&self) -> &str {
        self.raw.get()
    }

    /// Returns whether the payload is an array: what was published in one batch,
    /// unless the subscription [flattens](crate::Subscribe::flatten) batches.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        self.json().starts_with('[')
    }

    /// Decodes the payload.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `decode` if the payload is not a `T`, or is
    /// nested deeper than 128.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn show(message: &stream_sea::Message) -> Result<(), stream_sea::Error> {
    /// #[derive(serde::Deserialize)]
    /// struct Tide { level: f64 }
    /// let tide: Tide = message.decode()?;
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
    /// A message, in the order of the stream.
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
    /// The consumer was slow, under
    /// [`Overflow::DropOldest`](crate::Overflow::DropOldest).
    Overflow,
    /// The connection was lost, and the service keeps nothing for who is away: what
    /// was published meanwhile is gone. How many that are, nobody knows.
    Reconnected,
}
