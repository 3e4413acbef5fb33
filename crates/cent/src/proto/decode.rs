//! HTTP answers to outcomes, in each dialect (docs/protocols/cent.md, 3.5, 4.2
//! and 5).

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::command::{Command, Outcome};
use crate::{
    error::{ApiError, Failure, RequestError},
    version::Dialect,
};

/// Most of an error's body that is kept.
const KEPT: usize = 1 << 10;

/// An answer of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpAnswer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

/// Reads one outcome for each of `commands`; `batched` says that a later server
/// was sent them as a batch.
pub(crate) fn decode(
    dialect: Dialect,
    commands: &[Command],
    batched: bool,
    answer: HttpAnswer<'_>,
) -> Result<Vec<Outcome>, RequestError> {
    if answer.status != 200 {
        return refused(dialect, commands, batched, answer);
    }
    let outcomes = match dialect {
        Dialect::Signed | Dialect::Project => items(answer.body),
        Dialect::Stream => replies(answer.body),
        Dialect::Method if batched => batch(answer.body, commands),
        Dialect::Method => parse(answer.body).and_then(reply).map(|outcome| vec![outcome]),
    };
    let outcomes = outcomes.map_err(|e| wrong(dialect, commands, answer).because(e))?;
    if outcomes.len() != commands.len() {
        return Err(wrong(dialect, commands, answer));
    }
    Ok(outcomes)
}

/// An answer that cannot be read: the commands were probably carried out.
fn wrong(dialect: Dialect, commands: &[Command], answer: HttpAnswer<'_>) -> RequestError {
    let mut error = RequestError::new(Failure::Decode, commands.len());
    error.body = excerpt(answer.body);
    let trimmed = answer.body.trim_ascii_start();
    error.hint = match (dialect, trimmed.first()) {
        (_, Some(b'<')) => Some("something else than Centrifugo answers there: check the address"),
        (Dialect::Signed, Some(b'{')) => Some("the server may be of a later generation than v1"),
        (Dialect::Stream | Dialect::Method, Some(b'[')) => Some("the server may be a v1"),
        _ => None,
    };
    error
}

/// Any status but 200. A server in transport error mode answers a failed command
/// so, and a bare error object tells it from a refusal of the whole request.
fn refused(
    dialect: Dialect,
    commands: &[Command],
    batched: bool,
    answer: HttpAnswer<'_>,
) -> Result<Vec<Outcome>, RequestError> {
    if let (Dialect::Method, false, Ok(error)) = (dialect, batched, parse::<Code>(answer.body))
        && error.code >= 100
        && !(400..600).contains(&error.code)
    {
        return Ok(vec![Err(error.into())]);
    }
    let failure = match answer.status {
        401 => Failure::Unauthorized,
        status => Failure::Status(status),
    };
    let mut error = RequestError::new(failure, in_doubt(dialect, commands, answer.status));
    error.body = excerpt(answer.body);
    error.hint = hint(dialect, answer.status);
    Err(error)
}

/// How many commands a refused request may have left carried out: the first
/// malformed one ends the request, and those before it have been.
const fn in_doubt(dialect: Dialect, commands: &[Command], status: u16) -> usize {
    match (dialect, status) {
        // Refused before a command was looked at.
        (_, 300..=399 | 401 | 403..=407 | 411 | 413..=415 | 429) => 0,
        (Dialect::Method, 400) => 0,
        (_, 400) => commands.len().saturating_sub(1),
        _ => commands.len(),
    }
}

const fn hint(dialect: Dialect, status: u16) -> Option<&'static str> {
    Some(match (dialect, status) {
        (Dialect::Signed | Dialect::Project, 404) => {
            "there is no signed API: check the address, and whether the server is a v1"
        }
        (Dialect::Stream, 404) => "there is no command endpoint: check the address and generation",
        (Dialect::Stream, 301 | 307) => {
            "the server sends us elsewhere: it may be a v1, or the address may end in a slash"
        }
        (Dialect::Method, 404) => {
            "there is no such method: check the address, and whether the server is v5 or later"
        }
        (Dialect::Method, 400) => {
            "a parameter may be of the wrong type, or the server of a generation before v5"
        }
        (_, 300..=399) => "redirects are not followed: give the address that it leads to",
        (Dialect::Signed | Dialect::Project, 401) => "check the secret",
        (_, 401) => "check the API key",
        (_, 413) => "a proxy before the server limits the size of a request",
        _ => return None,
    })
}

fn excerpt(body: &[u8]) -> String {
    let head = body.get(..KEPT).unwrap_or(body);
    let mut text = String::from_utf8_lossy(head).into_owned();
    // A character that was cut in two became three bytes.
    while text.len() > KEPT {
        text.pop();
    }
    text
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
}

/// An object as it came. No array is taken for one.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        // Of two with one name the last counts, as it does for the servers.
        self.0.iter().rev().find(|(found, _)| found == name).map(|(_, raw)| *raw)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                #[derive(Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut fields = Vec::new();
                while let Some((Name(name), raw)) = map.next_entry()? {
                    fields.push((name, raw));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Reads a field, `null` as none.
fn field<'a, T: Deserialize<'a>>(
    fields: &Fields<'a>,
    name: &str,
) -> Result<Option<T>, serde_json::Error> {
    fields.get(name).map_or(Ok(None), |raw| serde_json::from_str(raw.get()))
}

/// Refuses an object that is somebody else's.
fn known(fields: &Fields<'_>, names: &[&str]) -> Result<(), serde_json::Error> {
    match fields.0.is_empty() || names.iter().any(|name| fields.get(name).is_some()) {
        true => Ok(()),
        false => Err(serde::de::Error::custom("the object is not one of Centrifugo")),
    }
}

/// v0 and v1: an array, errors as text.
fn items(body: &[u8]) -> Result<Vec<Outcome>, serde_json::Error> {
    let item = |fields: Fields<'_>| {
        if fields.get("error").or_else(|| fields.get("body")).is_none() {
            return Err(serde::de::Error::custom("an item has neither error nor body"));
        }
        let Some(text) = field::<String>(&fields, "error")? else {
            return Ok(Ok(or_null(fields.get("body"))));
        };
        let code = match text.as_str() {
            "internal server error" => 100,
            "namespace not found" => 102,
            "method not found" => 104,
            "limit exceeded" => 106,
            "invalid message" => 107,
            "not available" => 108,
            _ => 0,
        };
        let mut error = ApiError::new(code, text);
        error.temporary |= field::<String>(&fields, "advice")?.as_deref() == Some("retry");
        Ok(Err(error))
    };
    parse::<Vec<Fields<'_>>>(body)?.into_iter().map(item).collect()
}

/// v2 to v4: objects one after the other.
fn replies(body: &[u8]) -> Result<Vec<Outcome>, serde_json::Error> {
    let replies = serde_json::Deserializer::from_slice(body).into_iter::<Fields<'_>>();
    replies.map(|fields| fields.and_then(reply)).collect()
}

/// One reply. Neither error nor result is success with an empty result.
fn reply(fields: Fields<'_>) -> Result<Outcome, serde_json::Error> {
    known(&fields, &["id", "error", "result"])?;
    Ok(match field::<Code>(&fields, "error")? {
        Some(error) => Err(error.into()),
        None => Ok(or_null(fields.get("result"))),
    })
}

/// v5 and later: one object with all replies, each under its method's name.
fn batch(body: &[u8], commands: &[Command]) -> Result<Vec<Outcome>, serde_json::Error> {
    let fields: Fields<'_> = parse(body)?;
    known(&fields, &["replies"])?;
    let replies: Vec<Fields<'_>> = field(&fields, "replies")?.unwrap_or_default();
    let outcome = |(at, fields): (usize, Fields<'_>)| {
        if let Some(error) = field::<Code>(&fields, "error")? {
            return Ok(Err(error.into()));
        }
        let name = commands.get(at).map(|command| &*command.method).unwrap_or_default();
        // The servers write the names as they know them.
        match fields.0.first().filter(|(found, _)| found.eq_ignore_ascii_case(name)) {
            Some((_, result)) => Ok(Ok(or_null(Some(result)))),
            None => Err(serde::de::Error::custom("a reply is of another method")),
        }
    };
    replies.into_iter().enumerate().map(outcome).collect()
}

#[derive(Deserialize)]
struct Code {
    code: u32,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    temporary: Option<bool>,
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        let mut error = Self::new(code.code, code.message.unwrap_or_default());
        error.temporary |= code.temporary.unwrap_or_default();
        error
    }
}

fn or_null(result: Option<&RawValue>) -> Box<RawValue> {
    result.map_or_else(|| RawValue::NULL.to_owned(), ToOwned::to_owned)
}
