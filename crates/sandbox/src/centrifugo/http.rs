//! Which door a request comes to, and whether it is let in.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    api::{Api, is_method},
    config::CentrifugoConfig,
    dialects::{Item, Reply, batch, method, signed, stream},
    hub::Hub,
};

/// A request, of which the head is looked at first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) verb: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a hyper::HeaderMap,
}

/// What a request is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Door {
    Project,
    Signed,
    Stream,
    Method(String),
}

impl Head<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The key in the query, as it stands there.
    fn query_key(&self) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(name, _)| name == "api_key").map(|(_, value)| value.into_owned())
    }
}

/// Finds the door, or the refusal that comes before anything is read.
pub(super) fn door(config: &CentrifugoConfig, head: &Head<'_>) -> Result<Door, Reply> {
    let nothing = || Reply::Status(404);
    let rest = head.path.strip_prefix(&config.prefix).ok_or_else(nothing)?;
    let doors = config.doors;
    let door = match rest.strip_prefix('/') {
        None if rest.is_empty() && doors.stream => Door::Stream,
        None if rest.is_empty() && doors.signed => return Err(Reply::Status(301)),
        None => return Err(nothing()),
        Some(project) if doors.project && project == config.project => Door::Project,
        Some("") if doors.signed => Door::Signed,
        Some(name) if doors.method && (name == "batch" || is_method(config.release, name)) => {
            Door::Method(name.to_owned())
        }
        // v1 alone takes every path below its own.
        Some(_) if doors.signed && !doors.stream => Door::Signed,
        Some(_) => return Err(nothing()),
    };
    let is_modern = matches!(door, Door::Stream | Door::Method(_));
    match is_modern {
        true if head.verb != "POST" => Err(Reply::Status(405)),
        true if !is_known(config, head) => Err(Reply::Status(401)),
        _ => Ok(door),
    }
}

/// Whether the key is right. A wrong header leaves the query to be looked at.
fn is_known(config: &CentrifugoConfig, head: &Head<'_>) -> bool {
    if config.insecure {
        return true;
    }
    let is_key = |key: &str| !config.api_key.is_empty() && key == config.api_key;
    let own = head.header("x-api-key").filter(|_| config.release.0 >= 5);
    if let Some(key) = own.filter(|key| !key.is_empty()) {
        return is_key(key);
    }
    let words: Vec<&str> = head.header("authorization").unwrap_or_default().split(' ').collect();
    let by_header = match words.as_slice() {
        [scheme, key] => scheme.eq_ignore_ascii_case("apikey") && is_key(key),
        _ => false,
    };
    by_header || head.query_key().is_some_and(|key| is_key(&key))
}

/// Answers a request with its body.
pub(super) fn answer(
    config: &CentrifugoConfig,
    hub: &Hub,
    door: &Door,
    head: &Head<'_>,
    body: &[u8],
) -> Reply {
    let api = Api { hub, config };
    let Ok(text) = std::str::from_utf8(body) else { return Reply::Status(400) };
    match door {
        Door::Stream => stream(&api, text),
        Door::Method(name) if name == "batch" => batch(&api, text),
        Door::Method(name) => {
            let asked = head.header("x-centrifugo-error-mode") == Some("transport");
            method(&api, name, text, config.transport_errors || asked)
        }
        Door::Signed | Door::Project => {
            let Some((sign, data)) = signed_parts(head, text) else { return Reply::Status(400) };
            let project = if *door == Door::Project { config.project.as_str() } else { "" };
            match check(config, project, &sign, &data) {
                Ok(()) => {
                    let item = if *door == Door::Project { Item::V0 } else { Item::V1 };
                    signed(&api, &data, item)
                }
                Err(status) => Reply::Status(status),
            }
        }
    }
}

/// The signature and what it signs: of a JSON body or of form fields.
fn signed_parts(head: &Head<'_>, body: &str) -> Option<(String, String)> {
    let kind = head.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("application/json") {
        let sign = head.header("x-api-sign").unwrap_or_default();
        return Some((sign.to_owned(), body.to_owned()));
    }
    let field = |name: &str| {
        let mut pairs = form_urlencoded::parse(body.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    Some((field("sign").unwrap_or_default(), field("data").filter(|data| !data.is_empty())?))
}

/// HMAC-SHA-256 in lower case, over the project's key and the body.
fn check(config: &CentrifugoConfig, project: &str, sign: &str, data: &str) -> Result<(), u16> {
    if config.insecure {
        return Ok(());
    }
    if sign.is_empty() || config.secret.is_empty() {
        return Err(400);
    }
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(config.secret.as_bytes());
    let mac = mac.map_err(|_| 500_u16)?.chain_update(project).chain_update(data).finalize();
    let hex: String = mac.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    (hex == sign).then_some(()).ok_or(401)
}
