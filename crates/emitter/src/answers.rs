//! What the broker answers (docs/protocols/emitter.md, 8 and 9).

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{error::Error, history::MessageId};

/// A channel key that was made. Its `Debug` hides it.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
pub struct GeneratedKey {
    /// The key.
    pub key: String,
    /// What it is for; a private channel if the request was made with a key that
    /// extends.
    pub channel: String,
}

impl fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GeneratedKey([redacted], {})", self.channel)
    }
}

/// A link that was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
pub struct Link {
    /// Its name, to publish with.
    pub name: String,
    /// What it stands for, with its options.
    pub channel: String,
}

/// What the broker calls this connection.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
pub struct Me {
    /// The id of the connection: another one after each reconnect.
    pub id: String,
    /// Links by their names.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

/// A key that was banned, or is no longer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyBan {
    /// Whether the key is banned now.
    pub banned: bool,
}

/// Somebody on a channel.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct PresenceInfo {
    /// The id of the connection.
    pub id: String,
    /// The name it gave when it connected, if it did. Nobody has checked it.
    #[serde(default)]
    pub username: Option<String>,
}

/// What a presence event tells.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PresenceKind {
    /// All that are there.
    Status,
    /// Somebody has come.
    Subscribe,
    /// Somebody has gone.
    Unsubscribe,
}

/// Who is, comes, or goes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
pub struct PresenceEvent {
    /// What it tells.
    #[serde(rename = "event")]
    pub kind: PresenceKind,
    /// The channel, which may be below the one that was asked for.
    pub channel: String,
    /// When, in seconds since 1970.
    pub time: i64,
    /// Everybody, or the one who has come or gone.
    #[serde(deserialize_with = "one_or_many")]
    pub who: Vec<PresenceInfo>,
}

impl PresenceEvent {
    /// Returns when it happened.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        let since = Duration::from_secs(u64::try_from(self.time).unwrap_or_default());
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }
}

/// A list for a status, an object for a change, and nothing for a bare
/// acknowledgement.
fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<PresenceInfo>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Who {
        Many(Vec<PresenceInfo>),
        One(PresenceInfo),
        Nobody(()),
    }
    Ok(match Who::deserialize(from)? {
        Who::Many(all) => all,
        Who::One(one) => vec![one],
        Who::Nobody(()) => Vec::new(),
    })
}

/// One page of history.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct HistoryPage {
    pub(crate) messages: Vec<Stored>,
}

/// A message as the page has it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stored {
    pub(crate) id: MessageId,
    pub(crate) channel: String,
    pub(crate) payload: String,
}

/// What tells a refusal from an answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Head {
    #[serde(default)]
    pub(crate) req: Option<u16>,
    #[serde(default)]
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) message: Option<String>,
}

impl Head {
    /// An answer without a status is history's, and good.
    pub(crate) fn refused(&self) -> Option<(u16, &str)> {
        let status = self.status.unwrap_or(200);
        let refused = self.message.is_some() || status >= 400;
        refused.then(|| (status, self.message.as_deref().unwrap_or_default()))
    }
}

/// Decodes what the broker wrote.
pub(crate) fn decode<T: DeserializeOwned>(name: &str, payload: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(payload).map_err(|e| {
        Error::misuse("answer", format!("the broker's answer to {name} is not understood: {e}"))
    })
}
