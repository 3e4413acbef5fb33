//! Stored messages: their ids, their order, and how they are fetched page by page
//! (docs/protocols/emitter.md, 8.6).

use std::{
    cmp::Reverse,
    collections::HashSet,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;

use crate::{
    answers::{HistoryPage, Stored},
    error::Error,
    options::HistoryOptions,
    requests::Ask,
};

/// Messages of one page, at first.
const PAGE: u32 = 50;
/// Where the times of ids begin: 2018.
const EPOCH: u64 = 1_514_764_800;

/// The broker's name for a stored message. Ids of one channel are ordered as the
/// messages are.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct MessageId(Vec<u8>);

impl MessageId {
    /// Returns the id's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns when the message was stored, in seconds since 1970; `None` if the id is
    /// too short to say.
    #[must_use]
    pub fn unix(&self) -> Option<u64> {
        let bytes = self.0.get(4..8)?.try_into().ok()?;
        Some(EPOCH + u64::from(u32::MAX - u32::from_be_bytes(bytes)))
    }

    /// Grows with time, over all channels: seconds, and the broker's own count.
    fn order(&self) -> Reverse<&[u8]> {
        Reverse(self.0.get(4..12).unwrap_or_default())
    }

    fn text(&self) -> String {
        BASE64.encode(&self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({})", self.text())
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        BASE64.decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A message that was stored.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HistoryMessage {
    /// Its name.
    pub id: MessageId,
    /// The channel it was published to.
    pub channel: String,
    /// What was published.
    pub payload: Bytes,
}

impl HistoryMessage {
    /// Returns when it was stored, to the second.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.id.unix().unwrap_or_default())
    }
}

impl TryFrom<Stored> for HistoryMessage {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let payload = BASE64.decode(stored.payload.as_bytes());
        let payload = payload.map_err(|e| Error::misuse("answer", e.to_string()))?;
        Ok(Self { id: stored.id, channel: stored.channel, payload: payload.into() })
    }
}

/// Oldest first.
pub(crate) fn sort(messages: &mut [HistoryMessage]) {
    messages.sort_by(|a, b| a.id.order().cmp(&b.id.order()));
}

/// Fetches page by page, from the newest message back in time: each page ends with the
/// second in which the one before has begun. Only within a second of more than a page it
/// goes by the broker's own name for a place, which the nodes of a cluster do not share.
#[derive(Clone, Debug)]
pub(crate) struct Pager {
    /// `key/channel/`.
    topic: String,
    options: HistoryOptions,
    page: u32,
    /// What may still come.
    left: u32,
    /// The oldest that has come.
    oldest: Option<MessageId>,
    /// What has come of its second.
    second: HashSet<MessageId>,
    /// The second alone brings nothing new.
    by_name: bool,
    is_over: bool,
}

impl Pager {
    /// Checks what is asked for.
    #[cfg(feature = "client")]
    pub(crate) fn begin(
        config: &crate::config::Config,
        key: &str,
        channel: &str,
        options: HistoryOptions,
    ) -> Result<Self, Error> {
        options.check()?;
        let channel = crate::channel::Channel::filter(channel)?;
        let topic = crate::channel::topic(config.key_or_default(key)?, channel.as_str(), "");
        Ok(Self::new(topic, options))
    }

    pub(crate) fn new(topic: String, options: HistoryOptions) -> Self {
        let left = options.limit.unwrap_or(u32::MAX);
        let (page, is_over) = (PAGE, left == 0);
        let (oldest, second, by_name) = (None, HashSet::new(), false);
        Self { topic, options, page, left, oldest, second, by_name, is_over }
    }

    /// The next request, if there is more to fetch.
    pub(crate) fn ask(&self) -> Option<Ask> {
        if self.is_over {
            return None;
        }
        let oldest = self.oldest.as_ref();
        let (start, until) = match self.by_name {
            true => (oldest.map(MessageId::text), None),
            false => (None, oldest.and_then(MessageId::unix)),
        };
        // What is known of that second comes again.
        let known = if until.is_some() { self.second.len() } else { 0 };
        let wanted = self.left.saturating_add(u32::try_from(known).unwrap_or(u32::MAX));
        let query = self.options.page(self.page.min(wanted), until);
        Some(Ask::History { channel: format!("{}{query}", self.topic), start })
    }

    /// Takes a page; returns its messages, oldest first.
    pub(crate) fn take(&mut self, page: HistoryPage) -> Result<Vec<HistoryMessage>, Error> {
        let mut messages = Vec::with_capacity(page.messages.len());
        for stored in page.messages {
            if self.is_new(&stored.id) {
                messages.push(HistoryMessage::try_from(stored)?);
            }
        }
        sort(&mut messages);
        let surplus = messages.len().saturating_sub(self.left as usize);
        drop(messages.drain(..surplus));
        self.left -= u32::try_from(messages.len()).unwrap_or(u32::MAX).min(self.left);
        let Some(oldest) = messages.first().map(|message| message.id.clone()) else {
            // Nothing new, whichever way it was asked for: the end. Else the other way.
            self.is_over = self.by_name || self.oldest.is_none();
            self.by_name = true;
            return Ok(messages);
        };
        let unix = oldest.unix();
        if self.oldest.as_ref().and_then(MessageId::unix) != unix {
            self.second.clear();
            self.by_name = false;
        }
        let all = messages.iter().map(|message| &message.id);
        self.second.extend(all.filter(|id| id.unix() == unix).cloned());
        self.is_over = self.left == 0;
        if self.oldest.as_ref().is_none_or(|known| oldest.order() < known.order()) {
            self.oldest = Some(oldest);
        }
        Ok(messages)
    }

    /// Whether it goes on from what has come; a broker that does not go back would be
    /// asked for ever.
    fn is_new(&self, id: &MessageId) -> bool {
        let goes_back = |known: &MessageId| match self.by_name {
            true => id.order() < known.order(),
            false => id.unix() <= known.unix(),
        };
        self.oldest.as_ref().is_none_or(goes_back) && !self.second.contains(id)
    }

    /// The answer was too large to be sent: asks for less from now on. False if there
    /// is nothing less.
    pub(crate) fn halve(&mut self) -> bool {
        self.page /= 2;
        self.is_over |= self.page == 0;
        self.page > 0
    }

    /// Whether the limit was reached: there may be more.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Timestamp;

    /// An id as a broker makes them: the n-th message, in second `at`.
    fn id(at: u64, n: u32) -> MessageId {
        let mut bytes = vec![7; 4];
        bytes.extend((u32::MAX - u32::try_from(at - EPOCH).unwrap()).to_be_bytes());
        bytes.extend((u32::MAX - n).to_be_bytes());
        bytes.extend([1, 2, 3, 4]);
        MessageId(bytes)
    }

    fn stored(at: u64, n: u32) -> Stored {
        Stored {
            id: id(at, n),
            channel: "a/".into(),
            payload: BASE64.encode(n.to_string().as_bytes()),
        }
    }

    fn numbers(messages: &[HistoryMessage]) -> Vec<String> {
        messages.iter().map(|m| String::from_utf8_lossy(&m.payload).into_owned()).collect()
    }

    #[test]
    fn ids_have_the_time_and_the_order() {
        assert_eq!(id(1_735_689_600, 3).unix(), Some(1_735_689_600));
        assert_eq!(MessageId(vec![1, 2, 3]).unix(), None);
        let mut mixed: Vec<HistoryMessage> = [(9, 4), (8, 1), (9, 3), (8, 2)]
            .map(|(at, n)| HistoryMessage::try_from(stored(EPOCH + at, n)).unwrap())
            .into();
        sort(&mut mixed);
        assert_eq!(numbers(&mixed), ["1", "2", "3", "4"]);
        assert_eq!(Timestamp::from(mixed[0].time()).unix(), EPOCH + 8);
    }

    #[test]
    fn pages_go_back_in_time_to_the_limit() {
        let mut pager = Pager::new("K/a/".into(), HistoryOptions::new().limit(3));
        let Some(Ask::History { channel, start: None }) = pager.ask() else { panic!() };
        assert_eq!(channel, "K/a/?last=3");
        let page = HistoryPage { messages: vec![stored(EPOCH + 9, 5), stored(EPOCH + 9, 4)] };
        assert_eq!(numbers(&pager.take(page).unwrap()), ["4", "5"]);
        let Some(Ask::History { channel, start }) = pager.ask() else { panic!() };
        // The second of the oldest comes again, with the two that are known of it.
        assert_eq!((channel, start), (format!("K/a/?until={}&last=3", EPOCH + 9), None));
        // More than was asked for: what is known, and what is over the limit.
        let messages = vec![stored(EPOCH + 7, 2), stored(EPOCH + 9, 4), stored(EPOCH + 8, 3)];
        assert_eq!(numbers(&pager.take(HistoryPage { messages }).unwrap()), ["3"]);
        assert!(pager.ask().is_none() && pager.is_exhausted());
    }

    /// Pages through `all` as one broker answers; returns what came, and the requests.
    fn fetch(all: &[(u64, u32)], page: u32) -> (Vec<u32>, usize) {
        let mut pager = Pager { page, ..Pager::new("K/a/".into(), HistoryOptions::new()) };
        let (mut got, mut asked) = (Vec::new(), 0);
        while let Some(Ask::History { channel, start }) = pager.ask() {
            asked += 1;
            let query = |name: &str| {
                let (_, value) = channel.split_once(&format!("{name}="))?;
                value.split('&').next()?.parse::<u64>().ok()
            };
            let (until, last) = (query("until").unwrap_or(u64::MAX), query("last").unwrap());
            let skipped = all.iter().position(|(at, n)| Some(id(*at, *n).text()) == start);
            let newest = all.iter().skip(skipped.map_or(0, |at| at + 1));
            let found = newest.filter(|(at, _)| *at <= until).take(usize::try_from(last).unwrap());
            let messages = found.map(|(at, n)| stored(*at, *n)).collect();
            let page = pager.take(HistoryPage { messages }).unwrap();
            let numbers = numbers(&page).into_iter().rev();
            got.extend(numbers.map(|n| n.parse::<u32>().unwrap()));
        }
        (got, asked)
    }

    #[test]
    fn everything_comes_once_whatever_the_seconds_hold() {
        let seconds = |n: u32, of: u32| EPOCH + u64::from(n / of);
        for (count, of) in [(1, 1), (20, 1), (20, 3), (20, 4), (20, 5), (40, 7), (40, 40)] {
            let all: Vec<_> = (0..count).rev().map(|n| (seconds(n, of), n)).collect();
            let (got, asked) = fetch(&all, 4);
            assert!(got.iter().eq((0..count).rev().collect::<Vec<_>>().iter()), "{of}: {got:?}");
            assert!(asked <= 2 * all.len() + 2, "{asked}");
        }
    }

    #[test]
    fn what_a_cluster_left_out_of_a_second_comes_with_the_next_page() {
        let mut pager = Pager::new("K/a/".into(), HistoryOptions::new());
        let page = vec![stored(EPOCH + 9, 5), stored(EPOCH + 8, 2)];
        pager.take(HistoryPage { messages: page }).unwrap();
        // The newest of that second was cut off; what is newer still is not wanted.
        let page = vec![stored(EPOCH + 8, 2), stored(EPOCH + 8, 4), stored(EPOCH + 9, 6)];
        assert_eq!(numbers(&pager.take(HistoryPage { messages: page }).unwrap()), ["4"]);
        let Some(Ask::History { channel, start: None }) = pager.ask() else { panic!() };
        assert_eq!(channel, format!("K/a/?until={}&last=50", EPOCH + 8));
    }

    #[test]
    fn an_empty_page_is_the_end_and_a_large_one_is_halved() {
        let mut pager = Pager::new("K/a/".into(), HistoryOptions::new());
        for expected in [25, 12, 6, 3, 1] {
            assert!(pager.halve());
            let Some(Ask::History { channel, .. }) = pager.ask() else { panic!() };
            assert_eq!(channel, format!("K/a/?last={expected}"));
        }
        assert!(!pager.halve() && pager.ask().is_none());
        let mut pager = Pager::new("K/a/".into(), HistoryOptions::new());
        assert!(pager.take(HistoryPage { messages: Vec::new() }).unwrap().is_empty());
        assert!(pager.ask().is_none() && !pager.is_exhausted());
    }
}
