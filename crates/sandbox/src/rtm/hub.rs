//! Channels: messages in order, their positions, and who waits for more.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::Notify, time::Instant};

use super::{config::RtmConfig, message::Message};

/// A place in a channel: `epoch:index`, where the epoch is the server's start.
/// An index names a message; the index after the last one names the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Position {
    pub(super) epoch: u64,
    pub(super) index: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.index)
    }
}

/// Why a position leads nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Nowhere {
    Malformed,
    Expired,
}

/// The channel has another last message than the writer expects.
#[derive(Clone, Copy, Debug)]
pub(super) struct MovedOn;

#[derive(Clone, Debug)]
struct Stored {
    message: Message,
    at: Instant,
}

#[derive(Debug)]
struct Channel {
    /// Index of the oldest message kept. The first is 1, so that the position of
    /// a channel without messages is never that of a message.
    first: u64,
    messages: VecDeque<Stored>,
    /// Connections that subscribe, by number.
    watchers: BTreeMap<u64, Arc<Notify>>,
}

impl Default for Channel {
    fn default() -> Self {
        Self { first: 1, messages: VecDeque::new(), watchers: BTreeMap::new() }
    }
}

impl Channel {
    fn next(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    /// The last message, or the place before the first one.
    fn last(&self) -> u64 {
        self.next().saturating_sub(1)
    }

    /// Whether `index` is the place before the first message of a channel that
    /// has none.
    fn is_before_all(&self, index: u64) -> bool {
        self.messages.is_empty() && index == self.last()
    }

    fn get(&self, index: u64) -> Option<&Stored> {
        self.messages.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }
}

/// Where a subscription wants to start.
#[derive(Clone, Debug, Default)]
pub(super) struct Start {
    pub(super) position: Option<String>,
    pub(super) count: Option<u64>,
    pub(super) age: Option<u64>,
}

/// What a subscription gets next.
#[derive(Debug)]
pub(super) enum Batch {
    /// Messages, and the index after the last of them.
    Messages(Vec<Message>, u64),
    /// The next message is no longer kept: how many were missed, and the index
    /// of the oldest that is.
    Missed(u64, u64),
    /// Nothing new.
    Empty,
}

/// Most messages and bytes in one data PDU.
pub(super) const BATCH: usize = 100;
pub(super) const BATCH_BYTES: usize = 256 << 10;

pub(super) struct Hub {
    epoch: u64,
    config: RtmConfig,
    channels: Mutex<BTreeMap<String, Channel>>,
}

impl Hub {
    pub(super) fn new(config: RtmConfig) -> Self {
        Self { epoch: next_epoch(), config, channels: Mutex::default() }
    }

    /// Stores a message and wakes the channel's subscribers, unless another
    /// message than the one at `expected` is the last. `None` if the server holds
    /// as many channels as it may.
    pub(super) fn publish(
        &self,
        name: &str,
        message: &Message,
        expected: Option<Position>,
    ) -> Option<Result<Position, MovedOn>> {
        self.with_channel(name, |channel| {
            if !self.is_last(channel, expected) {
                return Err(MovedOn);
            }
            let index = channel.next();
            channel.messages.push_back(Stored { message: message.clone(), at: Instant::now() });
            if channel.messages.len() > self.config.history {
                channel.messages.pop_front();
                channel.first += 1;
            }
            // Under the lock, so that the auditor sees the server's order.
            if let Some(auditor) = &self.config.auditor {
                auditor.received(name, message.json());
            }
            channel.watchers.values().for_each(|watcher| watcher.notify_one());
            Ok(self.at(index))
        })
    }

    /// Returns the message at `position`, or the last one, and its position.
    pub(super) fn read(
        &self,
        name: &str,
        position: Option<&str>,
    ) -> Result<(Position, Message), Nowhere> {
        let wanted = position.map(|text| self.parse(text)).transpose()?;
        // A channel that is only read need not be.
        let channels = self.lock();
        let found = channels.get(name).map(|channel| {
            let index = wanted.map_or_else(|| channel.last(), |wanted| wanted.index);
            match channel.get(index) {
                Some(stored) => Ok((self.at(index), stored.message.clone())),
                None if channel.is_before_all(index) => Ok((self.at(index), Message::null())),
                None if index < channel.first => Err(Nowhere::Expired),
                None if index > channel.next() => Err(Nowhere::Malformed),
                None => Ok((self.at(index), Message::null())),
            }
        });
        found.unwrap_or_else(|| Ok((self.at(0), Message::null())))
    }

    /// Whether the channel's last message, or the place before all, is at
    /// `expected`.
    fn is_last(&self, channel: &Channel, expected: Option<Position>) -> bool {
        expected.is_none_or(|expected| expected == self.at(channel.last()))
    }

    /// Forgets a channel's messages; positions go on.
    pub(super) fn purge(&self, name: &str) {
        if let Some(channel) = self.lock().get_mut(name) {
            channel.first = channel.next();
            channel.messages.clear();
        }
    }

    /// Resolves a starting point. `None` if there may be no more channels.
    pub(super) fn start(&self, name: &str, start: &Start) -> Option<Result<Position, Nowhere>> {
        self.with_channel(name, |channel| {
            let base = match &start.position {
                None => channel.next(),
                Some(text) => {
                    let index = self.parse(text)?.index;
                    let before_all = channel.is_before_all(index);
                    let index = if before_all { channel.first } else { index };
                    if index > channel.next() {
                        return Err(Nowhere::Malformed);
                    }
                    if index < channel.first {
                        return Err(Nowhere::Expired);
                    }
                    index
                }
            };
            let mut index = base;
            if let Some(age) = start.age {
                let reference = channel.get(base).map_or_else(Instant::now, |stored| stored.at);
                while index > channel.first
                    && channel.get(index - 1).is_some_and(|stored| {
                        reference.duration_since(stored.at) <= Duration::from_secs(age)
                    })
                {
                    index -= 1;
                }
            } else if let Some(count) = start.count {
                index = base.saturating_sub(count).max(channel.first);
            }
            Ok(self.at(index))
        })
    }

    /// Wakes `connection` by `notify` when the channel has something new.
    pub(super) fn watch(&self, name: &str, connection: u64, notify: &Arc<Notify>) {
        self.with_channel(name, |channel| {
            channel.watchers.insert(connection, Arc::clone(notify));
        });
    }

    pub(super) fn unwatch(&self, name: &str, connection: u64) {
        if let Some(channel) = self.lock().get_mut(name) {
            channel.watchers.remove(&connection);
        }
    }

    /// Returns what comes from `index` on.
    pub(super) fn batch(&self, name: &str, index: u64) -> Batch {
        let channels = self.lock();
        let Some(channel) = channels.get(name) else { return Batch::Empty };
        if index < channel.first {
            return Batch::Missed(channel.first - index, channel.first);
        }
        let mut bytes = 0;
        let messages: Vec<Message> = (index..channel.next())
            .filter_map(|index| channel.get(index))
            .take(BATCH)
            .take_while(|stored| {
                let fits = bytes == 0 || bytes + stored.message.len() <= BATCH_BYTES;
                bytes += stored.message.len();
                fits
            })
            .map(|stored| stored.message.clone())
            .collect();
        if messages.is_empty() {
            return Batch::Empty;
        }
        let next = index + messages.len() as u64;
        Batch::Messages(messages, next)
    }

    pub(super) const fn at(&self, index: u64) -> Position {
        Position { epoch: self.epoch, index }
    }

    /// A position of an earlier server is one whose messages are gone.
    pub(super) fn parse(&self, text: &str) -> Result<Position, Nowhere> {
        let parsed = text.split_once(':').and_then(|(epoch, index)| {
            Some(Position { epoch: epoch.parse().ok()?, index: index.parse().ok()? })
        });
        match parsed {
            None => Err(Nowhere::Malformed),
            Some(position) if position.epoch != self.epoch => Err(Nowhere::Expired),
            Some(position) => Ok(position),
        }
    }

    fn with_channel<T>(&self, name: &str, act: impl FnOnce(&mut Channel) -> T) -> Option<T> {
        let mut channels = self.lock();
        if let Some(channel) = channels.get_mut(name) {
            return Some(act(channel));
        }
        if channels.len() >= self.config.max_channels {
            return None;
        }
        Some(act(channels.entry(name.to_owned()).or_default()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// The time in seconds, but never the same twice: a position of one server must
/// not mean anything to the next.
fn next_epoch() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let next = |last: u64| Some(now.max(last + 1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
    now.max(last + 1)
}
