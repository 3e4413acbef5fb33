//! What was stored while a subscription was away, fetched and put before what comes
//! now. The broker gives a message no name when it delivers it, only when it is
//! fetched: what was delivered already is known by its content.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::Instant,
};

use bytes::Bytes;

use super::{Control, Core, asks::Asker};
use crate::{
    answers::{HistoryPage, decode},
    delivery::Message,
    error::Error,
    history::{HistoryMessage, Pager, sort},
    options::HistoryOptions,
};

/// How far back before the last sign of life is looked: the broker may have held
/// messages back for a second, and the clocks may differ.
const OVERLAP: u64 = 5;
/// Messages that are remembered, to be known again.
const REMEMBERED: usize = 2_000;
/// Equal messages whose times are further apart than these seconds are two.
const ALIKE: u64 = 2;
/// Bytes that wait for the rest.
const MAX_BYTES: usize = 4 << 20;

/// When the broker was last heard, on the wall clock.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The clock when this connection began.
    connected: Option<(Instant, u64)>,
    last: Option<Instant>,
    /// When the connection before was last heard.
    lost: Option<u64>,
}

impl Heard {
    pub(super) fn connected(&mut self, now: Instant, unix: u64) {
        // A connection that was never heard leaves what was known before.
        self.lost = self.unix().or(self.lost);
        (self.connected, self.last) = (Some((now, unix)), None);
    }

    pub(super) const fn at(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// When the last connection was last heard, in seconds since 1970.
    pub(super) const fn lost_at(&self) -> Option<u64> {
        self.lost
    }

    /// When this connection was last heard.
    pub(super) fn unix(&self) -> Option<u64> {
        let ((began, unix), last) = (self.connected?, self.last?);
        Some(unix + last.saturating_duration_since(began).as_secs())
    }
}

/// A message as it is known again: its time, and its content.
type Known = (u64, u64);

/// What a subscription got lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    seen: VecDeque<Known>,
    /// Messages that had come beside a fetch which the connection took with it.
    held: Vec<Message>,
    /// Since when that fetch looked.
    from: Option<u64>,
}

impl Recent {
    pub(super) fn remember(&mut self, unix: u64, message: &Message) {
        while self.seen.front().is_some_and(|(at, _)| at + 2 * OVERLAP < unix)
            || self.seen.len() >= REMEMBERED
        {
            self.seen.pop_front();
        }
        self.seen.push_back((unix, fingerprint(message.channel(), message.as_binary())));
    }

    /// The next fetch begins where this one did, and keeps what had come.
    pub(super) fn resume(&mut self, fill: Fill) {
        (self.held, self.from) = (fill.live, Some(fill.from));
    }
}

/// One fetch, page by page.
#[derive(Debug)]
pub(super) struct Fill {
    pager: Pager,
    from: u64,
    fetched: Vec<HistoryMessage>,
    /// What came meanwhile.
    live: Vec<Message>,
    /// How much of that came before the first page.
    before_page: Option<usize>,
    bytes: usize,
    limit: usize,
    /// What was delivered before.
    known: Vec<Known>,
    /// The end of all waiting.
    deadline: Instant,
}

impl Fill {
    pub(super) fn new(
        topic: String,
        lost_at: u64,
        limit: u32,
        deadline: Instant,
        recent: &mut Recent,
    ) -> Self {
        let from = recent.from.take().unwrap_or_else(|| lost_at.saturating_sub(OVERLAP));
        let known: Vec<Known> = recent.seen.iter().copied().collect();
        let live = std::mem::take(&mut recent.held);
        let bytes = live.iter().map(|message| message.as_binary().len()).sum();
        // What is known already comes again, and does not count. One more is too much.
        let most = limit.saturating_add(u32::try_from(known.len()).unwrap_or(u32::MAX));
        let options = HistoryOptions::new().from(from).limit(most.saturating_add(1));
        let (pager, limit) = (Pager::new(topic, options), limit as usize);
        let (fetched, before_page) = (Vec::new(), None);
        Self { pager, from, fetched, live, before_page, bytes, limit, known, deadline }
    }

    /// Keeps a message that comes meanwhile. False if that is too much.
    pub(super) fn keep(&mut self, message: &Message) -> bool {
        self.bytes += message.as_binary().len();
        let fits = self.live.len() < self.limit && self.bytes <= MAX_BYTES;
        if fits {
            self.live.push(message.clone());
        }
        fits
    }

    fn take(&mut self, page: HistoryPage) -> Result<(), Error> {
        self.before_page.get_or_insert(self.live.len());
        let page = self.pager.take(page)?;
        self.bytes += page.iter().map(|message| message.payload.len()).sum::<usize>();
        self.fetched.extend(page);
        Ok(())
    }

    /// Whether more was stored than was to be fetched.
    const fn is_too_much(&self) -> bool {
        self.bytes > MAX_BYTES || self.pager.is_exhausted()
    }

    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline <= now
    }

    /// Everything in its order: what was stored and not delivered before, with its
    /// time, and what came meanwhile and is not among it.
    fn finish(mut self) -> Filled {
        sort(&mut self.fetched);
        let prints: Vec<Known> = self.fetched.iter().map(known_as).collect();
        let is_known = recognise(&self.known, &prints);
        // What is older than something delivered was delivered, or told as missing.
        let first = is_known.iter().position(|known| *known);
        let was_due = self.known.iter().any(|(at, _)| *at >= self.from);
        let is_doubtful = first.is_none() && was_due;
        let mut stored: HashMap<u64, usize> = HashMap::new();
        let mut messages = Vec::with_capacity(self.fetched.len() + self.live.len());
        let judged = self.fetched.into_iter().zip(prints).zip(is_known);
        for ((message, (at, print)), is_known) in judged.skip(first.unwrap_or_default()) {
            if !is_known {
                *stored.entry(print).or_default() += 1;
                messages.push((Message::new(message.channel, message.payload), Some(at)));
            }
        }
        let before_page = self.before_page.unwrap_or_default();
        for (at, message) in self.live.into_iter().enumerate() {
            let times = stored.get_mut(&fingerprint(message.channel(), message.as_binary()));
            match times.filter(|times| at < before_page && **times > 0) {
                Some(times) => *times -= 1,
                None => messages.push((message, None)),
            }
        }
        Filled { messages, is_doubtful }
    }
}

/// What a fetch comes to.
struct Filled {
    /// With their times, where the broker has said them.
    messages: Vec<(Message, Option<u64>)>,
    /// Nothing of what was delivered before is among it: the clocks may differ by more
    /// than the overlap, and something may be missing.
    is_doubtful: bool,
}

/// Says which of `fetched` were delivered before. One of a kind is known wherever it
/// is; of equal ones, which are nearest in time, once the clocks are compared by the
/// former.
fn recognise(known: &[Known], fetched: &[Known]) -> Vec<bool> {
    let mut times: HashMap<u64, Vec<u64>> = HashMap::new();
    for (at, print) in known {
        times.entry(*print).or_default().push(*at);
    }
    let mut copies: HashMap<u64, usize> = HashMap::new();
    for (_, print) in fetched {
        *copies.entry(*print).or_default() += 1;
    }
    // One of a kind on both sides is the same one, unless it is too far apart.
    let skew_of = |at: u64, print: &u64| match (copies.get(print), times.get(print)?.as_slice()) {
        (Some(1), [known]) if at.abs_diff(*known) <= OVERLAP => {
            Some(at.cast_signed() - known.cast_signed())
        }
        _ => None,
    };
    let mut skews: Vec<i64> =
        fetched.iter().filter_map(|(at, print)| skew_of(*at, print)).collect();
    skews.sort_unstable();
    let skew = skews.get(skews.len() / 2).copied().unwrap_or_default();
    let singles: Vec<bool> =
        fetched.iter().map(|(at, print)| skew_of(*at, print).is_some()).collect();
    let judged = fetched.iter().zip(singles).map(|((at, print), is_single)| {
        let Some(times) = times.get_mut(print) else { return false };
        let apart = |known: &u64| at.abs_diff(known.saturating_add_signed(skew));
        let nearest = times.iter().enumerate().min_by_key(|(_, known)| apart(known));
        match nearest {
            Some((place, known)) if is_single || apart(known) <= ALIKE => {
                times.swap_remove(place);
                true
            }
            _ => false,
        }
    });
    judged.collect()
}

fn known_as(message: &HistoryMessage) -> Known {
    let unix = message.id.unix().unwrap_or_default();
    (unix, fingerprint(&message.channel, &message.payload))
}

impl<R> Core<R> {
    /// The subscription is accepted: asks for the first page.
    pub(super) fn begin_fill(&mut self, serial: u64) {
        let fill = self.holders.get(&serial).and_then(|holder| holder.fill.as_ref());
        if let Some(ask) = fill.and_then(|fill| fill.pager.ask()) {
            self.control.push_back(Control::Ask(ask, Asker::Fill(serial)));
        }
    }

    pub(super) fn fill_answered(&mut self, serial: u64, result: Result<Bytes, Error>) {
        let Some(fill) = self.holders.get_mut(&serial).and_then(|holder| holder.fill.as_mut())
        else {
            return;
        };
        let page = result.and_then(|payload| decode::<HistoryPage>("history", &payload));
        let went_on = match page.and_then(|page| fill.take(page)) {
            Ok(()) => true,
            Err(Error::AnswerTooLarge) => fill.pager.halve(),
            Err(_) => false,
        };
        if went_on && !fill.is_too_much() {
            match fill.pager.ask() {
                Some(ask) => self.control.push_back(Control::Ask(ask, Asker::Fill(serial))),
                None => self.end_fill(serial),
            }
            return;
        }
        // What is there is delivered, behind the word that something is not.
        self.gap(serial);
        self.end_fill(serial);
    }

    /// More came meanwhile than may wait.
    pub(super) fn abandon_fill(&mut self, serial: u64, message: Message) {
        self.gap(serial);
        self.end_fill(serial);
        self.hand_over(serial, message, None);
    }

    /// The broker does not answer: what is there is delivered, behind a gap.
    pub(super) fn fill_timeout(&mut self, now: Instant, serial: u64) {
        let fill = self.holders.get(&serial).and_then(|holder| holder.fill.as_ref());
        if fill.is_some_and(|fill| fill.is_overdue(now)) {
            self.gap(serial);
            self.end_fill(serial);
        }
    }

    fn end_fill(&mut self, serial: u64) {
        let fill = self.holders.get_mut(&serial).and_then(|holder| holder.fill.take());
        let Some(Filled { messages, is_doubtful }) = fill.map(Fill::finish) else { return };
        if is_doubtful {
            self.gap(serial);
        }
        for (message, at) in messages {
            // What is stored below a channel may be more than the filter matches.
            let mut found = Vec::new();
            self.messages.find(message.channel(), &mut found);
            if found.contains(&serial) {
                self.hand_over(serial, message, at);
            }
        }
    }
}

/// Knows a message by its content: the broker gives it no other name.
fn fingerprint(channel: &str, payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (channel, payload).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::recognise;

    #[test]
    fn messages_of_a_kind_are_known_whatever_the_clocks_say() {
        let known = [(100, 1), (101, 2), (102, 3)];
        // The broker is four seconds behind, and has two more.
        let fetched = [(97, 2), (98, 3), (98, 4), (99, 5)];
        assert_eq!(recognise(&known, &fetched), [true, true, false, false]);
    }

    #[test]
    fn equal_messages_are_told_apart_by_their_time() {
        let known: Vec<_> = (91..=100).map(|at| (at, 7)).collect();
        let fetched: Vec<_> = (96..=104).map(|at| (at, 7)).collect();
        let expected: Vec<_> = (96..=104).map(|at| at <= 100).collect();
        assert_eq!(recognise(&known, &fetched), expected);
    }

    #[test]
    fn the_clocks_are_compared_by_what_is_unmistakable() {
        // The broker is three seconds behind: the tick of 98 is that of 101 here.
        let mut known: Vec<_> = (95..=101).map(|at| (at, 7)).collect();
        known.push((100, 1));
        let mut fetched: Vec<_> = (95..=101).map(|at| (at, 7)).collect();
        fetched.push((97, 1));
        let expected = [true, true, true, true, false, false, false, true];
        assert_eq!(recognise(&known, &fetched), expected);
    }

    #[test]
    fn what_is_said_again_much_later_is_another_message() {
        assert_eq!(recognise(&[(93, 7)], &[(101, 7)]), [false]);
        assert_eq!(recognise(&[(93, 7)], &[(98, 7)]), [true]);
    }
}
