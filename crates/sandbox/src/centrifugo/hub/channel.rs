//! What one channel keeps, and for how long.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::super::config::ChannelOptions;

/// The payload of a publication.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// What a faulty release publishes: a message without data.
    Nothing,
    Json(Box<RawValue>),
    /// Bytes that are no JSON: no answer can hold them.
    Other,
}

/// Who published, or who is there.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ClientInfo {
    pub(crate) user: String,
    pub(crate) client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) conn_info: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chan_info: Option<Box<RawValue>>,
}

/// A publication on its way in.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) data: Data,
    pub(crate) info: Option<ClientInfo>,
    pub(crate) tags: BTreeMap<String, String>,
    /// v1 only: the message's id, and the client it is said to come from.
    pub(crate) uid: String,
    pub(crate) client: String,
    pub(crate) skip_history: bool,
}

impl Publication {
    pub(crate) fn new(data: Data) -> Self {
        let (uid, client) = (String::new(), String::new());
        Self { data, info: None, tags: BTreeMap::new(), uid, client, skip_history: false }
    }
}

/// A publication with its place.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) offset: u64,
    pub(crate) publication: Publication,
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) epoch: String,
    pub(super) top: u64,
    /// Oldest first.
    pub(super) kept: VecDeque<Kept>,
    newest: Instant,
    /// Somebody knows its epoch.
    pub(super) told: bool,
    /// The subscribers by client id, with what the subscription says of each.
    pub(super) subscribers: BTreeMap<String, Option<Box<RawValue>>>,
}

impl Channel {
    pub(super) fn new() -> Self {
        Self {
            epoch: epoch(),
            top: 0,
            kept: VecDeque::new(),
            newest: Instant::now(),
            told: false,
            subscribers: BTreeMap::new(),
        }
    }

    /// Keeps a publication; returns its offset.
    pub(super) fn keep(&mut self, publication: Publication, options: &ChannelOptions) -> u64 {
        self.expire(options);
        self.top += 1;
        self.newest = Instant::now();
        self.kept.push_back(Kept { offset: self.top, publication });
        while self.kept.len() > options.history_size {
            self.kept.pop_front();
        }
        self.top
    }

    /// A history lives as long as its newest publication; offset and epoch stay.
    pub(super) fn expire(&mut self, options: &ChannelOptions) {
        if self.newest.elapsed() > options.history_ttl {
            self.kept.clear();
        }
    }

    /// Whether nobody misses the channel: nobody is there, and no place in it was
    /// told.
    pub(super) fn is_unused(&self) -> bool {
        self.subscribers.is_empty() && self.top == 0 && !self.told
    }

    /// Whether the channel can go where room is needed: nobody is there, and its
    /// history was never begun or is over.
    pub(super) fn is_forgotten(&self, ttl: Duration) -> bool {
        self.subscribers.is_empty() && (self.top == 0 || self.newest.elapsed() > ttl)
    }
}

/// Four letters, as the servers make them.
fn epoch() -> String {
    let mut bytes = [0; 4];
    // Without randomness the epochs are alike, and nothing else suffers.
    let _best_effort = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}
