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

/// How far the clocks of broker and client may be apart, and how long the broker may
/// have held messages back.
const OVERLAP: u64 = 5;
/// How far back before the last sign of life is looked: what was delivered then is to
/// be among it, whatever its time is called there.
const LOOKBACK: u64 = 2 * OVERLAP;
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
    /// When the subscription began.
    since: u64,
}

impl Recent {
    pub(super) fn remember(&mut self, unix: u64, message: &Message) {
        while self.seen.front().is_some_and(|(at, _)| at + 2 * LOOKBACK < unix)
            || self.seen.len() >= REMEMBERED
        {
            self.seen.pop_front();
        }
        self.seen.push_back((unix, fingerprint(message.channel(), message.as_binary())));
    }

    /// The subscription is accepted, now or again: what is older than the first time was
    /// never its own.
    pub(super) const fn begin(&mut self, unix: u64) {
        if self.since == 0 {
            self.since = unix;
        }
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
        let since = recent.since.saturating_sub(OVERLAP);
        let from = lost_at.saturating_sub(LOOKBACK).max(since);
        let from = recent.from.take().unwrap_or(from);
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
        let Recognised { is_known, is_uncertain } = recognise(&self.known, &prints);
        let first = is_known.iter().position(|known| *known);
        let was_due = self.known.iter().any(|(at, _)| *at >= self.from + OVERLAP);
        let is_doubtful = is_uncertain || (first.is_none() && was_due);
        // What is clearly older than something delivered was delivered, told as missing,
        // or is older than the subscription. When not everything could be remembered,
        // what is not known may have been delivered shortly before.
        let is_partial = self.known.len() >= REMEMBERED;
        let is_older = |at: usize| match first.and_then(|first| prints.get(first)) {
            Some(_) if is_partial => Some(at) < first,
            Some((known, _)) => prints.get(at).is_some_and(|(unix, _)| unix + ALIKE < *known),
            None => false,
        };
        let older = (0..prints.len()).take_while(|at| is_older(*at)).count();
        let mut stored: HashMap<u64, usize> = HashMap::new();
        let mut messages = Vec::with_capacity(self.fetched.len() + self.live.len());
        let judged = self.fetched.into_iter().zip(prints.iter().copied()).zip(is_known);
        for ((message, (at, print)), is_known) in judged.skip(older) {
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

/// Which of the fetched messages were delivered before.
#[derive(Debug, Eq, PartialEq)]
struct Recognised {
    is_known: Vec<bool>,
    /// Something looks as if the clocks differed, and nothing confirms it.
    is_uncertain: bool,
}

/// Compares what was `known` with what was `fetched`: the same content at about the same
/// time is the same message. Those of which there is one on both sides tell how far the
/// clocks are apart; over a small difference, two of them have to agree.
fn recognise(known: &[Known], fetched: &[Known]) -> Recognised {
    let mut times: HashMap<u64, Vec<u64>> = HashMap::new();
    for (at, print) in known {
        times.entry(*print).or_default().push(*at);
    }
    let mut copies: HashMap<u64, usize> = HashMap::new();
    for (_, print) in fetched {
        *copies.entry(*print).or_default() += 1;
    }
    let skew_of = |at: u64, print: &u64| match (copies.get(print), times.get(print)?.as_slice()) {
        (Some(1), [known]) if at.abs_diff(*known) <= OVERLAP => {
            Some(at.cast_signed() - known.cast_signed())
        }
        _ => None,
    };
    let mut skews: Vec<i64> =
        fetched.iter().filter_map(|(at, print)| skew_of(*at, print)).collect();
    skews.sort_unstable();
    let median = skews.get(skews.len() / 2).copied().unwrap_or_default();
    let agreeing = skews.iter().filter(|skew| skew.abs_diff(median) <= 1).count();
    let skew = if median.unsigned_abs() <= ALIKE || agreeing > 1 { median } else { 0 };
    let is_uncertain = skews.iter().any(|other| other.abs_diff(skew) > ALIKE);
    let is_known = fetched.iter().map(|(at, print)| {
        let Some(times) = times.get_mut(print) else { return false };
        let apart = |known: &u64| at.abs_diff(known.saturating_add_signed(skew));
        let nearest = times.iter().enumerate().min_by_key(|(_, known)| apart(known));
        match nearest {
            Some((place, known)) if apart(known) <= ALIKE => {
                times.swap_remove(place);
                true
            }
            _ => false,
        }
    });
    Recognised { is_known: is_known.collect(), is_uncertain }
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
    use super::{Recognised, recognise};

    fn known(known: &[(u64, u64)], fetched: &[(u64, u64)]) -> Vec<bool> {
        let Recognised { is_known, is_uncertain } = recognise(known, fetched);
        assert!(!is_uncertain);
        is_known
    }

    #[test]
    fn messages_of_a_kind_are_known_whatever_the_clocks_say() {
        // The broker is four seconds behind, and has two more.
        let fetched = [(97, 2), (98, 3), (98, 4), (99, 5)];
        let expected = [true, true, false, false];
        assert_eq!(known(&[(100, 1), (101, 2), (102, 3)], &fetched), expected);
    }

    #[test]
    fn equal_messages_are_told_apart_by_their_time() {
        let seen: Vec<_> = (91..=100).map(|at| (at, 7)).collect();
        let fetched: Vec<_> = (96..=104).map(|at| (at, 7)).collect();
        let expected: Vec<_> = (96..=104).map(|at| at <= 100).collect();
        assert_eq!(known(&seen, &fetched), expected);
    }

    #[test]
    fn the_clocks_are_compared_by_what_is_unmistakable() {
        // The broker is three seconds behind: the tick of 98 is that of 101 here.
        let mut seen: Vec<_> = (95..=101).map(|at| (at, 7)).collect();
        seen.extend([(100, 1), (101, 2)]);
        let mut fetched: Vec<_> = (95..=101).map(|at| (at, 7)).collect();
        fetched.extend([(97, 1), (98, 2)]);
        let expected = [true, true, true, true, false, false, false, true, true];
        assert_eq!(known(&seen, &fetched), expected);
    }

    #[test]
    fn what_is_said_again_is_another_message_and_one_difference_alone_is_doubtful() {
        assert_eq!(known(&[(93, 7)], &[(101, 7)]), [false]);
        // Delivered and not stored, then said again and stored; or a clock.
        let judged = recognise(&[(100, 7)], &[(103, 1), (104, 7)]);
        assert_eq!(judged, Recognised { is_known: vec![false, false], is_uncertain: true });
        // The same text every six seconds, the broker a second behind.
        let seen = [(982, 7), (988, 7), (994, 7)];
        assert_eq!(known(&seen, &[(987, 7), (993, 7), (999, 7)]), [true, true, false]);
    }
}
