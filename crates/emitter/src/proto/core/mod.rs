//! The client's state machine (docs/protocols/emitter.md, 11 and 13).

mod asks;
mod dispatch;
mod fill;
mod io;
mod link;
mod presence;
mod subscriptions;
mod transmit;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    task::{Context, Poll},
    time::Instant,
};

use client_core::{
    CloseReport, Dropped, Event, Link, LinkOrder, Monitor, Outbox, Reserved, Token, Writer, after,
};

pub use client_core::{Input, Transmit};
pub use io::{Answer, Answered, Effect, Handler, Notice, Out, Publish, Subscription, Watcher};

use self::{
    asks::{Asker, Asking},
    presence::Watch,
    subscriptions::Holder,
    transmit::Control,
};
use super::packet::Decoder;
use crate::{
    channel::Filter, config::Config, error::Error, matcher::Trie, options::QoS, requests::Ask,
};

/// The whole client without its socket.
///
/// `R` names somebody who waits for an answer; it comes back in
/// [`Effect::Reply`]. Drive the core in this loop; calls that are not needed are
/// harmless:
///
/// 1. call what happened: a request, [`connected`](Self::connected),
///    [`handle_input`](Self::handle_input), [`disconnected`](Self::disconnected),
///    [`handle_timeout`](Self::handle_timeout);
/// 2. carry out [`poll_effect`](Self::poll_effect) until it returns `None`;
/// 3. while connected and the socket has room, send
///    [`poll_transmit`](Self::poll_transmit) until it returns `None`;
/// 4. wait for the next of: input, a request, [`poll_timeout`](Self::poll_timeout).
///
/// While [`poll_room`](Self::poll_room) is pending, nothing is read.
pub struct Core<R> {
    config: Config,
    monitor: Monitor<Error>,
    link: Link<R, Error>,
    decoder: Decoder,
    outbox: Outbox<Outgoing<R>>,
    holders: BTreeMap<u64, Holder<R>>,
    /// What this connection is subscribed to, and with which key.
    granted: BTreeMap<Filter, String>,
    /// Which holders a message belongs to.
    messages: Trie<u64>,
    watches: BTreeMap<u64, Watch<R>>,
    /// Channels of which the broker tells changes on this connection.
    watched: BTreeSet<String>,
    /// Calls that wait for the end of a watch.
    leaving: BTreeMap<u64, R>,
    /// Which watches a presence event belongs to.
    presence: Trie<u64>,
    /// What the links of this client stand for.
    links: BTreeMap<String, Ask>,
    notices: Option<Writer<Notice>>,
    /// When somebody has waited long enough for a holder or a watch.
    waits: BTreeSet<(Instant, u64)>,
    /// What the connection itself has to say; it goes before the outbox.
    control: VecDeque<Control<R>>,
    /// Messages that are to be acknowledged.
    acks: VecDeque<u16>,
    /// What each packet id of this connection asked for.
    flying: HashMap<u16, Flight<R>>,
    /// The packet id of each request that waits for its answer, by its token.
    asking: HashMap<u64, u16>,
    next_id: u16,
    next_ask: u64,
    restoring: Restoring,
    /// When something was last sent, for keep-alive.
    sent_at: Option<Instant>,
    /// When something was last received, and the wall clock beside it.
    heard: fill::Heard,
    /// Whose full inbox keeps us from reading.
    blocked: Option<Blocked>,
    /// Scratch space: who gets the message at hand.
    found: Vec<u64>,
    effects: VecDeque<Effect<R>>,
    report: CloseReport,
}

/// What a connection begins with, until all of it is answered.
#[derive(Debug, Default)]
struct Restoring {
    until: Option<Instant>,
    /// Packets that wait for their acknowledgement.
    ids: BTreeSet<u16>,
}

/// What the application handed over, kept until it is settled.
struct Outgoing<R> {
    what: What,
    /// `None`: nobody waits, or who did has been answered.
    to: Option<R>,
    /// Written at least once: the broker may have acted.
    sent: bool,
    /// The broker has answered; only its PUBACK is outstanding.
    answered: bool,
    /// Gives its room back when this is settled.
    _reserved: Option<Reserved>,
}

enum What {
    Publish(rumqttc::Publish),
    Ask(Ask),
}

/// A packet that the broker will acknowledge.
struct Flight<R> {
    kind: Kind<R>,
    /// The error that came before the acknowledgement.
    refusal: Option<crate::error::Refusal>,
}

enum Kind<R> {
    Publish(Token),
    Ask(Asking),
    Subscribe { serials: Vec<u64>, filter: Filter, key: String },
    Unsubscribe(Option<R>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Blocked {
    Holder(u64),
    Watch(u64),
    Handlers,
}

impl<R> Core<R> {
    /// A client that waits for [`start`](Self::start). Handlers are told by `notices`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming an option that cannot be used.
    pub fn new(
        config: Config,
        monitor: Monitor<Error>,
        notices: Option<Writer<Notice>>,
    ) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self {
            link: Link::new(config.link_settings(), config.rng(), monitor.clone()),
            decoder: Decoder::new(config.max_packet_bytes),
            outbox: Outbox::new(config.outbox),
            holders: BTreeMap::new(),
            granted: BTreeMap::new(),
            messages: Trie::new(config.matcher),
            watches: BTreeMap::new(),
            watched: BTreeSet::new(),
            leaving: BTreeMap::new(),
            presence: Trie::new(config.matcher),
            links: BTreeMap::new(),
            notices,
            waits: BTreeSet::new(),
            control: VecDeque::new(),
            acks: VecDeque::new(),
            flying: HashMap::new(),
            asking: HashMap::new(),
            next_id: 0,
            next_ask: 0,
            restoring: Restoring::default(),
            sent_at: None,
            heard: fill::Heard::default(),
            blocked: None,
            found: Vec::new(),
            effects: VecDeque::new(),
            report: CloseReport::default(),
            config,
            monitor,
        })
    }

    /// Takes a message. At QoS 1 `to` is answered by its acknowledgement; at QoS 0 it
    /// is answered when the message is written. A message that nobody waits for and
    /// that is not taken is told by [`Event::Dropped`].
    pub fn publish(&mut self, now: Instant, publish: Publish, to: Option<R>) {
        let bytes = publish.size();
        let qos = match publish.qos {
            QoS::AtMostOnce => rumqttc::QoS::AtMostOnce,
            QoS::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
        };
        let mut packet = rumqttc::Publish::new(publish.topic, qos, Vec::new());
        (packet.payload, packet.retain) = (publish.payload, publish.retain);
        self.take(now, What::Publish(packet), bytes, publish.reserved, to);
    }

    /// Takes a request; `to` gets the broker's answer.
    pub fn ask(&mut self, now: Instant, ask: Ask, reserved: Option<Reserved>, to: R) {
        let bytes = ask.body().len();
        self.take(now, What::Ask(ask), bytes, reserved, Some(to));
    }

    fn take(
        &mut self,
        now: Instant,
        what: What,
        bytes: usize,
        reserved: Option<Reserved>,
        to: Option<R>,
    ) {
        let error = match self.link.is_closing() {
            true => Error::Closed,
            false if !self.outbox.has_room(bytes) => Error::Full,
            false => {
                let deadline = after(now, self.config.request_timeout);
                let outgoing =
                    Outgoing { what, to, sent: false, answered: false, _reserved: reserved };
                // There is room, as asked above.
                let _token = self.outbox.push(outgoing, bytes, Some(deadline));
                return self.count_outbox();
            }
        };
        self.refuse(to, error);
    }

    /// Says that a request will not be carried out.
    fn refuse(&mut self, to: Option<R>, error: Error) {
        match to {
            Some(to) => self.reply(to, Err(error)),
            None => {
                self.monitor.count(|stats| stats.dropped += 1);
                self.monitor.tell(Event::Dropped { what: Dropped::Requests, count: 1 });
            }
        }
    }

    /// Returns whether [`poll_effect`](Self::poll_effect) has something to do.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        self.link.has_order() || !self.effects.is_empty()
    }

    /// Returns the next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect<R>> {
        match self.link.poll_order() {
            Some(LinkOrder::Connect { deadline }) => Some(Effect::Connect { deadline }),
            Some(LinkOrder::Disconnect { graceful }) => Some(Effect::Disconnect { graceful }),
            None => self.effects.pop_front(),
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let link = self.link.poll_timeout(self.blocked.is_some());
        let waits = self.waits.first().map(|(at, _)| *at);
        let others = [self.keepalive_at(), self.restoring.until];
        let all = [link, self.outbox.poll_timeout(), waits].into_iter().chain(others);
        all.flatten().min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link_timeout(now);
        if self.keepalive_at().is_some_and(|at| at <= now) {
            self.sent_at = Some(now);
            self.control.push_front(Control::Ping);
        }
        while let Some((token, outgoing)) = self.outbox.expire(now) {
            self.give_up(token, outgoing, Error::Timeout);
        }
        while let Some((at, serial)) = self.waits.first().copied().filter(|(at, _)| *at <= now) {
            self.waits.remove(&(at, serial));
            self.holder_timeout(now, serial);
            self.watch_timeout(serial);
        }
        self.restoring_timeout(now);
        self.count_outbox();
        self.finish_close();
        self.close_timeout(now);
    }

    /// A broker drops who sends nothing, however much it has to read.
    fn keepalive_at(&self) -> Option<Instant> {
        let sent_at = self.sent_at.filter(|_| self.link.is_live())?;
        Some(after(sent_at, self.config.keepalive))
    }

    /// Waits until the driver may read: a consumer that is slow, and asked to
    /// be waited for, keeps the socket unread.
    pub fn poll_room(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let is_full = match self.blocked {
            None => return Poll::Ready(()),
            Some(Blocked::Holder(serial)) => {
                self.holders.get(&serial).is_some_and(|holder| holder.poll_room(cx).is_pending())
            }
            Some(Blocked::Watch(serial)) => {
                self.watches.get(&serial).is_some_and(|watch| watch.poll_room(cx).is_pending())
            }
            Some(Blocked::Handlers) => {
                self.notices.as_ref().is_some_and(|out| out.poll_room(cx).is_pending())
            }
        };
        if is_full {
            return Poll::Pending;
        }
        self.blocked = None;
        let _open = self.link.heard(now);
        // What had come already when the inbox was full.
        self.decode(now);
        Poll::Ready(())
    }

    /// Returns whether a slow consumer keeps the driver from reading.
    #[must_use]
    pub const fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Returns whether the client is closed for good.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    fn reply(&mut self, to: R, result: Answered) {
        self.effects.push_back(Effect::Reply { to, result });
    }

    /// Counts a request that will not be answered, and says so to who waits.
    fn give_up(&mut self, token: Token, outgoing: Outgoing<R>, error: Error) {
        if outgoing.answered {
            return;
        }
        // Its packet id stays taken until the broker acknowledges, so that a late
        // acknowledgement is nobody else's; the answer itself is not waited for.
        self.asking.retain(|_, id| {
            let flight = self.flying.get(id).map(|flight| &flight.kind);
            !matches!(flight, Some(Kind::Ask(asking)) if asking.by == Asker::Application(token))
        });
        match outgoing.sent {
            true => self.report.unacknowledged += 1,
            false => self.report.unsent += 1,
        }
        self.refuse(outgoing.to, error);
    }

    fn notify(&mut self, notice: Notice, bytes: usize) {
        let Some(out) = &self.notices else { return };
        match out.push(notice, bytes) {
            Ok(0) => {}
            Ok(dropped) => self.dropped_messages(dropped),
            Err(_) => self.dropped_messages(1),
        }
        let Some(out) = &self.notices else { return };
        if self.blocked.is_none() && out.is_full() {
            self.blocked = Some(Blocked::Handlers);
        }
    }

    fn dropped_messages(&self, count: u64) {
        self.monitor.count(|stats| stats.dropped += count);
        self.monitor.tell(Event::Dropped { what: Dropped::Messages, count });
    }

    /// An answer that belongs to nothing: late, or never asked for.
    fn stray(&self) {
        self.monitor.count(|stats| stats.strays += 1);
    }

    fn count_outbox(&self) {
        let (len, bytes) = (self.outbox.len(), self.outbox.bytes());
        self.monitor.count(|stats| {
            stats.outbox_len = len;
            stats.outbox_bytes = bytes;
        });
    }
}

impl<R> fmt::Debug for Core<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("outbox", &self.outbox.len())
            .field("subscriptions", &self.holders.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
