//! Messages as the wire has them (docs/protocols/high-templar.md, 6 to 8).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    error::Error,
    room::{AllowedRooms, Room},
    status::Status,
};

pub(super) const PING: &str = "ping";
const PONG: &str = "pong";

/// `subscribe`; a request id is a UUID.
pub(super) fn subscribe(room: &Room, id: &str) -> String {
    format!(r#"{{"type": "subscribe", "room": {room}, "requestId": "{id}"}}"#)
}

/// `unsubscribe`.
pub(super) fn unsubscribe(id: &str) -> String {
    format!(r#"{{"type": "unsubscribe", "requestId": "{id}"}}"#)
}

/// `status`.
pub(super) fn status() -> String {
    r#"{"type": "status"}"#.to_owned()
}

/// What the server sent.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    Pong,
    /// `type` is `publish`.
    Publish {
        id: Cow<'a, str>,
        data: &'a RawValue,
    },
    /// An answer, with the text of an error.
    Reply {
        id: Option<Cow<'a, str>>,
        result: Result<(), Cow<'a, str>>,
    },
    Status(Box<Status>),
    First(First<'a>),
}

/// The first frame of a connection.
#[derive(Debug)]
pub(super) struct First<'a> {
    /// `None` on the 2.x line, which says it by being there.
    pub(super) is_authorized: Option<bool>,
    allowed_rooms: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(default, borrow, rename = "requestId")]
    request_id: Option<&'a RawValue>,
    /// `null` is data, too.
    #[serde(default, borrow, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(default)]
    is_authorized: Option<bool>,
    #[serde(default)]
    is_authenticated: Option<bool>,
    #[serde(default, borrow)]
    allowed_rooms: Option<&'a RawValue>,
    #[serde(default, borrow)]
    open_connections: Option<&'a RawValue>,
}

/// Takes a publish frame apart that is written as 3.x servers and ours write it, at half
/// the price of reading it field by field. Whatever is written otherwise is left to that.
fn publish(text: &str) -> Option<(&str, &RawValue)> {
    let rest = text.strip_prefix(r#"{"type": "publish", "data": "#)?;
    let (rest, id) = rest.strip_suffix("\"}")?.rsplit_once('"')?;
    let data = rest.strip_suffix(r#", "requestId": "#)?;
    // An escape would have to be undone; what is no value would not be one field.
    let is_plain = !id.bytes().any(|b| b == b'\\' || b < b' ');
    is_plain.then(|| serde_json::from_str(data).ok()).flatten().map(|data| (id, data))
}

fn present<'de: 'a, 'a, D>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Incoming<'a> {
    pub(super) fn decode(text: &'a str) -> Result<Self, Error> {
        if text == PONG {
            return Ok(Self::Pong);
        }
        if let Some((id, data)) = publish(text) {
            return Ok(Self::Publish { id: id.into(), data });
        }
        let wrong = || Error::protocol("invalid_json", text);
        // An array would pass for the fields in their order.
        if !text.trim_start().starts_with('{') {
            return Err(wrong());
        }
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|_| wrong())?;
        // The ids of other clients may be anything; ours are strings.
        let id =
            fields.request_id.and_then(|id| serde_json::from_str(id.get()).ok()).map(Text::into);
        if fields.kind.as_deref() == Some("publish") {
            let data = fields.data.ok_or_else(|| Error::protocol("unknown_frame", text))?;
            return Ok(Self::Publish { id: id.unwrap_or_default(), data });
        }
        if let Some(code) = fields.code {
            let result = match code.as_ref() {
                "success" => Ok(()),
                _ => Err(fields.message.unwrap_or(code)),
            };
            return Ok(Self::Reply { id, result });
        }
        let flags = [fields.is_authorized, fields.is_authenticated];
        let is_authorized = flags.into_iter().flatten().reduce(|a, b| a && b);
        if is_authorized.is_some() || fields.allowed_rooms.is_some() {
            let allowed_rooms = fields.allowed_rooms;
            return Ok(Self::First(First { is_authorized, allowed_rooms }));
        }
        match fields.open_connections {
            Some(_) => serde_json::from_str(text).map(Self::Status).map_err(|_| wrong()),
            None => Err(Error::protocol("unknown_frame", text)),
        }
    }
}

/// A string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> From<Text<'a>> for Cow<'a, str> {
    fn from(text: Text<'a>) -> Self {
        text.0
    }
}

impl First<'_> {
    /// The rooms that the user may enter.
    pub(super) fn allowed(&self) -> Result<AllowedRooms, Error> {
        let Some(raw) = self.allowed_rooms else { return Ok(AllowedRooms::default()) };
        let rooms: Result<Vec<Room>, _> = serde_json::from_str(raw.get());
        match rooms {
            Ok(rooms) => Ok(rooms.into_iter().collect()),
            Err(_) => Err(Error::protocol("first_frame", raw.get())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The short way says what the long one says, or nothing.
    #[test]
    fn both_ways_to_read_a_publish_agree() {
        let long = |text: &str| {
            let fields: Fields<'_> = serde_json::from_str(text).ok()?;
            let id: String = serde_json::from_str(fields.request_id?.get()).ok()?;
            Some((id, fields.data?.get().to_owned()))
        };
        let short = |text: &str| publish(text).map(|(id, data)| (id.to_owned(), data.get().into()));
        let frame = |data: &str, id: &str| {
            format!(r#"{{"type": "publish", "data": {data}, "requestId": "{id}"}}"#)
        };
        for data in ["1", "null", r#""a\"b""#, "{\"a\": [1, \"x\"]}", " 7 ", r#""requestId": "x""#]
        {
            let text = frame(data, "r-1");
            let short = short(&text);
            assert!(short.is_none() || short == long(&text), "{text}");
            assert_eq!(short.is_some(), serde_json::from_str::<&RawValue>(data).is_ok(), "{text}");
        }
        // Whatever could mean something else is left to the long way.
        for text in [
            frame("1, \"x\": 2", "r-1"),
            frame("1", "a\\u0062"),
            frame("", "r-1"),
            frame("1}, {2", "r-1"),
            frame(r#"1, "requestId": "a", "y": 2"#, "b"),
            frame("1", "\n"),
        ] {
            assert_eq!(short(&text), None, "{text}");
        }
        proptest!(|(data in "[\\[\\]{}\":, a1\\\\]{0,12}", id in "[a\"\\\\\u{e9}]{0,4}")| {
            let text = frame(&data, &id);
            if let Some(found) = short(&text) {
                // Space around a value belongs to no value.
                let found = (found.0, str::trim(&found.1).to_owned());
                prop_assert_eq!(Some(found), long(&text));
            }
        });
    }
}
