//! What clients are told without having asked.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::centrifugo::hub::{ClientInfo, Data, Publication};

/// A publication for clients.
#[derive(Debug, Serialize)]
pub(super) struct Pub<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<&'a ClientInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: &'a BTreeMap<String, String>,
}

impl<'a> Pub<'a> {
    /// `None` for bytes that are no JSON. Offset 0 is none.
    pub(super) fn new(publication: &'a Publication, offset: u64) -> Option<Self> {
        let data = match &publication.data {
            Data::Json(json) => Some(json.as_ref()),
            Data::Nothing => None,
            Data::Other => return None,
        };
        let offset = (offset > 0).then_some(offset);
        Some(Self { data, info: publication.info.as_ref(), offset, tags: &publication.tags })
    }
}

pub(in crate::centrifugo) fn publication(
    channel: &str,
    publication: &Publication,
    offset: u64,
) -> Option<String> {
    // By hand: what is flattened would lose the text of its numbers.
    let publication = serde_json::to_string(&Pub::new(publication, offset)?).ok()?;
    let channel = serde_json::to_string(channel).ok()?;
    // A frame holds commands a line each: a payload may have lines of its own.
    let text = format!(r#"{{"push":{{"channel":{channel},"pub":{publication}}}}}"#);
    Some(text.replace(['\n', '\r'], " "))
}

pub(in crate::centrifugo) fn subscribe(channel: &str, data: Option<&RawValue>) -> String {
    let data = data.map_or(String::new(), |data| format!("\"data\":{}", data.get()));
    let channel = serde_json::to_string(channel).unwrap_or_default();
    let text = format!(r#"{{"push":{{"channel":{channel},"subscribe":{{{data}}}}}}}"#);
    text.replace(['\n', '\r'], " ")
}

pub(in crate::centrifugo) fn unsubscribe(channel: &str) -> String {
    let channel = serde_json::to_string(channel).unwrap_or_default();
    let why = r#"{"code":2000,"reason":"server unsubscribe"}"#;
    format!(r#"{{"push":{{"channel":{channel},"unsubscribe":{why}}}}}"#)
}
