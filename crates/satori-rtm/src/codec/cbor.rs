//! CBOR, by serde_cbor, which is archived: this module and its cursor are all that
//! knows it.

use std::borrow::Cow;

use serde::Serialize;

use super::{
    Data, Field, Id, Payload, Pdu, Raw, about, byte_string,
    cursor::{Cursor, Shape, Text, shape},
    json::wrong_protocol,
    pdu::DATA,
    too_deep,
};
use crate::{error::Error, value::Value};

pub(super) fn message<T: Serialize + ?Sized>(message: &T) -> Result<Vec<u8>, Error> {
    let no_form = |e: serde_cbor::Error| {
        Error::misuse("encode", format!("the message has no CBOR form: {e}"))
    };
    let bytes = serde_cbor::to_vec(&message).map_err(no_form)?;
    match shape(&bytes) {
        Some(Shape::Plain) => Ok(bytes),
        Some(Shape::Loose) => {
            let value: Value = serde_cbor::from_slice(&bytes).map_err(no_form)?;
            serde_cbor::to_vec(&value).map_err(no_form)
        }
        Some(Shape::ByteKey) => Err(byte_string("the keys of a map are texts, not byte strings")),
        Some(Shape::Deep) => Err(too_deep()),
        None => Err(Error::misuse("encode", "the message has no CBOR form")),
    }
}

pub(super) fn body(fields: &[(&str, Field<'_>)]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(about(fields));
    head(&mut bytes, 5, fields.len() as u64);
    for (name, field) in fields {
        text(&mut bytes, name);
        match field {
            Field::Text(value) => text(&mut bytes, value),
            Field::Number(value) => head(&mut bytes, 0, *value),
            Field::Flag(value) => bytes.push(if *value { 0xf5 } else { 0xf4 }),
            Field::Value(value) => bytes.extend(message(*value)?),
            Field::Message(Payload::Cbor(message)) => bytes.extend_from_slice(message),
            Field::Message(Payload::Json(_)) => return Err(wrong_protocol()),
        }
    }
    Ok(bytes)
}

pub(super) fn write_pdu(action: &str, id: Option<u64>, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + action.len() + 32);
    head(&mut bytes, 5, if id.is_some() { 3 } else { 2 });
    text(&mut bytes, "action");
    text(&mut bytes, action);
    if let Some(id) = id {
        text(&mut bytes, "id");
        head(&mut bytes, 0, id);
    }
    text(&mut bytes, "body");
    bytes.extend_from_slice(body);
    bytes
}

/// Writes the head of an item (RFC 8949, 3), as short as it can be.
fn head(bytes: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    match argument {
        0..24 => bytes.push(major | argument as u8),
        24..=0xff => bytes.extend([major | 24, argument as u8]),
        0x100..=0xffff => {
            bytes.push(major | 25);
            bytes.extend((argument as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            bytes.push(major | 26);
            bytes.extend((argument as u32).to_be_bytes());
        }
        _ => {
            bytes.push(major | 27);
            bytes.extend(argument.to_be_bytes());
        }
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    head(bytes, 3, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

pub(super) fn pdu(bytes: &[u8]) -> Result<Pdu<'_>, Error> {
    let pdu = read_pdu(bytes).ok_or_else(|| Error::protocol("invalid_cbor", &shown(bytes)))?;
    pdu.checked(|| shown(bytes))
}

fn read_pdu(bytes: &[u8]) -> Option<Pdu<'_>> {
    let (mut action, mut id, mut body, mut data) = (Cow::Borrowed(""), None, None, None);
    let mut cursor = Cursor::new(bytes);
    let mut entries = cursor.map()?;
    while cursor.more(&mut entries)? {
        match &*cursor.text()? {
            "action" => action = cursor.text()?,
            "id" => id = cursor.value::<Option<Id<'_>>>()?,
            // In one pass, if the action is known by now.
            "body" if action == DATA && cursor.rest().first().is_some_and(|b| b >> 5 == 5) => {
                let from = cursor.rest();
                data = read_data(&mut cursor)?;
                body = from.get(..from.len() - cursor.rest().len());
            }
            "body" => body = Some(cursor.item()?).filter(|item| !is_null(item)),
            _ => drop(cursor.item()?),
        }
    }
    cursor.is_at_end().then_some(Pdu { action, id, body: body.map(Raw::Cbor), data })
}

pub(super) fn data(bytes: &[u8]) -> Option<Data<'_>> {
    read_data(&mut Cursor::new(bytes))?
}

/// Passes a body, and returns what it delivers. Nothing at all can be read after what
/// is no CBOR; nothing is delivered by what is not whole.
fn read_data<'a>(cursor: &mut Cursor<'a>) -> Option<Option<Data<'a>>> {
    let (mut id, mut position, mut messages) = (None, None, None);
    let mut entries = cursor.map()?;
    while cursor.more(&mut entries)? {
        match &*cursor.text()? {
            "subscription_id" => id = Some(cursor.text()?),
            "position" => position = cursor.value::<Option<Text<'_>>>()?.map(|Text(text)| text),
            "messages" => messages = Some(read_list(cursor)?),
            _ => drop(cursor.item()?),
        }
    }
    let whole = id.zip(messages);
    Some(whole.map(|(subscription_id, messages)| Data { subscription_id, position, messages }))
}

pub(super) fn field<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut cursor = Cursor::new(bytes);
    let mut entries = cursor.map()?;
    while cursor.more(&mut entries)? {
        let key = cursor.text()?;
        let value = cursor.item()?;
        if key == name {
            return Some(value);
        }
    }
    None
}

fn read_list<'a>(cursor: &mut Cursor<'a>) -> Option<Vec<Raw<'a>>> {
    let mut list = Vec::new();
    let mut items = cursor.list()?;
    while cursor.more(&mut items)? {
        list.push(Raw::Cbor(cursor.item()?));
    }
    Some(list)
}

/// Null, or undefined.
fn is_null(item: &[u8]) -> bool {
    matches!(item, [0xf6 | 0xf7])
}

/// The first bytes, for people.
pub(super) fn shown(bytes: &[u8]) -> String {
    let start = bytes.get(..bytes.len().min(80)).unwrap_or_default();
    start.iter().map(|byte| format!("{byte:02x}")).collect()
}
