//! The client's state machine (docs/protocols/satori-rtm.md, 2 and 10).

mod dispatch;
mod io;
mod link;
mod subscriptions;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    task::{Context, Poll},
    time::Instant,
};

use client_core::{CloseReport, Dropped, Event, Link, LinkOrder, Monitor, Outbox, Token, after};
use serde_json::value::RawValue;

pub use client_core::{Input, Transmit};
pub use io::{Effect, Request};

use super::{
    pdu,
    subscription::{Phase, Sub},
};
use crate::{config::Config, error::Error};

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
    outbox: Outbox<Outgoing<R>>,
    subscriptions: BTreeMap<String, Sub<R>>,
    /// When to look at a channel: somebody has waited long enough for its
    /// subscription to begin or end, or an answer of the service is overdue.
    waits: BTreeSet<(Instant, String)>,
    /// The one subscription whose full inbox keeps us from reading.
    blocked: Option<String>,
    /// Requests of the connection itself; they go before the outbox.
    control: VecDeque<Control>,
    /// What each id of this connection asked for.
    pending: HashMap<u64, Pending>,
    next_id: u64,
    effects: VecDeque<Effect<R>>,
    report: CloseReport,
}

/// A request of the application, kept until it is settled.
struct Outgoing<R> {
    action: &'static str,
    body: String,
    /// `None` asks for no acknowledgement.
    to: Option<R>,
    /// The id on this connection.
    id: Option<u64>,
    /// Written at least once: the service may have acted.
    sent: bool,
}

#[derive(Debug)]
enum Control {
    Ping,
    Auth { action: &'static str, body: String },
    Subscribe(String),
    Unsubscribe(String),
}

#[derive(Debug)]
enum Pending {
    Request(Token),
    Auth,
    Subscribe(String),
    Unsubscribe(String),
}

impl<R> Core<R> {
    /// A client that waits for [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming an option that cannot be used.
    pub fn new(config: Config, monitor: Monitor<Error>) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self {
            link: Link::new(config.link_settings(), config.rng(), monitor.clone()),
            outbox: Outbox::new(config.outbox),
            config,
            monitor,
            subscriptions: BTreeMap::new(),
            waits: BTreeSet::new(),
            blocked: None,
            control: VecDeque::new(),
            pending: HashMap::new(),
            next_id: 0,
            effects: VecDeque::new(),
            report: CloseReport::default(),
        })
    }

    /// Takes a request; with `to` it is acknowledged, without it is written and
    /// forgotten.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] or [`Error::Closed`] by an [`Effect::Reply`] to `to`;
    /// returned as well, for a request that nobody waits for.
    pub fn request(&mut self, now: Instant, request: Request, to: Option<R>) -> Result<(), Error> {
        let deadline = Some(now + self.config.request_timeout);
        let bytes = request.body.len();
        let refused = if self.link.is_closing() {
            Some(Error::Closed)
        } else if bytes > self.config.outbox.max_bytes {
            let reason = format!("a request of {bytes} bytes is over the outbox's bound");
            Some(Error::misuse("message_too_big", reason))
        } else if self.outbox.has_room(bytes) {
            None
        } else {
            Some(Error::Full)
        };
        if let Some(error) = refused {
            if let Some(to) = to {
                self.reply(to, Err(error.clone()));
            }
            return Err(error);
        }
        let outgoing =
            Outgoing { action: request.action, body: request.body, to, id: None, sent: false };
        // There is room, as asked above.
        let _token = self.outbox.push(outgoing, bytes, deadline);
        self.count_outbox();
        Ok(())
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
        if let Transmit::Text(text) = &transmit {
            let bytes = text.len() as u64;
            self.monitor.count(|stats| {
                stats.messages_out += 1;
                stats.bytes_out += bytes;
            });
        }
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
        [link, self.outbox.poll_timeout(), waits].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link_timeout(now);
        while let Some((token, outgoing)) = self.outbox.expire(now) {
            self.give_up(token, outgoing, Error::Timeout);
        }
        self.subscription_timeout(now);
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
        // Longer than any caller waits: by then the service has lost track.
        let overdue = after(now, 2 * self.config.request_timeout);
        loop {
            let (action, body, pending) = match self.control.pop_front()? {
                Control::Ping => return Some(Transmit::Ping),
                Control::Auth { action, body } => (action, body, Pending::Auth),
                Control::Subscribe(id) => {
                    let Some(sub) = self.subscriptions.get_mut(&id) else { continue };
                    if sub.phase != Phase::Waiting || sub.is_leaving() {
                        continue;
                    }
                    sub.phase = Phase::Subscribing;
                    sub.overdue = Some(overdue);
                    self.waits.insert((overdue, id.clone()));
                    let body =
                        pdu::subscribe_body(&id, sub.options.as_ref(), sub.position.as_ref());
                    (pdu::SUBSCRIBE, body, Pending::Subscribe(id))
                }
                Control::Unsubscribe(id) => {
                    let Some(sub) = self.subscriptions.get_mut(&id) else { continue };
                    if sub.phase != Phase::Subscribed {
                        continue;
                    }
                    sub.phase = Phase::Unsubscribing;
                    sub.overdue = Some(overdue);
                    self.waits.insert((overdue, id.clone()));
                    let body = pdu::unsubscribe_body(&id);
                    (pdu::UNSUBSCRIBE, body, Pending::Unsubscribe(id))
                }
            };
            let id = self.allot(pending);
            return Some(Transmit::Text(pdu::encode(action, Some(id), &body)));
        }
    }

    fn next_request(&mut self) -> Option<Transmit> {
        let (token, outgoing) = self.outbox.launch()?;
        outgoing.sent = true;
        if outgoing.to.is_some() {
            let (action, body) = (outgoing.action, std::mem::take(&mut outgoing.body));
            let id = self.allot(Pending::Request(token));
            let text = pdu::encode(action, Some(id), &body);
            if let Some(outgoing) = self.outbox.get_mut(token) {
                outgoing.id = Some(id);
                outgoing.body = body;
            }
            return Some(Transmit::Text(text));
        }
        let outgoing = self.outbox.settle(token)?;
        self.report.written += 1;
        self.count_outbox();
        Some(Transmit::Text(pdu::encode(outgoing.action, None, &outgoing.body)))
    }

    /// Ids count from 0 on each connection, for all requests together.
    fn allot(&mut self, pending: Pending) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.pending.insert(id, pending);
        id
    }

    fn reply(&mut self, to: R, result: Result<Option<Box<RawValue>>, Error>) {
        self.effects.push_back(Effect::Reply { to, result });
    }

    /// Counts a request that will not be answered, and says so to who waits.
    fn give_up(&mut self, token: Token, outgoing: Outgoing<R>, error: Error) {
        // The id may be of an earlier connection, and somebody else's by now.
        if let Some(id) = outgoing.id
            && matches!(self.pending.get(&id), Some(Pending::Request(of)) if *of == token)
        {
            self.pending.remove(&id);
        }
        match outgoing.sent {
            true => self.report.unacknowledged += 1,
            false => self.report.unsent += 1,
        }
        match outgoing.to {
            Some(to) => self.reply(to, Err(error)),
            None => {
                self.monitor.count(|stats| stats.dropped += 1);
                self.monitor.tell(Event::Dropped { what: Dropped::Requests, count: 1 });
            }
        }
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
            .field("subscriptions", &self.subscriptions.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
