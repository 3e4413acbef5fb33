//! What the server says, byte for byte (docs/protocols/high-templar.md, 6 to 8).

use high_templar_client::{Room, Value};

use crate::config::Compat;

pub(crate) const PONG: &str = "pong";
pub(crate) const SUCCESS: &str = r#"{"code": "success"}"#;

/// The first frame of a user who is let in.
pub(crate) fn welcome(compat: Compat, rooms: &[Room]) -> String {
    let rooms: Vec<String> = rooms.iter().map(Room::to_string).collect();
    let rooms = rooms.join(", ");
    match compat {
        Compat::Document => format!(
            r#"{{"is_authenticated": true, "is_authorized": true, "allowed_rooms": [{rooms}]}}"#
        ),
        Compat::V3_1 => format!(r#"{{"is_authorized": true, "allowed_rooms": [{rooms}]}}"#),
    }
}

/// The first frame of a user who is not.
pub(crate) const fn refusal(compat: Compat) -> &'static str {
    match compat {
        Compat::Document => r#"{"is_authenticated": false, "is_authorized": false}"#,
        Compat::V3_1 => r#"{"is_authorized": false}"#,
    }
}

/// An answer that says no.
pub(crate) fn error(message: &str) -> String {
    format!(r#"{{"code": "error", "message": "{message}"}}"#)
}

/// An answer to what cannot be answered: it names the connection.
pub(crate) fn stray_error(connection: &str, message: &str) -> String {
    format!(r#"{{"requestId": "{connection}", "code": "error", "message": "{message}"}}"#)
}

/// The same answer with the id of its request in front, which clients of 2.x know.
pub(crate) fn with_id(id: &str, answer: &str) -> String {
    let rest = answer.strip_prefix('{').unwrap_or(answer);
    format!(r#"{{"requestId": {id}, {rest}"#)
}

/// The data of a trigger as it is delivered.
pub(crate) fn data(compat: Compat, data: &str) -> String {
    match compat {
        // As the publisher wrote it: every digit is kept.
        Compat::Document => data.to_owned(),
        Compat::V3_1 => Value::parse(data).map_or_else(|_| data.to_owned(), |v| v.to_string()),
    }
}

/// A delivery; `id` is JSON.
pub(crate) fn publish(data: &str, id: &str) -> String {
    format!(r#"{{"type": "publish", "data": {data}, "requestId": {id}}}"#)
}

/// How long a delivery is.
pub(crate) const fn publish_len(data: &str, id: &str) -> usize {
    data.len() + id.len() + r#"{"type": "publish", "data": , "requestId": }"#.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_known_beforehand() {
        assert_eq!(publish("1", "\"a\"").len(), publish_len("1", "\"a\""));
    }

    #[test]
    fn python_writes_data_in_its_own_way() {
        let given = "{\"b\":1.50,\"a\":\"\u{160}\",\"c\":[1e2,null]}";
        assert_eq!(data(Compat::Document, given), given);
        assert_eq!(data(Compat::V3_1, given), r#"{"b": 1.5, "a": "\u0160", "c": [100.0, null]}"#);
    }

    #[test]
    fn an_id_stands_in_front() {
        assert_eq!(with_id("\"1\"", SUCCESS), r#"{"requestId": "1", "code": "success"}"#);
    }
}
