//! The client's state machine (docs/protocols/high-templar.md, 24).

mod dispatch;
mod io;
mod link;
mod subscriptions;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    task::{Context, Poll},
    time::Instant,
};

use client_core::{Link, LinkOrder, Monitor, after};

pub use client_core::{Input, Transmit};
pub use io::{Answer, Effect};

use super::{
    ids::Ids,
    message,
    requests::{Asked, Requests},
    subscription::{Phase, Sub},
};
use crate::{
    config::{Config, Protocol},
    error::Error,
};

/// A client without its socket.
///
/// `R` names somebody who waits for an answer; it comes back in
/// [`Effect::Reply`]. Drive the core in this loop; calls that are not needed are
/// harmless:
///
/// 1. call what happened: a call, [`connected`](Self::connected),
///    [`handle_input`](Self::handle_input), [`closed`](Self::closed),
///    [`disconnected`](Self::disconnected), [`handle_timeout`](Self::handle_timeout);
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
    /// Which line the server of this connection speaks; known with its first frame.
    line: Protocol,
    /// By the serial numbers that the handles have, oldest first.
    subscriptions: BTreeMap<u64, Sub<R>>,
    /// Whose each request id is.
    ids: Ids,
    /// Calls of `subscribe` in the order in which they have waited long enough; some may
    /// be answered already.
    callers: VecDeque<(Instant, u64)>,
    /// Calls of `status` and `unsubscribe`, oldest first.
    calls: BTreeMap<u64, Call<R>>,
    next_call: u64,
    requests: Requests,
    /// When the server has not been sent anything for too long.
    next_ping: Option<Instant>,
    /// The one subscription whose full inbox keeps us from reading.
    blocked: Option<u64>,
    control: VecDeque<Control>,
    effects: VecDeque<Effect<R>>,
}

/// Somebody who waits for the answer to a request.
struct Call<R> {
    to: R,
    deadline: Instant,
    /// It is `unsubscribe`, which a lost connection carries out.
    is_over: bool,
}

/// What is to be sent; numbers are those of subscriptions and of calls.
enum Control {
    Ping,
    Subscribe(u64),
    Unsubscribe { id: String, call: Option<u64> },
    Status(u64),
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
            line: config.protocol,
            config,
            monitor,
            subscriptions: BTreeMap::new(),
            ids: Ids::default(),
            callers: VecDeque::new(),
            calls: BTreeMap::new(),
            next_call: 0,
            requests: Requests::default(),
            next_ping: None,
            blocked: None,
            control: VecDeque::new(),
            effects: VecDeque::new(),
        })
    }

    /// Returns the next message for the server; only meaningful between
    /// [`connected`](Self::connected) and the end of that connection.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let text = loop {
            let control = self.control.pop_front()?;
            if let Some(text) = self.request(now, control) {
                break text;
            }
        };
        self.next_ping = Some(after(now, self.config.ping_after));
        let bytes = text.len() as u64;
        self.monitor.count(|stats| {
            stats.messages_out += 1;
            stats.bytes_out += bytes;
        });
        Some(Transmit::Text(text))
    }

    /// The text of a request that still has to be made.
    fn request(&mut self, now: Instant, control: Control) -> Option<String> {
        let overdue = after(now, self.config.request_timeout);
        match control {
            Control::Ping => {
                self.requests.push(Asked::Ping, after(now, self.config.pong_within));
                Some(message::PING.to_owned())
            }
            Control::Subscribe(serial) => {
                let sub = self.subscriptions.get_mut(&serial)?;
                if sub.phase != Phase::Waiting {
                    return None;
                }
                sub.phase = Phase::Subscribing;
                let text = message::subscribe(&sub.room, &sub.id);
                self.requests.push(Asked::Subscribe { serial, id: sub.id.clone() }, overdue);
                Some(text)
            }
            Control::Unsubscribe { id, call } => {
                let text = message::unsubscribe(&id);
                self.requests.push(Asked::Unsubscribe { id, call }, overdue);
                Some(text)
            }
            Control::Status(number) => {
                // Who asked may have given up.
                let _waits = self.calls.get(&number)?;
                self.requests.push(Asked::Status(number), overdue);
                Some(message::status())
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
        let is_read = self.blocked.is_none();
        let link = self.link.poll_timeout(!is_read);
        let overdue = self.requests.overdue().filter(|_| is_read);
        let ping = self.next_ping.filter(|_| is_read);
        let caller = self.callers.front().map(|(deadline, _)| *deadline);
        let call = self.calls.first_key_value().map(|(_, call)| call.deadline);
        [link, overdue, ping, caller, call].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link_timeout(now);
        self.request_timeout(now);
        self.caller_timeout(now);
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
        self.requests.forgive(after(now, self.config.request_timeout));
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
        let result = result.map(|()| Answer::Done);
        self.effects.push_back(Effect::Reply { to, result });
    }
}

impl<R> fmt::Debug for Core<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("subscriptions", &self.subscriptions.len())
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
