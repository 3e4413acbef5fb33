//! Rooms: what they are called, and who may enter.

mod allowed;
mod value;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::value::RawValue;

pub use self::{allowed::AllowedRooms, value::Value};

use crate::error::Error;

/// A room: a JSON object of free keys. Two rooms are the same if they have the same
/// keys and values, in any order; `1`, `1.0`, `true` and `"1"` are four values.
///
/// Wire: `room` (docs/protocols/high-templar.md, 9.1).
///
/// # Examples
///
/// ```
/// use high_templar_client::Room;
///
/// let room = Room::new().with("target", "message").with("customer", "1");
/// assert_eq!(room, r#"{"customer":"1","target":"message"}"#.parse()?);
/// # Ok::<(), high_templar_client::Error>(())
/// ```
#[derive(Clone)]
pub struct Room {
    /// In the order that they were given.
    fields: Vec<(String, Value)>,
    identity: Box<str>,
}

impl Room {
    /// The room without keys, which is one.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Vec::new())
    }

    /// Sets a key; one that is set already gets the new value.
    #[must_use]
    pub fn with(self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let (key, value, mut fields) = (key.into(), value.into(), self.fields);
        match fields.iter_mut().find(|(name, _)| *name == key) {
            Some(field) => field.1 = value,
            None => fields.push((key, value)),
        }
        Self::of(fields)
    }

    /// Makes a room of whatever serializes to a JSON object.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `room` if it serializes to something else.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let text =
            serde_json::to_string(value).map_err(|e| Error::misuse("room", e.to_string()))?;
        text.parse()
    }

    /// Returns the keys and values, in the order that they were given.
    #[must_use]
    pub fn fields(&self) -> &[(String, Value)] {
        &self.fields
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Returns the text by which rooms are told apart: JSON with all keys in order.
    /// Never sent.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether a value is the star, which stands for any value of its key.
    #[must_use]
    pub fn has_star(&self) -> bool {
        self.fields.iter().any(|(_, value)| is_star(value))
    }

    /// Whether this room names `other`: the same keys, and of each the same value, or a
    /// star on this side.
    ///
    /// # Examples
    ///
    /// ```
    /// use high_templar_client::Room;
    ///
    /// let all = Room::new().with("target", "chat").with("customer", "*");
    /// assert!(all.covers(&Room::new().with("customer", "1").with("target", "chat")));
    /// ```
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.compare(other, |a, b| a == b)
    }

    /// As [`covers`](Self::covers), by the server's loose comparison of numbers.
    fn allows(&self, other: &Self) -> bool {
        self.compare(other, Value::is_like)
    }

    fn compare(&self, other: &Self, same: impl Fn(&Value, &Value) -> bool) -> bool {
        let agrees = |(name, value): &(String, Value)| {
            other.get(name).is_some_and(|theirs| is_star(value) || same(value, theirs))
        };
        self.fields.len() == other.fields.len() && self.fields.iter().all(agrees)
    }

    fn of(fields: Vec<(String, Value)>) -> Self {
        let identity = Value::Object(value::sorted(&fields)).to_string().into();
        Self { fields, identity }
    }
}

fn is_star(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text == "*")
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Room {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Room {}

impl Hash for Room {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}

impl FromStr for Room {
    type Err = Error;

    /// Reads a room from JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `room` if it is no object, or as [`Value::parse`].
    fn from_str(text: &str) -> Result<Self, Error> {
        match Value::parse(text) {
            Ok(Value::Object(fields)) => Ok(Self::of(fields)),
            Ok(_) => Err(Error::misuse("room", "a room is a JSON object")),
            Err(error) => Err(Error::misuse("room", error.to_string())),
        }
    }
}

/// JSON, as a server writes it.
impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        value::write_fields(f, &self.fields)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// By serde_json only, which keeps numbers as they are.
impl Serialize for Room {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// By serde_json only, which keeps numbers as they are.
impl<'de> Deserialize<'de> for Room {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get().parse().map_err(D::Error::custom)
    }
}
