//! A message in both encodings: as it was published, and converted when somebody needs
//! the other one.
//!
//! Byte strings, which JSON cannot say, become texts in base64 for JSON subscribers;
//! the protocol does not say what the service did.

use std::sync::{Arc, OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use ciborium::Value;

/// A message; a clone is the same.
#[derive(Clone, Debug)]
pub(super) struct Message(Arc<Forms>);

#[derive(Debug, Default)]
struct Forms {
    json: OnceLock<Box<str>>,
    cbor: OnceLock<Box<[u8]>>,
}

impl Message {
    pub(super) fn from_json(text: &str) -> Self {
        Self(Arc::new(Forms { json: Box::<str>::from(text).into(), ..Forms::default() }))
    }

    pub(super) fn from_cbor(value: &Value) -> Self {
        Self(Arc::new(Forms { cbor: write(value).into_boxed_slice().into(), ..Forms::default() }))
    }

    pub(super) fn null() -> Self {
        Self::from_json("null")
    }

    /// The length as it was published.
    pub(super) fn len(&self) -> usize {
        match (self.0.json.get(), self.0.cbor.get()) {
            (Some(text), None) => text.len(),
            (_, bytes) => bytes.map_or(0, |bytes| bytes.len()),
        }
    }

    pub(super) fn json(&self) -> &str {
        self.0.json.get_or_init(|| {
            let mut text = String::new();
            if let Some(value) = self.0.cbor.get().and_then(|bytes| read(bytes)) {
                write_json(&value, &mut text);
            }
            text.into()
        })
    }

    pub(super) fn cbor(&self) -> &[u8] {
        self.0.cbor.get_or_init(|| {
            let text = self.0.json.get().map_or("null", |text| text);
            // What came as JSON has a form in CBOR; numbers too great for it are floats, and
            // what is nested deeper than the reader goes is handed on as its text.
            write(&serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))).into()
        })
    }
}

/// Two messages are the same if they were published in the same words.
impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.json() == other.json()
    }
}

/// Reads one item and nothing after it.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    // As deep as JSON goes.
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, 128).ok()?;
    rest.is_empty().then_some(value)
}

pub(super) fn write(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A vector takes everything.
    let _written = ciborium::into_writer(value, &mut bytes);
    bytes
}

fn write_json(value: &Value, text: &mut String) {
    match value {
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => text.push_str(&i128::from(*value).to_string()),
        Value::Float(value) => text.push_str(&json(value)),
        Value::Text(value) => text.push_str(&json(value)),
        Value::Bytes(bytes) => text.push_str(&json(&STANDARD.encode(bytes))),
        Value::Tag(_, inner) => write_json(inner, text),
        Value::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                write_json(item, text);
            }
            text.push(']');
        }
        Value::Map(fields) => {
            text.push('{');
            for (n, (key, value)) in fields.iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                text.push_str(&json(key.as_text().unwrap_or_default()));
                text.push(':');
                write_json(value, text);
            }
            text.push('}');
        }
        _ => text.push_str("null"),
    }
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Whether every key of every map is a text, as the service asks.
pub(super) fn has_text_keys(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(has_text_keys),
        Value::Tag(_, inner) => has_text_keys(inner),
        Value::Map(fields) => {
            fields.iter().all(|(key, value)| key.is_text() && has_text_keys(value))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_becomes_the_other() {
        let text = r#"{"b":[1,-2,2.5,"é",null,true],"a":18446744073709551615}"#;
        let message = Message::from_json(text);
        let again = Message::from_cbor(&read(message.cbor()).unwrap());
        assert_eq!(again.json(), text);
        assert_eq!(again, message);
    }

    #[test]
    fn a_byte_string_is_base64_for_those_who_read_json() {
        let message = Message::from_cbor(&Value::Array(vec![Value::Bytes(vec![0, 255, 16])]));
        assert_eq!((message.json(), message.len()), (r#"["AP8Q"]"#, 5));
    }

    #[test]
    fn a_key_that_is_no_text_is_found_at_any_depth() {
        let map = |key: Value| Value::Map(vec![(key, Value::Null)]);
        let deep = |inner| Value::Array(vec![Value::Map(vec![(Value::from("a"), inner)])]);
        assert!(has_text_keys(&deep(map(Value::from("k")))));
        assert!(!has_text_keys(&deep(map(Value::Bytes(vec![1])))));
        assert!(!has_text_keys(&deep(map(Value::from(1)))));
    }
}
