//! JSON, by serde_json.

use std::{borrow::Cow, io};

use serde::{Deserialize, Serialize};
use serde_json::{
    error::Category,
    ser::{Formatter, Serializer},
    value::RawValue,
};

use super::{
    DEPTH, Data, Field, Id, Payload, Pdu, Raw, about, byte_string, pdu::DATA, quoted, too_deep,
};
use crate::{error::Error, value::NO_BYTES};

pub(super) fn message<T: Serialize + ?Sized>(message: &T) -> Result<String, Error> {
    let mut text = Vec::with_capacity(128);
    let mut strict = Strict { depth: 0 };
    let mut serializer = Serializer::with_formatter(&mut text, &mut strict);
    if let Err(error) = message.serialize(&mut serializer) {
        return Err(match error.classify() {
            Category::Io if strict.depth > DEPTH => too_deep(),
            Category::Io => byte_string(NO_BYTES),
            // A value refuses by itself, whoever writes it.
            _ if error.to_string() == NO_BYTES => byte_string(NO_BYTES),
            _ => Error::misuse("encode", format!("the message has no JSON form: {error}")),
        });
    }
    String::from_utf8(text).map_err(|e| Error::misuse("encode", e.to_string()))
}

/// Writes as usual, but takes no byte string for a list of numbers.
struct Strict {
    depth: usize,
}

impl Strict {
    fn enter(&mut self) -> io::Result<()> {
        self.depth += 1;
        if self.depth > DEPTH { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }
}

impl Formatter for &mut Strict {
    fn write_byte_array<W: io::Write + ?Sized>(&mut self, _: &mut W, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::InvalidInput.into())
    }

    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        writer.write_all(b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"]")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        writer.write_all(b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"}")
    }
}

pub(super) fn body(fields: &[(&str, Field<'_>)]) -> Result<String, Error> {
    let mut text = String::with_capacity(about(fields));
    text.push('{');
    for (n, (name, field)) in fields.iter().enumerate() {
        text.push_str(if n == 0 { "" } else { "," });
        push_quoted(&mut text, name);
        text.push(':');
        match field {
            Field::Text(value) => push_quoted(&mut text, value),
            Field::Number(value) => text.push_str(&value.to_string()),
            Field::Flag(value) => text.push_str(&value.to_string()),
            Field::Value(value) => text.push_str(&message(value)?),
            Field::Message(Payload::Json(message)) => text.push_str(message),
            Field::Message(Payload::Cbor(_)) => return Err(wrong_protocol()),
        }
    }
    text.push('}');
    Ok(text)
}

/// Writes a text; most need no escapes.
fn push_quoted(to: &mut String, text: &str) {
    match text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        true => to.push_str(&quoted(text)),
        false => {
            to.push('"');
            to.push_str(text);
            to.push('"');
        }
    }
}

/// A message is written by the client that sends it, so this is never seen.
pub(super) fn wrong_protocol() -> Error {
    Error::misuse("encode", "the message is written for the other protocol")
}

pub(super) fn write_pdu(action: &str, id: Option<u64>, body: &str) -> String {
    let mut text = String::with_capacity(body.len() + action.len() + 56);
    text.push_str(r#"{"action":"#);
    push_quoted(&mut text, action);
    if let Some(id) = id {
        text.push_str(r#","id":"#);
        text.push_str(&id.to_string());
    }
    text.push_str(r#","body":"#);
    text.push_str(body);
    text.push('}');
    text
}

/// How a delivery begins that is written without spaces, action first: most are.
const DELIVERY: &str = r#"{"action":"rtm/subscription/data","body":"#;

pub(super) fn pdu(text: &str) -> Result<Pdu<'_>, Error> {
    // In one pass, if it is nothing but that.
    let body = text.strip_prefix(DELIVERY).and_then(|rest| rest.strip_suffix('}'));
    if let Some(body) = body
        && let Some(data) = data(body)
    {
        let (action, body) = (Cow::Borrowed(DATA), Some(Raw::Json(body)));
        return Ok(Pdu { action, id: None, body, data: Some(data) });
    }
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow, default)]
        action: Cow<'a, str>,
        #[serde(borrow, default)]
        id: Option<Id<'a>>,
        #[serde(borrow, default)]
        body: Option<&'a RawValue>,
    }
    let envelope: Option<Envelope<'_>> = Raw::Json(text).decode_map();
    let Envelope { action, id, body } =
        envelope.ok_or_else(|| Error::protocol("invalid_json", text))?;
    let body = body.map(|body| Raw::Json(body.get()));
    Pdu { action, id, body, data: None }.checked(|| text.to_owned())
}

pub(super) fn data(text: &str) -> Option<Data<'_>> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        subscription_id: Cow<'a, str>,
        #[serde(borrow)]
        position: Option<Cow<'a, str>>,
        #[serde(borrow)]
        messages: Vec<&'a RawValue>,
    }
    let Body { subscription_id, position, messages } = Raw::Json(text).decode_map()?;
    let messages = messages.into_iter().map(|message| Raw::Json(message.get())).collect();
    Some(Data { subscription_id, position, messages })
}

pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let fields: std::collections::HashMap<Cow<'a, str>, &'a RawValue> =
        Raw::Json(text).decode_map()?;
    fields.get(name).map(|value| value.get())
}
