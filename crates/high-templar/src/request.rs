//! What clients say (docs/protocols/high-templar.md, 7).

use high_templar_client::{Room, Value};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Most bytes of a request id.
const MAX_ID: usize = 1 << 10;

/// A message of a client, as far as it can be understood.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Ping,
    /// With the id as JSON.
    Subscribe {
        room: Room,
        id: String,
    },
    Unsubscribe {
        id: String,
    },
    Status,
    /// There is an answer to that.
    Wrong(Wrong),
    /// The original ends the connection over it.
    Malformed,
}

/// Mistakes that have an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wrong {
    NonJson,
    Type,
    NoRequestId,
    RoomTooLarge,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(default, borrow)]
    room: Option<&'a RawValue>,
    /// `null` is an id, too.
    #[serde(default, borrow, rename = "requestId", deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Request {
    /// A text message.
    pub(crate) fn text(text: &str, max_room: usize) -> Self {
        match text {
            "ping" => Self::Ping,
            text => Self::json(text.as_bytes(), max_room),
        }
    }

    /// A message that is JSON, if it is anything.
    pub(crate) fn json(bytes: &[u8], max_room: usize) -> Self {
        let Ok(raw) = serde_json::from_slice::<&RawValue>(bytes) else {
            return Self::Wrong(Wrong::NonJson);
        };
        if !raw.get().starts_with('{') {
            return Self::Malformed;
        }
        // What is left to be wrong is a key that comes twice.
        let Ok(fields) = serde_json::from_str::<Fields<'_>>(raw.get()) else {
            return Self::Malformed;
        };
        let kind = fields.kind.map_or("null", RawValue::get);
        if kind.starts_with(['{', '[']) {
            return Self::Malformed;
        }
        match serde_json::from_str::<String>(kind).as_deref() {
            Ok("subscribe") => fields.subscribe(max_room),
            Ok("unsubscribe") => match fields.id() {
                Some(Ok(id)) => Self::Unsubscribe { id },
                Some(Err(())) => Self::Malformed,
                None => Self::Wrong(Wrong::NoRequestId),
            },
            Ok("status") => Self::Status,
            _ => Self::Wrong(Wrong::Type),
        }
    }
}

impl Fields<'_> {
    fn subscribe(&self, max_room: usize) -> Request {
        let id = match self.id() {
            None => return Request::Wrong(Wrong::NoRequestId),
            Some(Err(())) => return Request::Malformed,
            Some(Ok(id)) => id,
        };
        let Some(room) = self.room.map(RawValue::get) else { return Request::Malformed };
        if room.len() > max_room {
            return Request::Wrong(Wrong::RoomTooLarge);
        }
        match room.parse() {
            Ok(room) => Request::Subscribe { room, id },
            Err(_) => Request::Malformed,
        }
    }

    /// The id, a scalar, in the form in which it is sent back.
    fn id(&self) -> Option<Result<String, ()>> {
        let raw = self.id?.get();
        let is_scalar = raw.len() <= MAX_ID && !raw.starts_with(['{', '[']);
        let id = is_scalar.then(|| Value::parse(raw).ok()).flatten();
        Some(id.map(|id| id.to_string()).ok_or(()))
    }
}

impl Wrong {
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::NonJson => "non-json-message",
            Self::Type => "message-type-not-allowed",
            Self::NoRequestId => "no-request-id",
            Self::RoomTooLarge => "room-too-large",
        }
    }

    /// Whether the answer names the connection in place of the request.
    pub(crate) const fn is_stray(self) -> bool {
        matches!(self, Self::NonJson | Self::Type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Request {
        Request::text(text, 100)
    }

    /// docs/protocols/high-templar.md, 7.1 to 7.5.
    #[test]
    fn reads_what_clients_say() {
        assert_eq!(of("ping"), Request::Ping);
        assert_eq!(of(r#"{"type":"status","x":1}"#), Request::Status);
        let Request::Subscribe { room, id } =
            of(r#"{"type": "subscribe", "room": {"c":1}, "requestId": "\u0160", "data": []}"#)
        else {
            panic!()
        };
        assert_eq!((room.to_string().as_str(), id.as_str()), (r#"{"c": 1}"#, r#""\u0160""#));
        for (id, echo) in [("1", "1"), ("1e2", "100.0"), ("null", "null"), ("true", "true")] {
            let text = format!(r#"{{"type":"unsubscribe","requestId":{id},"room":1}}"#);
            assert_eq!(of(&text), Request::Unsubscribe { id: echo.to_owned() });
        }
    }

    #[test]
    fn names_what_has_an_answer() {
        let long =
            format!(r#"{{"type":"subscribe","requestId":1,"room":{{"a":"{}"}}}}"#, "x".repeat(99));
        for (text, wrong) in [
            ("", Wrong::NonJson),
            ("PING", Wrong::NonJson),
            ("ping ", Wrong::NonJson),
            ("{", Wrong::NonJson),
            ("{}", Wrong::Type),
            (r#"{"type":null}"#, Wrong::Type),
            (r#"{"type":"publish"}"#, Wrong::Type),
            (r#"{"type":1}"#, Wrong::Type),
            (r#"{"type":"subscribe","room":{}}"#, Wrong::NoRequestId),
            (r#"{"type":"unsubscribe"}"#, Wrong::NoRequestId),
            (&long, Wrong::RoomTooLarge),
        ] {
            assert_eq!(of(text), Request::Wrong(wrong), "{text}");
        }
        assert_eq!(Request::json(b"ping", 100), Request::Wrong(Wrong::NonJson));
        assert_eq!(Request::json(b"\"\xff\"", 100), Request::Wrong(Wrong::NonJson));
    }

    #[test]
    fn what_ends_a_connection_of_the_original_is_malformed() {
        let id = format!(r#"{{"type":"unsubscribe","requestId":"{}"}}"#, "x".repeat(MAX_ID));
        for text in [
            "\"ping\"",
            "[1]",
            "3",
            r#"{"type":[]}"#,
            r#"{"type":"subscribe","requestId":"a"}"#,
            r#"{"type":"subscribe","requestId":"a","room":null}"#,
            r#"{"type":"subscribe","requestId":"a","room":"message"}"#,
            r#"{"type":"subscribe","requestId":{"a":1},"room":{}}"#,
            r#"{"type":"unsubscribe","requestId":[]}"#,
            &id,
        ] {
            assert_eq!(of(text), Request::Malformed, "{text}");
        }
    }
}
