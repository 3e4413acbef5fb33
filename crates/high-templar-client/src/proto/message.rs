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
