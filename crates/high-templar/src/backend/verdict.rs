//! What a bootstrap answer means (docs/protocols/high-templar.md, 5.4).

use high_templar_client::{AllowedRooms, Room};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::BackendError;
use crate::config::Compat;

/// Whether a user is let in.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// He is, and may enter these rooms.
    Allowed(Vec<Room>),
    /// He is not.
    Refused,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    is_authenticated: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    is_authorized: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    allowed_rooms: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Verdict {
    /// Reads an answer. Anything but 200 is a refusal, and so is a body that says so,
    /// which the Python server does not read.
    pub(super) fn read(compat: Compat, status: u16, body: &[u8]) -> Result<Self, BackendError> {
        if status != 200 {
            return Ok(Self::Refused);
        }
        let unusable = |why: &str| BackendError::Unusable(why.to_owned());
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(unusable("it is no JSON object"));
        }
        let body: Body<'_> =
            serde_json::from_slice(body).map_err(|e| BackendError::Unusable(e.to_string()))?;
        if compat == Compat::Document {
            for flag in [body.is_authenticated, body.is_authorized].into_iter().flatten() {
                match flag.get() {
                    "true" => {}
                    "false" => return Ok(Self::Refused),
                    _ => return Err(unusable("is_authenticated and is_authorized are flags")),
                }
            }
        }
        let Some(rooms) = body.allowed_rooms else { return Ok(Self::Allowed(Vec::new())) };
        if rooms.get().starts_with('{') {
            return Ok(Self::Refused);
        }
        let rooms: Vec<&RawValue> = serde_json::from_str(rooms.get())
            .map_err(|_| unusable("allowed_rooms is no list of objects"))?;
        if rooms.iter().any(|room| room.get().starts_with('"')) {
            return Ok(Self::Refused);
        }
        let rooms: Result<AllowedRooms, _> =
            rooms.iter().map(|room| room.get().parse::<Room>()).collect();
        match rooms {
            Ok(rooms) => Ok(Self::Allowed(rooms.rooms().to_vec())),
            Err(error) => Err(BackendError::Unusable(format!("allowed_rooms: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Verdict, BackendError> {
        Verdict::read(Compat::Document, 200, body.as_bytes())
    }

    /// docs/protocols/high-templar.md, 5.4, line by line.
    #[test]
    fn an_answer_lets_in_refuses_or_is_of_no_use() {
        let allowed = |rooms: &[&str]| {
            Ok(Verdict::Allowed(rooms.iter().map(|room| room.parse().unwrap()).collect()))
        };
        let two = r#"{"allowed_rooms":[{"a":"1"},{"b":{"c":[1]}},{"a":"1"}],"user":{}}"#;
        assert_eq!(read(two), allowed(&[r#"{"a":"1"}"#, r#"{"b":{"c":[1]}}"#]));
        assert_eq!(read("{}"), allowed(&[]));
        assert_eq!(read(r#"{"is_authorized":true,"is_authenticated":true}"#), allowed(&[]));
        for status in [204, 302, 401, 403, 404, 500, 503] {
            assert_eq!(Verdict::read(Compat::Document, status, b"{}"), Ok(Verdict::Refused));
        }
        for body in [
            r#"{"allowed_rooms":["a"]}"#,
            r#"{"allowed_rooms":{"a":1}}"#,
            r#"{"is_authenticated":false,"allowed_rooms":[{}]}"#,
            r#"{"is_authorized":false}"#,
        ] {
            assert_eq!(read(body), Ok(Verdict::Refused), "{body}");
        }
        // The Python server does not read them.
        for body in [r#"{"is_authenticated":false}"#, r#"{"is_authorized":"no"}"#] {
            let said = Verdict::read(Compat::V3_1, 200, body.as_bytes());
            assert_eq!(said, Ok(Verdict::Allowed(Vec::new())), "{body}");
        }
        for body in [
            "",
            "<html>",
            "{",
            "[]",
            "null",
            r#"{"allowed_rooms":null}"#,
            r#"{"allowed_rooms":[1]}"#,
            r#"{"allowed_rooms":[["ab","cd"]]}"#,
            r#"{"is_authorized":"no"}"#,
            r#"{"is_authenticated":null,"allowed_rooms":[{}]}"#,
        ] {
            assert!(matches!(read(body), Err(BackendError::Unusable(_))), "{body}");
        }
    }
}
