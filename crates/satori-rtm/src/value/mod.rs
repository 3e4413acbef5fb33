//! A message of any shape, in either encoding.

mod read;
mod write;

use std::fmt;

use serde::Serialize;

pub(crate) use self::write::NO_BYTES;
use crate::{codec, error::Error};

/// Any message: what JSON can say, and byte strings, which only CBOR can.
///
/// It can be published, decoded from every message, and given to options that take
/// any value. Serialising it to JSON fails at a byte string.
///
/// Wire: `message` (docs/protocols/satori-rtm.md, 3 and 5).
///
/// # Examples
///
/// ```
/// use satori_rtm::Value;
///
/// let van = Value::from([("van", Value::from(7)), ("raw", Value::Bytes(vec![0, 255]))]);
/// assert_eq!(van.get("van"), Some(&Value::Integer(7)));
/// assert_eq!(van.to_string(), r#"{"van":7,"raw":h'00ff'}"#);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing: what a channel without a value has.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer; the service takes those from -2^64 to 2^64 - 1.
    Integer(i128),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// A byte string: in CBOR only, and never as the key of a map.
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Self>),
    /// Values by name, in the order they were written.
    Map(Vec<(String, Self)>),
}

impl Value {
    /// Turns what can be serialised into a value.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `byte_string` if a byte string is the key of a map,
    /// or `encode` if `value` cannot be serialised.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), satori_rtm::Error> {
    /// let list = satori_rtm::Value::of(&[1, 2])?;
    /// assert_eq!(list.to_string(), "[1,2]");
    /// # Ok(()) }
    /// ```
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        codec::to_value(value)
    }

    /// Returns the value of `name`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Returns the text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// As JSON on one line, and a byte string as `h'00ff'`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => f.write_str(&codec::float_text(*value)),
            Self::Text(text) => f.write_str(&codec::quoted(text)),
            Self::Bytes(bytes) => {
                f.write_str("h'")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
            Self::List(items) => {
                f.write_str("[")?;
                for (n, item) in items.iter().enumerate() {
                    f.write_str(if n == 0 { "" } else { "," })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Self::Map(fields) => {
                f.write_str("{")?;
                for (n, (name, value)) in fields.iter().enumerate() {
                    let comma = if n == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{value}", codec::quoted(name))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<String>, const N: usize> From<[(K, Self); N]> for Value {
    fn from(fields: [(K, Self); N]) -> Self {
        Self::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Self::Integer(value.into())
            }
        }
    )*};
}

from_integers!(i32, i64, u32, u64);
