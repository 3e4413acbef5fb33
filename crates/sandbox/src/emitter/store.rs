//! Stored messages (docs/protocols/emitter.md, 5 and 8.6).

use std::collections::VecDeque;

use bytes::Bytes;

use super::topic::segments;

/// Messages kept in all; the oldest go first.
const MAX_MESSAGES: usize = 10_000;
/// Their bytes.
const MAX_BYTES: usize = 64 << 20;
/// What one answer may take, before it is written as base64.
const MAX_ANSWER: usize = 65_536;
/// Where the times of ids begin: 2018.
const EPOCH: u64 = 1_514_764_800;

/// One stored message.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) id: Vec<u8>,
    pub(super) channel: String,
    pub(super) payload: Bytes,
    unix: u64,
    sequence: u32,
    expires: u64,
}

impl Stored {
    fn size(&self) -> usize {
        self.id.len() + self.channel.len() + self.payload.len()
    }
}

/// All stored messages, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Store {
    messages: VecDeque<Stored>,
    bytes: usize,
    sequence: u32,
    /// Differs from broker to broker.
    random: [u8; 4],
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Query<'a> {
    /// Wildcards stand for any one segment but the first, by which a broker finds what it
    /// has stored; what is below is included.
    pub(super) channel: &'a str,
    pub(super) window: (u64, u64),
    pub(super) last: usize,
    /// Only what is older than this one.
    pub(super) start: Option<&'a [u8]>,
}

impl Store {
    pub(super) fn new(random: [u8; 4]) -> Self {
        Self { random, ..Self::default() }
    }

    pub(super) fn keep(&mut self, channel: &str, payload: Bytes, unix: u64, ttl: u32) {
        self.sequence = self.sequence.wrapping_add(1);
        let stored = Stored {
            id: self.id(channel, unix),
            channel: channel.to_owned(),
            payload,
            unix,
            sequence: self.sequence,
            expires: unix + u64::from(ttl),
        };
        self.bytes += stored.size();
        self.messages.push_back(stored);
        self.messages.retain(|stored| {
            let keep = unix < stored.expires;
            if !keep {
                self.bytes -= stored.size();
            }
            keep
        });
        while self.messages.len() > MAX_MESSAGES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }

    /// The newest matching messages, as a broker lists them: by whole seconds, and
    /// within one the newest first.
    pub(super) fn find(&self, query: &Query<'_>, now: u64) -> Vec<Stored> {
        let (from, until) = query.window;
        let matching = self.messages.iter().rev().filter(|stored| {
            now < stored.expires
                && (from..=until).contains(&stored.unix)
                && is_below(query.channel, &stored.channel)
        });
        let mut size = 0;
        let older = matching.skip_while(|stored| {
            query.start.is_some_and(|start| {
                stored.id.get(4..12).unwrap_or_default() <= start.get(4..12).unwrap_or_default()
            })
        });
        let mut found: Vec<Stored> = older
            .take(query.last)
            .take_while(|stored| {
                size += stored.size();
                size <= MAX_ANSWER
            })
            .cloned()
            .collect();
        found.sort_by_key(|stored| (stored.unix, u32::MAX - stored.sequence));
        found
    }

    /// Newer messages have smaller ids.
    fn id(&self, channel: &str, unix: u64) -> Vec<u8> {
        let hash = |text: &str| {
            let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
            text.bytes().fold(2_166_136_261, step)
        };
        let seconds = u32::try_from(unix.saturating_sub(EPOCH)).unwrap_or(u32::MAX);
        let mut id = Vec::with_capacity(16 + 4 * segments(channel).count());
        id.extend(hash(segments(channel).next().unwrap_or_default()).to_be_bytes());
        id.extend((u32::MAX - seconds).to_be_bytes());
        id.extend((u32::MAX - self.sequence).to_be_bytes());
        id.extend(self.random);
        id.extend(segments(channel).flat_map(|segment| hash(segment).to_be_bytes()));
        id
    }
}

fn is_below(filter: &str, channel: &str) -> bool {
    let mut channel = segments(channel);
    let is_found = !matches!(segments(filter).next(), Some("+" | "#"));
    is_found
        && segments(filter).all(|wanted| {
            channel.next().is_some_and(|found| matches!(wanted, "+" | "#") || wanted == found)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(store: &Store, channel: &str, last: usize, start: Option<&[u8]>) -> Vec<Stored> {
        store.find(&Query { channel, window: (0, u64::MAX), last, start }, EPOCH + 10)
    }

    fn texts(found: &[Stored]) -> Vec<&str> {
        found.iter().map(|stored| std::str::from_utf8(&stored.payload).unwrap()).collect()
    }

    #[test]
    fn lists_by_seconds_and_pages_back() {
        let mut store = Store::new([1; 4]);
        for (text, at) in [("a", 1), ("b", 2), ("c", 2), ("d", 3), ("gone", 3)] {
            let ttl = if text == "gone" { 1 } else { 60 };
            store.keep("h/x/", Bytes::from_static(text.as_bytes()), EPOCH + at, ttl);
        }
        assert_eq!(texts(&ask(&store, "h/x/", 9, None)), ["a", "c", "b", "d"]);
        assert_eq!(texts(&ask(&store, "h/", 2, None)), ["c", "d"]);
        assert_eq!(texts(&ask(&store, "h/+/", 1, None)), ["d"]);
        assert!(ask(&store, "h/x/y/", 9, None).is_empty());
        assert!(ask(&store, "+/x/", 9, None).is_empty());
        let two = ask(&store, "h/", 2, None);
        let oldest = two.iter().map(|stored| stored.id.clone()).max().unwrap();
        assert_eq!(texts(&ask(&store, "h/", 2, Some(&oldest))), ["a", "b"]);
        let window = Query { channel: "h/", window: (EPOCH + 2, EPOCH + 2), last: 9, start: None };
        assert_eq!(texts(&store.find(&window, EPOCH + 3)), ["c", "b"]);
    }

    #[test]
    fn an_answer_and_the_store_are_bounded() {
        let mut store = Store::new([1; 4]);
        for _ in 0..MAX_MESSAGES + 5 {
            store.keep("h/", Bytes::from(vec![0; 15_000]), EPOCH, 60);
        }
        assert!(store.messages.len() <= MAX_MESSAGES && store.bytes <= MAX_BYTES);
        assert_eq!(ask(&store, "h/", 50, None).len(), 4);
    }
}
