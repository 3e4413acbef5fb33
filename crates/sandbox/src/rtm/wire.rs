//! The two encodings of a PDU (docs/protocols/satori-rtm.md, 1.3 and 5).

use ciborium::Value as Cbor;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    message::{self, Message},
    reply::{Content, Reply, general_error},
};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Json,
    Cbor,
}

/// A WebSocket message.
#[derive(Debug)]
pub(super) enum Frame {
    Text(String),
    Binary(Vec<u8>),
}

/// The envelope of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) action: String,
    pub(super) id: Option<Id>,
    body: Body,
}

/// An id as it came: it goes back with the same type.
#[derive(Clone, Debug)]
pub(super) enum Id {
    Json(Box<RawValue>),
    Cbor(Cbor),
}

#[derive(Debug)]
enum Body {
    Json(Box<RawValue>),
    Cbor(Cbor),
    None,
}

impl Protocol {
    /// Reads a request. What is none is answered by an error of the connection: with
    /// the id, if there is one, so that its request is not left waiting.
    pub(super) fn request(self, bytes: &[u8]) -> Result<Request, Box<Reply>> {
        match self {
            Self::Json => json_request(std::str::from_utf8(bytes).unwrap_or_default()),
            Self::Cbor => cbor_request(bytes),
        }
    }

    pub(super) fn write(self, reply: &Reply) -> Frame {
        match self {
            Self::Json => Frame::Text(json_reply(reply)),
            Self::Cbor => Frame::Binary(cbor_reply(reply)),
        }
    }
}

fn no_action(id: Option<Id>) -> Box<Reply> {
    Box::new(general_error("invalid_format", "Invalid PDU: 'action' was invalid", id))
}

fn json_request(text: &str) -> Result<Request, Box<Reply>> {
    #[derive(Deserialize)]
    struct Envelope {
        action: String,
        #[serde(default)]
        id: Option<Box<RawValue>>,
        #[serde(default)]
        body: Option<Box<RawValue>>,
    }
    #[derive(Deserialize)]
    struct Loose {
        #[serde(default)]
        id: Option<Box<RawValue>>,
    }
    let is_object = text.trim_start().starts_with('{');
    if is_object && let Ok(Envelope { action, id, body }) = serde_json::from_str(text) {
        let (id, body) = (id.map(Id::Json), body.map_or(Body::None, Body::Json));
        return Ok(Request { action, id, body });
    }
    match serde_json::from_str::<Loose>(text) {
        Ok(loose) if is_object => Err(no_action(loose.id.map(Id::Json))),
        _ => {
            let reason = "Invalid PDU: it is no JSON object";
            Err(Box::new(general_error("json_parse_error", reason, None)))
        }
    }
}

fn cbor_request(bytes: &[u8]) -> Result<Request, Box<Reply>> {
    let reason = "Invalid PDU: it is no CBOR map";
    let broken = || Box::new(general_error("cbor_parse_error", reason, None));
    let fields = message::read(bytes).ok_or_else(broken)?.into_map().map_err(|_| broken())?;
    let (mut action, mut id, mut body) = (None, None, Body::None);
    for (key, value) in fields {
        match key.as_text() {
            Some("action") => action = value.into_text().ok(),
            Some("id") => id = Some(Id::Cbor(value)),
            Some("body") => body = Body::Cbor(value),
            _ => {}
        }
    }
    match action {
        Some(action) => Ok(Request { action, id, body }),
        None => Err(no_action(id)),
    }
}

impl Request {
    /// Reads the body as `T`.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, ()> {
        match &self.body {
            Body::Json(body) => serde_json::from_str(body.get()).map_err(drop),
            Body::Cbor(body) => body.deserialized().map_err(drop),
            Body::None => serde_json::from_str("{}").map_err(drop),
        }
    }

    /// The message in the body: present, and null at least.
    pub(super) fn message(&self) -> Option<Message> {
        #[derive(Deserialize)]
        struct Holder {
            message: Box<RawValue>,
        }
        match &self.body {
            Body::Json(body) => {
                let holder: Holder = serde_json::from_str(body.get()).ok()?;
                Some(Message::from_json(holder.message.get()))
            }
            Body::Cbor(body) => {
                let fields = body.as_map()?.iter();
                let mut messages = fields.filter(|(key, _)| key.as_text() == Some("message"));
                let (_, message) = messages.next()?;
                message::has_text_keys(message).then(|| Message::from_cbor(message))
            }
            Body::None => None,
        }
    }
}

fn json_reply(Reply { action, id, content }: &Reply) -> String {
    let action = serde_json::Value::from(action.as_str());
    let id = match id {
        Some(Id::Json(id)) => format!(r#""id":{},"#, id.get()),
        Some(Id::Cbor(_)) | None => String::new(),
    };
    let body = match content {
        Content::Fields(fields) => fields.to_string(),
        Content::Stored(fields, message) => {
            let fields = fields.to_string();
            // An object without its last brace, and one more field.
            let open = fields.strip_suffix('}').unwrap_or_default();
            let comma = if open.len() > 1 { "," } else { "" };
            format!(r#"{open}{comma}"message":{}}}"#, message.json())
        }
        Content::Batch { id, position, messages } => {
            let (id, position) =
                (serde_json::Value::from(&**id), serde_json::Value::from(&**position));
            let messages: Vec<&str> = messages.iter().map(Message::json).collect();
            let messages = messages.join(",");
            format!(r#"{{"position":{position},"messages":[{messages}],"subscription_id":{id}}}"#)
        }
    };
    format!(r#"{{"action":{action},{id}"body":{body}}}"#)
}

fn cbor_reply(Reply { action, id, content }: &Reply) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    head(&mut bytes, MAP, if id.is_some() { 3 } else { 2 });
    field(&mut bytes, "action", &Cbor::from(action.as_str()));
    match id {
        Some(Id::Cbor(id)) => field(&mut bytes, "id", id),
        Some(Id::Json(_)) => field(&mut bytes, "id", &Cbor::Null),
        None => {}
    }
    text(&mut bytes, "body");
    match content {
        Content::Fields(fields) => bytes.extend(message::write(&from_json(fields))),
        Content::Stored(fields, message) => {
            let fields = from_json(fields).into_map().unwrap_or_default();
            head(&mut bytes, MAP, fields.len() + 1);
            for (key, value) in fields {
                field(&mut bytes, key.as_text().unwrap_or_default(), &value);
            }
            text(&mut bytes, "message");
            bytes.extend_from_slice(message.cbor());
        }
        Content::Batch { id, position, messages } => {
            head(&mut bytes, MAP, 3);
            field(&mut bytes, "position", &Cbor::from(&**position));
            text(&mut bytes, "messages");
            head(&mut bytes, LIST, messages.len());
            messages.iter().for_each(|message| bytes.extend_from_slice(message.cbor()));
            field(&mut bytes, "subscription_id", &Cbor::from(&**id));
        }
    }
    bytes
}

fn from_json(fields: &serde_json::Value) -> Cbor {
    Cbor::serialized(fields).unwrap_or(Cbor::Null)
}

const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;

fn field(bytes: &mut Vec<u8>, name: &str, value: &Cbor) {
    text(bytes, name);
    bytes.extend(message::write(value));
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    head(bytes, TEXT, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// The head of an item (RFC 8949, 3).
fn head(bytes: &mut Vec<u8>, major: u8, length: usize) {
    let length = length as u64;
    let [.., a, b, c, d] = length.to_be_bytes();
    match length {
        0..24 => bytes.push(major << 5 | d),
        24..=0xff => bytes.extend([major << 5 | 24, d]),
        0x100..=0xffff => bytes.extend([major << 5 | 25, c, d]),
        0x1_0000..=0xffff_ffff => bytes.extend([major << 5 | 26, a, b, c, d]),
        _ => {
            bytes.push(major << 5 | 27);
            bytes.extend(length.to_be_bytes());
        }
    }
}
