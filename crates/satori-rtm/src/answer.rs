//! What the service answers to a request.

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    codec::{Payload, Raw},
    delivery::{Message, Position},
    error::Error,
    value::Value,
};

/// The body of an `ok`, for requests with options: position, message, and what else
/// the service added.
///
/// Wire: docs/protocols/satori-rtm.md, 3.
#[derive(Clone, Debug)]
pub struct Answer {
    body: Option<Payload>,
}

impl Answer {
    pub(crate) const fn new(body: Option<Payload>) -> Self {
        Self { body }
    }

    /// Returns the position: of the message that was published, written or read. Some
    /// servers name none.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        #[derive(Deserialize)]
        struct Body {
            position: Option<String>,
        }
        self.raw().decode_map::<Body>()?.position.map(Position::from)
    }

    /// Returns the message that was read, `null` if there is none.
    #[must_use]
    pub fn message(&self) -> Message {
        let payload = self.raw().field("message").unwrap_or(Raw::Json("null")).to_payload();
        Message::new(payload, None)
    }

    /// Decodes the whole body.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `decode` if it is not a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn show(answer: &satori_rtm::Answer) -> Result<(), satori_rtm::Error> {
    /// let body: satori_rtm::Value = answer.decode()?;
    /// println!("{:?}", body.get("previous"));
    /// # Ok(()) }
    /// ```
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.raw().decode().map_err(|e| Error::misuse("decode", e))
    }

    /// Returns the whole body, `null` if there is none.
    #[must_use]
    pub fn value(&self) -> Value {
        self.decode().unwrap_or(Value::Null)
    }

    fn raw(&self) -> Raw<'_> {
        self.body.as_ref().map_or(Raw::Json("null"), Payload::raw)
    }
}
