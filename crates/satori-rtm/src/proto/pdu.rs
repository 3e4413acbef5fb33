//! The envelope of every message in both directions
//! (docs/protocols/satori-rtm.md, 2).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    config::{History, Subscribe},
    delivery::Position,
    error::{Error, Refusal},
};

pub(super) const PUBLISH: &str = "rtm/publish";
pub(super) const WRITE: &str = "rtm/write";
pub(super) const READ: &str = "rtm/read";
pub(super) const DELETE: &str = "rtm/delete";
pub(super) const SUBSCRIBE: &str = "rtm/subscribe";
pub(super) const UNSUBSCRIBE: &str = "rtm/unsubscribe";
pub(super) const AUTH_HANDSHAKE: &str = "auth/handshake";
pub(super) const AUTH_AUTHENTICATE: &str = "auth/authenticate";

/// Writes a request. Without an id the service does not answer. The body is
/// JSON already: it was serialised when the application called.
pub(super) fn encode(action: &str, id: Option<u64>, body: &str) -> String {
    match id {
        Some(id) => format!(r#"{{"action":"{action}","id":{id},"body":{body}}}"#),
        None => format!(r#"{{"action":"{action}","body":{body}}}"#),
    }
}

/// A message from the service.
#[derive(Debug, Deserialize)]
pub(super) struct Pdu<'a> {
    #[serde(borrow, default)]
    pub(super) action: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) id: Option<Id<'a>>,
    #[serde(borrow, default)]
    pub(super) body: Option<&'a RawValue>,
}

/// An id comes back with the type it was sent with; ours are numbers, and a
/// text can only answer somebody else's request.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Id<'a> {
    Number(u64),
    Text(
        #[serde(borrow)]
        #[expect(dead_code, reason = "only shown by Debug")]
        Cow<'a, str>,
    ),
}

impl<'a> Pdu<'a> {
    /// Reads the envelope; the body stays as it is.
    pub(super) fn decode(text: &'a str) -> Result<Self, Error> {
        let pdu: Self = object(text).ok_or_else(|| Error::protocol("invalid_json", text))?;
        if pdu.action.is_empty() {
            return Err(Error::protocol("no_action", text));
        }
        // The service may answer these with nothing to say; and an `ok` without
        // a body is no reason to give a connection up.
        if pdu.body.is_none() && !pdu.action.ends_with("/ok") {
            return Err(Error::protocol("no_body", text));
        }
        Ok(pdu)
    }

    /// Reads the body as `T`.
    pub(super) fn body<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        let text = self.body.map_or("{}", RawValue::get);
        object(text).ok_or_else(|| Error::protocol("no_body", text))
    }

    /// Reads what an error says; a body that says nothing is an error still.
    pub(super) fn refusal(&self, action: &str) -> Refusal {
        let body: Problem<'_> = self.body().unwrap_or_default();
        let code = body.error.as_deref().unwrap_or("unknown_error");
        Refusal::new(action, code, body.reason.as_deref().unwrap_or_default())
    }
}

/// Reads an object. The derived readers would take an array for one, field by
/// field.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

/// The body of an error.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem<'a> {
    #[serde(borrow, default)]
    pub(super) error: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) reason: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) missed_message_count: Option<u64>,
    #[serde(borrow, default)]
    pub(super) subscription_id: Cow<'a, str>,
}

/// The body of `rtm/subscription/data`.
#[derive(Debug, Deserialize)]
pub(super) struct Data<'a> {
    #[serde(borrow)]
    pub(super) subscription_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) position: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) messages: Vec<&'a RawValue>,
}

/// The body of `rtm/subscription/info`.
#[derive(Debug, Deserialize)]
pub(super) struct Info<'a> {
    #[serde(borrow, default)]
    pub(super) subscription_id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) info: Cow<'a, str>,
    #[serde(default)]
    pub(super) missed_message_count: Option<u64>,
}

/// The field that most answers have.
#[derive(Debug, Deserialize)]
pub(super) struct Positioned<'a> {
    #[serde(borrow, default)]
    pub(super) position: Option<Cow<'a, str>>,
}

impl Positioned<'_> {
    pub(super) fn into_position(self) -> Option<Position> {
        self.position.map(|text| Position::from(text.into_owned()))
    }
}

/// The body of `rtm/subscribe`. The options' starting point counts until the
/// service has accepted it once; from then on the tracked position does, and
/// history is not asked for again.
pub(super) fn subscribe_body(
    channel: &str,
    options: Option<&Subscribe>,
    tracked: Option<&Position>,
) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        channel: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        history: Option<Start>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Start {
        Count(u64),
        Age(u64),
    }
    let position = tracked.or_else(|| options.and_then(|o| o.position.as_ref()));
    let history = options.and_then(|o| o.history).map(|history| match history {
        History::Count(count) => Start::Count(count),
        History::Age(age) => Start::Age(age.as_secs()),
    });
    to_json(&Body { channel, position: position.map(Position::as_str), history })
}

/// The body of `rtm/unsubscribe`: always by subscription id.
pub(super) fn unsubscribe_body(subscription: &str) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        subscription_id: &'a str,
    }
    to_json(&Body { subscription_id: subscription })
}

/// The body of `rtm/publish` and `rtm/write`; `message` is JSON.
pub(super) fn message_body(channel: &str, message: &str) -> String {
    format!(r#"{{"channel":{},"message":{message}}}"#, to_json(channel))
}

/// The body of `rtm/read` and `rtm/delete`.
pub(super) fn channel_body(channel: &str) -> String {
    format!(r#"{{"channel":{}}}"#, to_json(channel))
}

/// Structs of strings and numbers always have a JSON form.
fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_requests_with_and_without_an_id() {
        let body = message_body("fl\"eet", r#"{"van": 7}"#);
        assert_eq!(
            encode(PUBLISH, Some(3), &body),
            r#"{"action":"rtm/publish","id":3,"body":{"channel":"fl\"eet","message":{"van": 7}}}"#
        );
        assert_eq!(
            encode(UNSUBSCRIBE, None, &unsubscribe_body("fleet")),
            r#"{"action":"rtm/unsubscribe","body":{"subscription_id":"fleet"}}"#
        );
    }

    #[test]
    fn subscribes_from_the_options_first_and_from_the_tracked_position_then() {
        let options = Subscribe::new().from(Position::from("1:1")).history_count(2);
        assert_eq!(
            subscribe_body("fleet", Some(&options), None),
            r#"{"channel":"fleet","position":"1:1","history":{"count":2}}"#
        );
        assert_eq!(
            subscribe_body("fleet", None, Some(&Position::from("1:9"))),
            r#"{"channel":"fleet","position":"1:9"}"#
        );
        assert_eq!(subscribe_body("fleet", None, None), r#"{"channel":"fleet"}"#);
    }

    #[test]
    fn reads_answers_with_ids_of_both_types_and_without_a_body() {
        let pdu = Pdu::decode(r#"{"action":"rtm/publish/ok","id":3}"#).unwrap();
        assert!(matches!(pdu.id, Some(Id::Number(3))) && pdu.body.is_none());
        let pdu = Pdu::decode(r#"{"id":"a","body":{},"action":"x\u002fok","more":[]}"#).unwrap();
        assert!(matches!(pdu.id, Some(Id::Text(_))));
        assert_eq!(pdu.action, "x/ok");
    }

    #[test]
    fn names_what_is_missing() {
        for (text, code) in [
            ("", "invalid_json"),
            ("[]", "invalid_json"),
            ("{\"action\":\"a\",\"body\":{}} x", "invalid_json"),
            ("{\"action\":1,\"body\":{}}", "invalid_json"),
            ("{\"action\":\"a\",\"id\":-1,\"body\":{}}", "invalid_json"),
            ("{\"body\":{}}", "no_action"),
            ("{\"action\":\"\",\"body\":{}}", "no_action"),
            ("{\"action\":\"rtm/publish/error\",\"id\":1}", "no_body"),
            ("{\"action\":\"rtm/subscription/data\",\"body\":null}", "no_body"),
        ] {
            assert_eq!(Pdu::decode(text).unwrap_err().code(), code, "{text}");
        }
    }
}
