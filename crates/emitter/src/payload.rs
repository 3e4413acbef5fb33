//! What is published.

use bytes::Bytes;
use serde::Serialize;

use crate::error::Error;

/// The payload of a message: text, bytes, or JSON.
///
/// # Examples
///
/// ```
/// use emitter::Payload;
///
/// #[derive(serde::Serialize)]
/// struct Tide { level: f64 }
/// let payload = Payload::json(&Tide { level: 1.75 }).unwrap();
/// let text: Payload = "hello".into();
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Payload(pub(crate) Bytes);

impl Payload {
    /// Writes `value` as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `encode` if it cannot be written so.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let json = serde_json::to_vec(value);
        json.map(Self::from).map_err(|e| Error::misuse("encode", e.to_string()))
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Payload {
    fn from(bytes: &[u8; N]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}
