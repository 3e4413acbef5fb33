//! What a publisher sends.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{error::Error, room::Room};

/// Data for rooms.
///
/// Wire: `POST /trigger/`, and the body of a RabbitMQ message
/// (docs/protocols/high-templar.md, 11.2 and 12.1).
///
/// # Examples
///
/// ```
/// use high_templar_client::{Room, Trigger};
///
/// let chat = Room::new().with("target", "chat").with("customer", "1");
/// let trigger = Trigger::new([chat], &serde_json::json!({"id": 7}))?;
/// let json = r#"{"rooms":[{"target": "chat", "customer": "1"}],"data":{"id":7}}"#;
/// assert_eq!(trigger.to_json(), json);
/// # Ok::<(), high_templar_client::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trigger {
    rooms: Vec<Room>,
    data: Box<RawValue>,
}

impl Trigger {
    /// Names the rooms and the data. A room with a star means itself to a Python
    /// server, and every room that it covers to ours.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `encode` if `data` has no JSON form.
    pub fn new<T>(rooms: impl IntoIterator<Item = Room>, data: &T) -> Result<Self, Error>
    where
        T: Serialize + ?Sized,
    {
        let data = serde_json::value::to_raw_value(data);
        let data = data.map_err(|e| Error::misuse("encode", e.to_string()))?;
        Ok(Self { rooms: rooms.into_iter().collect(), data })
    }

    /// Reads a trigger as a server does: JSON with `rooms`, a list of objects, and
    /// `data`, of any kind.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `json` if it is none, `rooms` or `data` if that is not
    /// there, and `room` naming the room that is none.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(default, borrow)]
            rooms: Option<Vec<&'a RawValue>>,
            #[serde(default, borrow, deserialize_with = "present")]
            data: Option<&'a RawValue>,
        }
        let wrong = |e: serde_json::Error| Error::misuse("json", e.to_string());
        // A list would pass for the fields in their order.
        let is_object = json.trim_ascii_start().starts_with(b"{");
        let fields = match is_object {
            true => serde_json::from_slice(json).map_err(wrong)?,
            false => {
                let _any: &RawValue = serde_json::from_slice(json).map_err(wrong)?;
                Fields { rooms: None, data: None }
            }
        };
        let rooms = fields.rooms.ok_or_else(|| Error::misuse("rooms", "rooms not specified"))?;
        let data = fields.data.ok_or_else(|| Error::misuse("data", "data not specified"))?;
        let rooms = rooms.into_iter().enumerate().map(|(at, room)| {
            room.get().parse().map_err(|e: Error| Error::misuse("room", format!("room {at}: {e}")))
        });
        Ok(Self { rooms: rooms.collect::<Result<_, _>>()?, data: data.to_owned() })
    }

    /// Returns the rooms.
    #[must_use]
    pub fn rooms(&self) -> &[Room] {
        &self.rooms
    }

    /// Returns the data as JSON text.
    #[must_use]
    pub fn data(&self) -> &str {
        self.data.get()
    }

    /// Returns the whole as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let rooms: Vec<String> = self.rooms.iter().map(Room::to_string).collect();
        format!(r#"{{"rooms":[{}],"data":{}}}"#, rooms.join(","), self.data())
    }
}

/// `null` is data, too.
fn present<'de: 'a, 'a, D>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_server_takes_and_names_what_it_does_not() {
        let trigger = Trigger::parse(br#"{"x":1,"data":null,"rooms":[{"a":1.0},{}]}"#).unwrap();
        assert_eq!((trigger.data(), trigger.rooms().len()), ("null", 2));
        for (json, code) in [
            (&br#"{"data":1}"#[..], "rooms"),
            (br#"{"rooms":null,"data":1}"#, "rooms"),
            (br#"{"rooms":[]}"#, "data"),
            (br#"{"rooms":[{},1],"data":1}"#, "room"),
            (b"[1]", "rooms"),
            (br#"{"rooms":{},"data":1}"#, "json"),
            (b"{", "json"),
            (b"{\"rooms\":[],\"data\":\"\xff\"}", "json"),
            (b"", "json"),
        ] {
            assert_eq!(Trigger::parse(json).unwrap_err().code(), code);
        }
    }
}
