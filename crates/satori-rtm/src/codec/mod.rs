//! The two encodings of the protocol, JSON in text messages and CBOR in binary ones
//! (docs/protocols/satori-rtm.md, 2 and 5). Nothing outside knows which library reads
//! or writes either.
//!
//! ```text
//!   a message of the application --message--> Payload --body, pdu--> Transmit
//!   Input --pdu--> Pdu --body, data--> Raw, lent --to_payload--> kept, decoded later
//! ```

mod cbor;
mod cursor;
mod json;
mod pdu;

#[cfg(test)]
mod tests;

use client_core::{Input, Transmit};
use serde::{Deserialize, Serialize};

pub(crate) use self::pdu::{Data, Id, Pdu};
use crate::{error::Error, value::Value};

/// How deep lists and maps may lie in each other: as deep as both libraries read.
const DEPTH: usize = 127;

/// How messages are written: the protocols of the original's clients.
///
/// Wire: `Sec-WebSocket-Protocol` (docs/protocols/satori-rtm.md, 1.3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Protocol {
    /// JSON in text messages; every service speaks it.
    #[default]
    Json,
    /// CBOR in binary messages, which may hold byte strings. A service that does not
    /// select it at the upgrade is an error.
    Cbor,
}

/// A message, or the body of a PDU, that is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Payload {
    Json(String),
    Cbor(Vec<u8>),
}

/// The same, lent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Raw<'a> {
    Json(&'a str),
    Cbor(&'a [u8]),
}

/// What a field of a body is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    Text(&'a str),
    Number(u64),
    Flag(bool),
    Value(&'a Value),
    Message(&'a Payload),
}

impl Protocol {
    /// Writes a message: in the caller's task, so that later changes are not seen.
    pub(crate) fn message<T: Serialize + ?Sized>(self, message: &T) -> Result<Payload, Error> {
        match self {
            Self::Json => json::message(message).map(Payload::Json),
            Self::Cbor => cbor::message(message).map(Payload::Cbor),
        }
    }

    /// Writes a body: a map of `fields`, in this order.
    pub(crate) fn body(self, fields: &[(&str, Field<'_>)]) -> Result<Payload, Error> {
        match self {
            Self::Json => json::body(fields).map(Payload::Json),
            Self::Cbor => cbor::body(fields).map(Payload::Cbor),
        }
    }

    /// Reads a PDU.
    pub(crate) fn pdu(self, input: Input<'_>) -> Result<Pdu<'_>, Error> {
        match (self, input) {
            (Self::Json, Input::Text(text)) => json::pdu(text),
            (Self::Cbor, Input::Binary(bytes)) => cbor::pdu(bytes),
            (Self::Json, _) => Err(Error::protocol("binary_message", "a binary message")),
            (Self::Cbor, _) => Err(Error::protocol("text_message", "a text message")),
        }
    }
}

impl Payload {
    /// Writes a PDU around this body. Without an id the service does not answer.
    pub(crate) fn pdu(&self, action: &str, id: Option<u64>) -> Transmit {
        match self {
            Self::Json(body) => Transmit::Text(json::write_pdu(action, id, body)),
            Self::Cbor(body) => Transmit::Binary(cbor::write_pdu(action, id, body)),
        }
    }

    pub(crate) fn raw(&self) -> Raw<'_> {
        match self {
            Self::Json(text) => Raw::Json(text),
            Self::Cbor(bytes) => Raw::Cbor(bytes),
        }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.raw().len()
    }
}

impl<'a> Raw<'a> {
    pub(crate) fn to_payload(self) -> Payload {
        match self {
            Self::Json(text) => Payload::Json(text.to_owned()),
            Self::Cbor(bytes) => Payload::Cbor(bytes.to_owned()),
        }
    }

    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            Self::Cbor(bytes) => bytes.len(),
        }
    }

    /// Reads the whole as `T`; the error is for people.
    pub(crate) fn decode<T: Deserialize<'a>>(self) -> Result<T, String> {
        match self {
            Self::Json(text) => serde_json::from_str(text).map_err(|e| e.to_string()),
            Self::Cbor(bytes) => serde_cbor::from_slice(bytes).map_err(|e| e.to_string()),
        }
    }

    /// Reads a map as `T`. The derived readers would take a list for one, field by
    /// field.
    pub(crate) fn decode_map<T: Deserialize<'a>>(self) -> Option<T> {
        let is_map = match self {
            Self::Json(text) => text.trim_start().starts_with('{'),
            Self::Cbor(bytes) => cursor::Cursor::new(bytes).map().is_some(),
        };
        if is_map { self.decode().ok() } else { None }
    }

    /// Returns a field of a map, as it lies there.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Json(text) => json::field(text, name).map(Raw::Json),
            Self::Cbor(bytes) => cbor::field(bytes, name).map(Raw::Cbor),
        }
    }
}

/// Turns what can be serialised into a value, by way of CBOR: that knows byte strings.
pub(crate) fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    let bytes = cbor::message(value)?;
    Raw::Cbor(&bytes).decode().map_err(|e| Error::misuse("encode", e))
}

/// About how many bytes a body of `fields` takes.
fn about(fields: &[(&str, Field<'_>)]) -> usize {
    let length = |(name, field): &(&str, Field<'_>)| match field {
        Field::Text(text) => name.len() + text.len() + 8,
        Field::Message(message) => name.len() + message.len() + 8,
        _ => name.len() + 32,
    };
    8 + fields.iter().map(length).sum::<usize>()
}

/// A text as JSON has it.
pub(crate) fn quoted(text: &str) -> String {
    // A text always has a JSON form.
    serde_json::to_string(text).unwrap_or_default()
}

/// A number as JSON has it; `NaN` and the infinities, which it has not, by name.
pub(crate) fn float_text(value: f64) -> String {
    match value.is_finite() {
        true => serde_json::to_string(&value).unwrap_or_default(),
        false => value.to_string(),
    }
}

/// A message that cannot be written.
fn byte_string(reason: &'static str) -> Error {
    Error::misuse("byte_string", reason)
}

fn too_deep() -> Error {
    Error::misuse("encode", format!("the message is nested deeper than {DEPTH}"))
}
