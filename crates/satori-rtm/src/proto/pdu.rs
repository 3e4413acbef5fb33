//! The protocol's words: actions, and the bodies of its answers
//! (docs/protocols/satori-rtm.md, 2 to 4).

use std::borrow::Cow;

use serde::Deserialize;

use crate::{codec::Pdu, delivery::Position, error::Refusal};

pub(super) const PUBLISH: &str = "rtm/publish";
pub(super) const WRITE: &str = "rtm/write";
pub(super) const READ: &str = "rtm/read";
pub(super) const DELETE: &str = "rtm/delete";
pub(super) const SUBSCRIBE: &str = "rtm/subscribe";
pub(super) const UNSUBSCRIBE: &str = "rtm/unsubscribe";
pub(super) const AUTH_HANDSHAKE: &str = "auth/handshake";
pub(super) const AUTH_AUTHENTICATE: &str = "auth/authenticate";

/// How an answer ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Ok,
    Error,
    /// One part of an answer in parts; more will come.
    Data,
}

/// Reads how `answer` ends, if it answers `asked`. The general error answers anything.
pub(super) fn outcome(asked: &str, answer: &str) -> Option<Outcome> {
    if answer == "/error" {
        return Some(Outcome::Error);
    }
    match answer.strip_prefix(asked)? {
        "/ok" => Some(Outcome::Ok),
        "/error" => Some(Outcome::Error),
        "/data" => Some(Outcome::Data),
        _ => None,
    }
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

impl Problem<'_> {
    /// What an error says to `action`.
    pub(super) fn refusal(&self, action: &str) -> Refusal {
        let code = self.error.as_deref().unwrap_or("unknown_error");
        Refusal::new(action, code, self.reason.as_deref().unwrap_or_default())
    }
}

/// Reads what an error says; a body that says nothing is an error still.
pub(super) fn refusal(pdu: &Pdu<'_>, action: &str) -> Refusal {
    pdu.body::<Problem<'_>>().unwrap_or_default().refusal(action)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_belongs_to_what_was_asked() {
        for (answer, expected) in [
            ("rtm/publish/ok", Some(Outcome::Ok)),
            ("rtm/publish/error", Some(Outcome::Error)),
            ("rtm/publish/data", Some(Outcome::Data)),
            ("/error", Some(Outcome::Error)),
            ("rtm/publish", None),
            ("rtm/publish/okay", None),
            ("rtm/write/ok", None),
        ] {
            assert_eq!(outcome(PUBLISH, answer), expected, "{answer}");
        }
    }
}
