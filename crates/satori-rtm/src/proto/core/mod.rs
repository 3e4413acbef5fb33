//! The client's state machine (docs/protocols/satori-rtm.md, 2 and 10).

mod auth;
mod changes;
mod dispatch;
mod io;
mod link;
mod requests;
mod subscriptions;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    task::{Context, Poll},
    time::Instant,
};

use client_core::{CloseReport, Link, LinkOrder, Listeners, Monitor, Outbox, Token, after};

pub use client_core::{Input, Transmit};
pub use io::{Effect, Request};

use self::{
    auth::{Asked, Exchange},
    requests::Outgoing,
};
use super::{pdu, subscription::Sub, trace::Trace};
use crate::{
    answer::Answer,
    codec::{Field, Payload},
    config::{Config, Delegate},
    error::Error,
    transition::{Phase, Transition},
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
    trace: Trace,
    link: Link<R, Error>,
    /// Who proves the connection's roles, in this order.
    delegates: Vec<Delegate>,
    /// The exchange of authentication that runs.
    exchange: Option<Exchange>,
    /// What the application asks to be authenticated by.
    asked: Option<Asked<R>>,
    outbox: Outbox<Outgoing<R>>,
    subscriptions: BTreeMap<String, Sub<R>>,
    /// When to look at a subscription: somebody has waited long enough for it to begin,
    /// to change or to end, or an answer of the service is overdue.
    waits: BTreeSet<(Instant, String)>,
    /// The one subscription whose full inbox keeps us from reading.
    blocked: Option<String>,
    /// Requests of the connection itself; they go before the outbox.
    control: VecDeque<Control>,
    /// What each id of this connection asked for.
    pending: HashMap<u64, Pending>,
    /// When the answers about subscriptions are overdue, by their ids: later ids are
    /// asked later.
    overdue: BTreeMap<u64, Instant>,
    next_id: u64,
    effects: VecDeque<Effect<R>>,
    report: CloseReport,
}

#[derive(Debug)]
enum Control {
    Ping,
    Auth {
        action: &'static str,
        body: Payload,
    },
    Subscribe(String),
    /// Leaves a subscription that is made again with other options.
    SwapLeave(String),
    SwapJoin(String),
    Unsubscribe(String),
}

#[derive(Debug)]
enum Pending {
    Request(Token),
    Auth(&'static str),
    Subscribe(String),
    SwapLeave(String),
    SwapJoin(String),
    Unsubscribe(String),
}

impl<R> Core<R> {
    /// A client that waits for [`start`](Self::start). Its steps are told to
    /// `listeners`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming an option that cannot be used.
    pub fn new(
        config: Config,
        monitor: Monitor<Error>,
        listeners: Listeners<Transition>,
    ) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self {
            link: Link::new(config.link_settings(), config.rng(), monitor.clone()),
            trace: Trace::new(listeners),
            delegates: config.delegates.clone(),
            exchange: None,
            asked: None,
            outbox: Outbox::new(config.outbox),
            config,
            monitor,
            subscriptions: BTreeMap::new(),
            waits: BTreeSet::new(),
            blocked: None,
            control: VecDeque::new(),
            pending: HashMap::new(),
            overdue: BTreeMap::new(),
            next_id: 0,
            effects: VecDeque::new(),
            report: CloseReport::default(),
        })
    }

    /// Returns the next message for the service; only meaningful between
    /// [`connected`](Self::connected) and the end of that connection. Look at
    /// the effects again afterwards: writing the last request may end a client
    /// that is closing.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let transmit = match self.link.is_live() {
            true => self.next_control(now).or_else(|| self.next_request()),
            false if self.link.is_authenticating() => self.next_control(now),
            false => None,
        };
        let Some(transmit) = transmit else {
            self.finish_close();
            return None;
        };
        let bytes = match &transmit {
            Transmit::Text(text) => text.len(),
            Transmit::Binary(bytes) => bytes.len(),
            Transmit::Ping => return Some(transmit),
        };
        self.monitor.count(|stats| {
            stats.messages_out += 1;
            stats.bytes_out += bytes as u64;
        });
        Some(transmit)
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
        let outbox = self.outbox.poll_timeout();
        // Who does not read cannot judge that nothing was answered.
        let overdue = self.overdue.values().next().filter(|_| self.blocked.is_none()).copied();
        [link, outbox, waits, overdue, self.auth_deadline()].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link_timeout(now);
        self.auth_timeout(now);
        while let Some((token, outgoing)) = self.outbox.expire(now) {
            self.give_up(token, outgoing, Error::Timeout);
        }
        self.subscription_timeout(now);
        self.overdue_timeout(now);
        self.count_outbox();
        self.finish_close();
        self.close_timeout(now);
    }

    /// Waits until the driver may read: a consumer that is slow, and asked to
    /// be waited for, keeps the socket unread.
    pub fn poll_room(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let Some(id) = &self.blocked else { return Poll::Ready(()) };
        let out = self.subscriptions.get(id).and_then(|sub| sub.out.as_ref());
        if out.is_some_and(|out| out.poll_room(cx).is_pending()) {
            return Poll::Pending;
        }
        self.blocked = None;
        let _open = self.link.heard(now);
        let again = after(now, 2 * self.config.request_timeout);
        self.overdue.values_mut().for_each(|at| *at = again);
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

    fn next_control(&mut self, now: Instant) -> Option<Transmit> {
        loop {
            let (action, body, pending) = match self.control.pop_front()? {
                Control::Ping => return Some(Transmit::Ping),
                Control::Auth { action, body } => {
                    let id = self.allot(Pending::Auth(action));
                    self.auth_sent(id);
                    return Some(body.pdu(action, Some(id)));
                }
                Control::Subscribe(id) => {
                    let Some(body) = self.subscribe_request(&id) else { continue };
                    (pdu::SUBSCRIBE, body, Pending::Subscribe(id))
                }
                Control::SwapJoin(id) => {
                    let Some(body) = self.swap_request(&id) else { continue };
                    (pdu::SUBSCRIBE, body, Pending::SwapJoin(id))
                }
                Control::SwapLeave(id) => {
                    if !self.swap_begins(&id) {
                        continue;
                    }
                    let Some(body) = self.unsubscribe_body(&id) else { continue };
                    (pdu::UNSUBSCRIBE, body, Pending::SwapLeave(id))
                }
                Control::Unsubscribe(id) => {
                    let Some(sub) = self.subscriptions.get(&id) else { continue };
                    if sub.phase != Phase::Unsubscribing {
                        continue;
                    }
                    let Some(body) = self.unsubscribe_body(&id) else { continue };
                    (pdu::UNSUBSCRIBE, body, Pending::Unsubscribe(id))
                }
            };
            let id = self.allot(pending);
            // The service has twice as long as any caller waits: then it has lost track.
            self.overdue.insert(id, after(now, 2 * self.config.request_timeout));
            return Some(body.pdu(action, Some(id)));
        }
    }

    /// Always by subscription id; a body of one text can be written.
    fn unsubscribe_body(&self, id: &str) -> Option<Payload> {
        self.config.protocol.body(&[("subscription_id", Field::Text(id))]).ok()
    }

    /// Ids count from 0 on each connection, for all requests together.
    fn allot(&mut self, pending: Pending) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.pending.insert(id, pending);
        id
    }

    fn reply(&mut self, to: R, result: Result<Answer, Error>) {
        self.effects.push_back(Effect::Reply { to, result });
    }
}

/// Yes, and nothing else.
const fn done() -> Result<Answer, Error> {
    Ok(Answer::new(None))
}

impl<R> fmt::Debug for Core<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("outbox", &self.outbox.len())
            .field("subscriptions", &self.subscriptions.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
