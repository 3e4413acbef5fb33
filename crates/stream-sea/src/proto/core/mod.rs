//! The client's state machine (docs/protocols/stream-sea.md, 7.7).

mod dispatch;
mod io;
mod link;
mod subscriptions;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    task::{Context, Poll},
    time::Instant,
};

use client_core::{Link, LinkOrder, Monitor};

pub use client_core::{Input, Transmit};
pub use io::{Effect, Greeting};

use super::{
    message,
    subscription::{Phase, Sub},
};
use crate::{config::Config, error::Error};

/// All subscriptions of a client without their socket.
///
/// `R` names somebody who waits for an answer; it comes back in
/// [`Effect::Reply`]. Drive the core in this loop; calls that are not needed are
/// harmless:
///
/// 1. call what happened: a subscription, [`connected`](Self::connected),
///    [`handle_input`](Self::handle_input), [`disconnected`](Self::disconnected),
///    [`handle_timeout`](Self::handle_timeout);
/// 2. carry out [`poll_effect`](Self::poll_effect) until it returns `None`;
/// 3. while connected and the socket has room, send
///    [`poll_transmit`](Self::poll_transmit) until it returns `None`;
/// 4. wait for the next of: input, a call, [`poll_timeout`](Self::poll_timeout).
///
/// While [`poll_room`](Self::poll_room) is pending, nothing is read.
pub struct Core<R> {
    config: Config,
    monitor: Monitor<Error>,
    link: Link<R, Error>,
    /// By the serial numbers that the handles have, oldest first.
    subscriptions: BTreeMap<u64, Sub<R>>,
    /// Whose each id of this connection is. An id stays when its subscription is
    /// gone: the protocol has no way to end one, and what still comes is nobody's.
    ids: HashMap<u64, u64>,
    next_id: u64,
    /// The one subscription whose full inbox keeps us from reading.
    blocked: Option<u64>,
    control: VecDeque<Control>,
    effects: VecDeque<Effect<R>>,
}

enum Control {
    Ping,
    /// The text is made already: secrets are not kept.
    Authenticate(String),
    Subscribe(u64),
}

/// The id of `authenticate`.
const AUTHENTICATE: u64 = 1;

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
            config,
            monitor,
            subscriptions: BTreeMap::new(),
            ids: HashMap::new(),
            next_id: AUTHENTICATE,
            blocked: None,
            control: VecDeque::new(),
            effects: VecDeque::new(),
        })
    }

    /// Returns the next message for the service; only meaningful between
    /// [`connected`](Self::connected) and the end of that connection.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let text = loop {
            match self.control.pop_front()? {
                Control::Ping => return Some(Transmit::Ping),
                Control::Authenticate(text) => {
                    self.next_id = AUTHENTICATE + 1;
                    break text;
                }
                Control::Subscribe(serial) => match self.subscribe_request(now, serial) {
                    Some(text) => break text,
                    None => continue,
                },
            }
        };
        let bytes = text.len() as u64;
        self.monitor.count(|stats| {
            stats.messages_out += 1;
            stats.bytes_out += bytes;
        });
        Some(Transmit::Text(text))
    }

    /// The request of a subscription that still has to be made.
    fn subscribe_request(&mut self, now: Instant, serial: u64) -> Option<String> {
        let overdue = self.overdue(now);
        let sub = self.subscriptions.get_mut(&serial)?;
        if sub.phase != Phase::Waiting {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        sub.phase = Phase::Subscribing { id, overdue };
        self.ids.insert(id, serial);
        message::subscribe(id, &sub.stream, sub.options.group)
    }

    /// When an answer is overdue that is asked for now: longer than any caller waits.
    /// By then the service has lost track.
    fn overdue(&self, now: Instant) -> Instant {
        client_core::after(now, 2 * self.config.request_timeout)
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
        let subscriptions =
            self.subscriptions.values().filter_map(|sub| sub.due(self.blocked.is_some()));
        link.into_iter().chain(subscriptions).min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link_timeout(now);
        self.subscription_timeout(now);
        self.close_timeout(now);
    }

    /// Waits until the driver may read: a consumer that is slow, and asked to
    /// be waited for, keeps the socket unread.
    pub fn poll_room(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let Some(serial) = self.blocked else { return Poll::Ready(()) };
        let sub = self.subscriptions.get(&serial);
        if sub.is_some_and(|sub| sub.poll_room(cx).is_pending()) {
            return Poll::Pending;
        }
        self.blocked = None;
        let _open = self.link.heard(now);
        let overdue = self.overdue(now);
        for sub in self.subscriptions.values_mut() {
            if let Phase::Subscribing { overdue: at, .. } = &mut sub.phase {
                *at = overdue;
            }
        }
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

    fn reply(&mut self, to: R, result: Result<(), Error>) {
        self.effects.push_back(Effect::Reply { to, result });
    }
}

impl<R> fmt::Debug for Core<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("subscriptions", &self.subscriptions.len())
            .field("next_id", &self.next_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
