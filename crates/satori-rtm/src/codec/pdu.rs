//! The envelope of every message from the service, whatever it is written in.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Raw, cbor, json};
use crate::error::Error;

/// A message from the service. The body stays as it is.
#[derive(Debug)]
pub(crate) struct Pdu<'a> {
    pub(crate) action: Cow<'a, str>,
    pub(crate) id: Option<Id<'a>>,
    pub(crate) body: Option<Raw<'a>>,
    /// The body of a delivery, where it was read on the way.
    pub(super) data: Option<Data<'a>>,
}

/// The action of a delivery.
pub(super) const DATA: &str = "rtm/subscription/data";

/// An id comes back with the type it was sent with; ours are numbers, and a
/// text can only answer somebody else's request.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Id<'a> {
    Number(u64),
    Text(
        #[serde(borrow)]
        #[expect(dead_code, reason = "only shown by Debug")]
        Cow<'a, str>,
    ),
}

/// The body of `rtm/subscription/data`.
#[derive(Debug)]
pub(crate) struct Data<'a> {
    pub(crate) subscription_id: Cow<'a, str>,
    pub(crate) position: Option<Cow<'a, str>>,
    pub(crate) messages: Vec<Raw<'a>>,
}

impl<'a> Pdu<'a> {
    /// Checks what every PDU must have; `shown` is the whole of it, for people.
    pub(super) fn checked(self, shown: impl FnOnce() -> String) -> Result<Self, Error> {
        if self.action.is_empty() {
            return Err(Error::protocol("no_action", &shown()));
        }
        // The service may answer these with nothing to say; and an `ok` without
        // a body is no reason to give a connection up.
        if self.body.is_none() && !self.action.ends_with("/ok") {
            return Err(Error::protocol("no_body", &shown()));
        }
        Ok(self)
    }

    /// Reads the body as `T`.
    pub(crate) fn body<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        let body = self.body.unwrap_or(Raw::Json("{}"));
        body.decode_map().ok_or_else(|| self.bad_body())
    }

    /// Reads the body of a delivery.
    pub(crate) fn data(&mut self) -> Result<Data<'a>, Error> {
        if let Some(data) = self.data.take() {
            return Ok(data);
        }
        let data = match self.body {
            Some(Raw::Json(text)) => json::data(text),
            Some(Raw::Cbor(bytes)) => cbor::data(bytes),
            None => None,
        };
        data.ok_or_else(|| self.bad_body())
    }

    fn bad_body(&self) -> Error {
        let shown = match self.body {
            Some(Raw::Json(text)) => text.to_owned(),
            Some(Raw::Cbor(bytes)) => cbor::shown(bytes),
            None => String::new(),
        };
        Error::protocol("no_body", &shown)
    }
}
