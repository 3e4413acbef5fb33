//! What is asked about channels: `presence`, `presence_stats`, `history`,
//! `history_remove`, `channels`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Idempotent, Nullable, ReadError, Reply, Request, define::request, sealed::Sealed};
use crate::{error::Error, proto::Params, version::Version};

request! {
    /// Asks who is subscribed to a channel.
    ///
    /// Wire: `presence`, docs/protocols/cent.md, 7.7.
    Presence("presence", Yes) -> BTreeMap<String, ClientInfo> = presence;
    /// Names the channel.
    new(channel: &str);
}

/// A connection that is subscribed.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct ClientInfo {
    /// The user's id, empty for nobody.
    #[serde(deserialize_with = "super::channel::or_default")]
    pub user: String,
    /// The connection's client id.
    #[serde(deserialize_with = "super::channel::or_default")]
    pub client: String,
    /// What the connection has said about itself (`default_info` in v1).
    #[serde(alias = "default_info")]
    pub conn_info: Option<Box<RawValue>>,
    /// What the subscription has said about itself (`channel_info` in v1).
    #[serde(alias = "channel_info")]
    pub chan_info: Option<Box<RawValue>>,
}

/// Reads `null` as the default.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads what is there, `null` as well; only what is missing is none.
pub(super) fn present<'de, D>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

fn presence(reply: Reply<'_>) -> Result<BTreeMap<String, ClientInfo>, ReadError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Result {
        #[serde(deserialize_with = "or_default")]
        presence: Nullable<ClientInfo>,
    }
    let clients: Nullable<ClientInfo> = match reply.version.major() {
        0 | 1 => reply.parse_data()?,
        _ => reply.parse::<Result>()?.presence,
    };
    let known = |(client, info): (String, Option<ClientInfo>)| (client, info.unwrap_or_default());
    Ok(clients.into_iter().map(known).collect())
}

request! {
    /// Asks how many are subscribed to a channel. v2 and later.
    ///
    /// Wire: `presence_stats`, docs/protocols/cent.md, 7.8.
    PresenceStats("presence_stats", Yes, combines) -> PresenceStatsResult = Reply::parse;
    /// Names the channel.
    new(channel: &str);
}

/// How many are subscribed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
#[serde(default)]
pub struct PresenceStatsResult {
    /// Connections.
    #[serde(deserialize_with = "or_default")]
    pub num_clients: u32,
    /// Users, each counted once.
    #[serde(deserialize_with = "or_default")]
    pub num_users: u32,
}

/// A position in a channel's history.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Position {
    /// The number of the last message that is known.
    pub offset: u64,
    /// The life of the history to which the number belongs; empty fits any.
    pub epoch: String,
}

impl Position {
    /// Names a position.
    #[must_use]
    pub fn new(offset: u64, epoch: &str) -> Self {
        Self { offset, epoch: epoch.to_owned() }
    }
}

/// Asks for what a channel keeps: by default all of it, oldest first, on every
/// generation.
///
/// Wire: `history`, docs/protocols/cent.md, 7.9.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by a client"]
pub struct History {
    channel: String,
    limit: Option<u32>,
    since: Option<Position>,
    order: Order,
}

/// Which way a history is read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Order {
    /// From the newest back. v3 and later.
    NewestFirst,
    /// From the oldest on.
    #[default]
    OldestFirst,
}

impl History {
    /// All that `channel` keeps.
    pub fn new(channel: &str) -> Self {
        Self { channel: channel.to_owned(), limit: None, since: None, order: Order::default() }
    }

    /// At most so many; 0 for the position alone. v3 and later.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// What came after this position; newest first, what came before it. v3 and
    /// later.
    pub fn since(mut self, position: Position) -> Self {
        self.since = Some(position);
        self
    }

    /// Which way to read.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }
}

impl Sealed for History {}

impl Request for History {
    type Reply = HistoryResult;
    const METHOD: &'static str = "history";
    const IDEMPOTENT: Idempotent = Idempotent::Yes;

    fn params(self, version: Version) -> Result<Params, Error> {
        let mut params = Params::default();
        params.put("channel", &self.channel);
        // From v3 on, no limit means nothing.
        let limit = self.limit.map(|limit| i64::from(limit.min(i32::MAX as u32)));
        match limit {
            Some(limit) => params.put("limit", &limit),
            None if version.major() >= 3 => params.put("limit", &-1),
            None => {}
        }
        if let Some(since) = &self.since {
            if self.order == Order::NewestFirst && since.offset == 0 {
                let reason = "there is nothing before offset 0";
                return Err(Error::misuse("since", reason));
            }
            params.put("since", since);
        }
        if self.order == Order::NewestFirst {
            params.put("reverse", &true);
        }
        Ok(params)
    }

    fn read(reply: Reply<'_>) -> Result<HistoryResult, ReadError> {
        if reply.version.major() < 2 {
            let newest_first: Vec<Publication> = reply.parse_data()?;
            return Ok(HistoryResult::reversed(newest_first));
        }
        let result: HistoryResult = reply.parse()?;
        if reply.version < Version::new(2, 2, 0) {
            return Ok(HistoryResult::reversed(result.publications));
        }
        Ok(result)
    }
}

/// What a channel keeps.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct HistoryResult {
    /// The messages, in the order that was asked for.
    #[serde(deserialize_with = "or_default")]
    pub publications: Vec<Publication>,
    /// The number of the newest message, 0 for none. v3 and later.
    pub offset: Option<u64>,
    /// The life of the history. v3 and later.
    pub epoch: Option<String>,
}

impl HistoryResult {
    fn reversed(mut publications: Vec<Publication>) -> Self {
        publications.reverse();
        Self { publications, offset: None, epoch: None }
    }
}

/// A message that a channel keeps.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Publication {
    /// What was published, to the letter but for escapes that the server adds;
    /// `null` is a message too. `None` for one without data.
    #[serde(deserialize_with = "present")]
    pub data: Option<Box<RawValue>>,
    /// Who published it, if a client did.
    pub info: Option<ClientInfo>,
    /// Its number. v3 and later.
    pub offset: Option<u64>,
    /// Its tags. v3.2 and later.
    #[serde(deserialize_with = "or_default")]
    pub tags: BTreeMap<String, String>,
    /// Its own id. Up to v2.1.
    pub uid: Option<String>,
    /// The client id that it was published with. v1.
    pub client: Option<String>,
}

// Made again, it would forget what was published in between.
request! {
    /// Forgets what a channel keeps. v2 and later.
    ///
    /// Wire: `history_remove`, docs/protocols/cent.md, 7.10.
    HistoryRemove("history_remove", No, combines) -> () = Reply::nothing;
    /// Names the channel.
    new(channel: &str);
}

/// Asks which channels have subscribers.
///
/// Wire: `channels`, docs/protocols/cent.md, 7.11.
#[derive(Clone, Debug, Default)]
#[must_use = "a request is sent by a client"]
pub struct Channels(Params);

impl Channels {
    /// All channels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those that a glob such as `public:*` matches. v3 and later.
    pub fn pattern(mut self, pattern: &str) -> Self {
        self.0.put("pattern", pattern);
        self
    }
}

impl Sealed for Channels {}

impl Request for Channels {
    type Reply = BTreeMap<String, ChannelInfo>;
    const METHOD: &'static str = "channels";
    const IDEMPOTENT: Idempotent = Idempotent::Yes;

    fn params(self, _version: Version) -> Result<Params, Error> {
        Ok(self.0)
    }

    fn read(reply: Reply<'_>) -> Result<BTreeMap<String, ChannelInfo>, ReadError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Listed<T: Default> {
            #[serde(deserialize_with = "or_default", bound = "T: Default + Deserialize<'de>")]
            channels: T,
        }
        let names: Vec<String> = match reply.version.major() {
            0 | 1 => reply.parse_data()?,
            2 => reply.parse::<Listed<Vec<String>>>()?.channels,
            _ => {
                let listed: Listed<Nullable<Count>> = reply.parse()?;
                let counted = |(name, count): (String, Option<Count>)| {
                    let num_clients = count.unwrap_or_default().num_clients.unwrap_or_default();
                    (name, ChannelInfo { num_clients: Some(num_clients) })
                };
                return Ok(listed.channels.into_iter().map(counted).collect());
            }
        };
        Ok(names.into_iter().map(|name| (name, ChannelInfo { num_clients: None })).collect())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Count {
    num_clients: Option<u32>,
}

/// A channel that has subscribers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// How many. v3 and later.
    pub num_clients: Option<u32>,
}
