//! Map channels and shared polls: v6.8 and later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Order, Position, Reply, channel::or_default, define::request};

request! {
    /// Sets a key of a map channel. v6.8 and later.
    ///
    /// Wire: `map_publish`, docs/protocols/cent.md, 7.15.
    MapPublish("map_publish", WithKey) -> MapPublished = Reply::parse;
    /// Names the channel and the key.
    new(channel: &str, key: &str);
    /// Attaches tags.
    tags: &BTreeMap<String, String>;
    /// Makes a repeated call return the first one's result.
    idempotency_key: &str;
    /// Sets the version of the document, older ones of which are dropped.
    version: u64;
    /// Sets the life of the document to which versions belong.
    version_epoch: &str;
    /// Sets the place of the key where the channel is ordered.
    score: i64;
}

/// When a key of a map channel is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum KeyMode {
    /// Only if it is not there.
    IfNew,
    /// Only if it is there.
    IfExists,
}

impl MapPublish {
    /// Sends subscribers only what has changed.
    pub fn delta(mut self) -> Self {
        self.0.put("delta", &true);
        self
    }

    /// Says when the key is set. Default: in any case.
    pub fn key_mode(mut self, mode: KeyMode) -> Self {
        self.0.put("key_mode", &mode);
        self
    }

    /// Sets what the key holds.
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        self.0.put("data", data);
        self
    }

    /// Sets what the channel's stream says of it, if that is something else.
    pub fn stream_data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        self.0.put("stream_data", data);
        self
    }
}

request! {
    /// Removes a key of a map channel. v6.8 and later.
    ///
    /// Wire: `map_remove`, docs/protocols/cent.md, 7.15.
    MapRemove("map_remove", WithKey) -> MapPublished = Reply::parse;
    /// Names the channel and the key.
    new(channel: &str, key: &str);
    /// Makes a repeated call return the first one's result.
    idempotency_key: &str;
}

/// What came of a change to a map channel.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
#[serde(default)]
pub struct MapPublished {
    /// The number of the change.
    pub offset: Option<u64>,
    /// The life of the channel to which the number belongs.
    pub epoch: Option<String>,
    /// Nothing was changed, for the reason beside it.
    #[serde(deserialize_with = "or_default")]
    pub suppressed: bool,
    /// Why nothing was changed.
    pub suppress_reason: Option<String>,
}

request! {
    /// Asks for the keys of a map channel. v6.8 and later.
    ///
    /// Wire: `map_read_state`, docs/protocols/cent.md, 7.15.
    MapReadState("map_read_state", Yes) -> MapEntries = Reply::parse;
    /// Names the channel.
    new(channel: &str);
    /// Goes on where the last page ended.
    cursor: &str;
    /// At most so many.
    limit: u32;
    /// Only this key.
    key: &str;
    /// The number of the state that is wanted, with its epoch.
    revision_offset: u64;
    /// The life of the state that is wanted.
    revision_epoch: &str;
}

impl MapReadState {
    /// In ascending order.
    pub fn asc(mut self) -> Self {
        self.0.put("asc", &true);
        self
    }
}

request! {
    /// Asks for the changes of a map channel. v6.8 and later.
    ///
    /// Wire: `map_read_stream`, docs/protocols/cent.md, 7.15.
    MapReadStream("map_read_stream", Yes) -> MapEntries = Reply::parse;
    /// Names the channel.
    new(channel: &str);
    /// At most so many.
    limit: u32;
}

impl MapReadStream {
    /// Which way to read. Default: oldest first.
    pub fn order(mut self, order: Order) -> Self {
        if order == Order::NewestFirst {
            self.0.put("reverse", &true);
        }
        self
    }

    /// What came after this position.
    pub fn since(mut self, position: &Position) -> Self {
        self.0.put("since_offset", &position.offset);
        self.0.put("since_epoch", &position.epoch);
        self
    }
}

/// Keys or changes of a map channel.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct MapEntries {
    /// The entries, in the order that was asked for.
    #[serde(deserialize_with = "or_default")]
    pub entries: Vec<MapEntry>,
    /// The number of the newest change.
    pub offset: Option<u64>,
    /// The life of the channel.
    pub epoch: Option<String>,
    /// Where the next page begins; none after the last.
    pub cursor: Option<String>,
}

/// A key, or a change of one.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct MapEntry {
    /// The key.
    #[serde(deserialize_with = "or_default")]
    pub key: String,
    /// What it holds.
    pub data: Option<Box<RawValue>>,
    /// Its tags.
    #[serde(deserialize_with = "or_default")]
    pub tags: BTreeMap<String, String>,
    /// The number of its last change.
    pub offset: Option<u64>,
    /// Its place where the channel is ordered.
    pub score: Option<i64>,
    /// It was removed.
    #[serde(deserialize_with = "or_default")]
    pub removed: bool,
    /// When it was changed, as the server says it.
    pub time: Option<i64>,
}

request! {
    /// Asks how many keys a map channel has. v6.8 and later.
    ///
    /// Wire: `map_stats`, docs/protocols/cent.md, 7.15.
    MapStats("map_stats", Yes) -> MapStatsResult = Reply::parse;
    /// Names the channel.
    new(channel: &str);
}

/// How many keys a map channel has.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
#[serde(default)]
pub struct MapStatsResult {
    /// Keys.
    #[serde(deserialize_with = "or_default")]
    pub num_keys: u32,
}

request! {
    /// Removes all keys of a map channel. v6.8 and later.
    ///
    /// Wire: `map_clear`, docs/protocols/cent.md, 7.15.
    MapClear("map_clear", No) -> () = Reply::nothing;
    /// Names the channel.
    new(channel: &str);
}

request! {
    /// Publishes a version of a key into a shared-poll channel. v6.8 and later.
    ///
    /// Wire: `shared_poll_publish`, docs/protocols/cent.md, 7.16.
    SharedPollPublish("shared_poll_publish", Yes) -> () = Reply::nothing;
    /// Names channel, key and version, which is not 0.
    new(channel: &str, key: &str, version: u64);
    /// Sets the life of the key to which versions belong.
    epoch: &str;
}

impl SharedPollPublish {
    /// Sets what the key holds.
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        self.0.put("data", data);
        self
    }
}
