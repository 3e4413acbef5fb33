//! Requests of clients (docs/protocols/emitter.md, 8).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    hub::Hub,
    refusal::{Refusal, is_zero, json},
};

#[derive(Deserialize)]
struct Keygen {
    #[serde(default)]
    key: String,
    #[serde(default)]
    channel: String,
    #[serde(default, rename = "type")]
    letters: String,
    #[serde(default)]
    ttl: i32,
}

#[derive(Serialize)]
struct MadeKey {
    #[serde(skip_serializing_if = "is_zero")]
    req: u16,
    status: u16,
    key: String,
    channel: String,
}

#[derive(Deserialize)]
struct Keyban {
    #[serde(default)]
    secret: String,
    #[serde(default)]
    target: String,
    #[serde(default)]
    banned: bool,
}

#[derive(Serialize)]
struct Banned {
    #[serde(skip_serializing_if = "is_zero")]
    req: u16,
    status: u16,
    banned: bool,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    key: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    subscribe: bool,
}

#[derive(Serialize)]
struct MadeLink {
    #[serde(skip_serializing_if = "is_zero")]
    req: u16,
    status: u16,
    name: String,
    channel: String,
}

#[derive(Deserialize)]
struct Presence {
    #[serde(default)]
    key: String,
    #[serde(default)]
    channel: String,
    #[serde(default = "yes")]
    status: bool,
    #[serde(default)]
    changes: Option<bool>,
}

const fn yes() -> bool {
    true
}

#[derive(Serialize)]
struct Me {
    #[serde(skip_serializing_if = "is_zero")]
    req: u16,
    status: u16,
    id: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    links: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct History {
    #[serde(default)]
    channel: String,
    #[serde(default, rename = "startFromID")]
    start: Option<String>,
}

#[derive(Serialize)]
struct Page {
    #[serde(skip_serializing_if = "is_zero")]
    req: u16,
    messages: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    channel: String,
    payload: String,
}

/// Answers the request of this name, in packet `req` or 0.
pub(super) fn answer(hub: &Hub, number: u64, name: &str, payload: &[u8], req: u16) -> String {
    answer_or_refuse(hub, number, name, payload, req).unwrap_or_else(|refusal| refusal.json(req))
}

fn answer_or_refuse(
    hub: &Hub,
    number: u64,
    name: &str,
    payload: &[u8],
    req: u16,
) -> Result<String, Refusal> {
    let status = 200;
    Ok(match name {
        "keygen" => {
            let asked: Keygen = read(payload)?;
            let made = hub.generate(number, &asked.key, &asked.channel, &asked.letters, asked.ttl);
            let (key, channel) = made?;
            json(&MadeKey { req, status, key, channel })
        }
        "keyban" => {
            let asked: Keyban = read(payload)?;
            hub.ban(&asked.secret, &asked.target, asked.banned)?;
            json(&Banned { req, status, banned: asked.banned })
        }
        "link" => {
            let Link { key, channel, name, subscribe } = read(payload)?;
            hub.link(number, &key, &channel, &name, subscribe)?;
            json(&MadeLink { req, status, name, channel })
        }
        "presence" => {
            let asked: Presence = read(payload)?;
            let Presence { key, channel, status, changes } = asked;
            let mut answer = hub.presence(number, &key, &channel, status, changes)?;
            answer.req = req;
            json(&answer)
        }
        "me" => {
            let (id, links) = hub.me(number);
            json(&Me { req, status, id, links })
        }
        "history" => {
            let asked: History = read(payload)?;
            let start = asked.start.map(|start| STANDARD.decode(start));
            let start = start.transpose().map_err(|_| Refusal::BAD_REQUEST)?;
            let found = hub.history(&asked.channel, start.as_deref())?;
            let messages = found.into_iter().map(|stored| Entry {
                id: STANDARD.encode(&stored.id),
                channel: stored.channel,
                payload: STANDARD.encode(&stored.payload),
            });
            json(&Page { req, messages: messages.collect() })
        }
        _ => return Err(Refusal::NOT_FOUND),
    })
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(payload).map_err(|_| Refusal::BAD_REQUEST)
}
