//! Messages as the wire has them (docs/protocols/stream-sea.md, 7).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Number, value::RawValue};

use crate::{
    config::{Given, Group},
    error::Error,
};

#[derive(Serialize)]
struct Request<'a, P> {
    id: u64,
    action: &'static str,
    payload: P,
    #[serde(rename = "groupId", skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<&'a str>,
}

/// `authenticate`, the first message of a connection.
pub(super) fn authenticate(id: u64, given: &Given) -> Option<String> {
    // It was made of text.
    let secret = std::str::from_utf8(given.secret.reveal()).ok();
    let (kind, client_secret, jwt) = match given.is_jwt {
        true => ("jwt", None, secret),
        false => ("basic", secret, None),
    };
    let payload = Identity { kind, client_id: &given.client_id, client_secret, jwt };
    encode(&Request { id, action: "authenticate", payload, group: None })
}

/// `subscribe`.
pub(super) fn subscribe(id: u64, stream: &str, group: Group) -> Option<String> {
    let group = match group {
        Group::Default => None,
        Group::Named(group) => Some(group.to_string()),
        Group::Fanout(new) => Some(new().to_string()),
    };
    encode(&Request { id, action: "subscribe", payload: stream, group: group.as_deref() })
}

fn encode<P: Serialize>(request: &Request<'_, P>) -> Option<String> {
    // Texts and numbers always have a JSON form.
    serde_json::to_string(request).ok()
}

/// What the service sent.
#[derive(Debug, Deserialize)]
pub(super) struct Incoming<'a> {
    #[serde(default)]
    id: Option<serde_json::Value>,
    #[serde(default)]
    pub(super) success: Option<serde_json::Value>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "streamName")]
    pub(super) stream_name: Option<Cow<'a, str>>,
    /// `null` is a payload, too.
    #[serde(default, borrow, deserialize_with = "present")]
    pub(super) payload: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Incoming<'a> {
    pub(super) fn decode(text: &'a str) -> Result<Self, Error> {
        let wrong = || Error::protocol("invalid_json", text);
        // An array would pass for the fields in their order.
        match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(|_| wrong()),
            false => Err(wrong()),
        }
    }

    /// The id, if it is a number that an id may be.
    pub(super) fn id(&self) -> Option<u64> {
        let number: &Number = self.id.as_ref()?.as_number()?;
        number.as_u64().filter(|id| *id > 0)
    }

    /// Whether a first reply says that the request was refused. Some services leave
    /// `success` out.
    pub(super) fn refusal(&self) -> Option<String> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Told {
            message: String,
        }
        let is_success = self.success.as_ref().is_none_or(|value| value != false);
        let error = self.error.filter(|error| error.get() != "null");
        match (is_success, error) {
            (true, None) => None,
            (_, None) => Some(String::new()),
            (_, Some(error)) => match serde_json::from_str::<Told>(error.get()) {
                Ok(told) if !told.message.is_empty() => Some(told.message),
                _ => Some(error.get().to_owned()),
            },
        }
    }
}

/// The elements of a batch; `None` if the payload is none.
pub(super) fn elements(payload: &RawValue) -> Option<Vec<&RawValue>> {
    match payload.get().starts_with('[') {
        true => serde_json::from_str(payload.get()).ok(),
        false => None,
    }
}
