//! The connection's life: begin, introduce itself, lose, begin again, close. When is
//! what is in client-core's `Link`; this is what goes with it.

use std::time::{Duration, Instant};

use client_core::{ConnectError, ConnectStep, LinkError, LinkTimeout, Lost, Started};

use super::{Answer, Blocked, Control, Core, Effect, Kind, Notice, Restoring, What};
use crate::error::{Error, Refusal};

impl LinkError for Error {
    fn advice(&self) -> client_core::Advice {
        self.advice()
    }

    /// Credentials and configuration: trying again cannot help.
    fn is_terminal(&self) -> bool {
        match self {
            Self::Refused(_) => !self.is_retryable(),
            Self::Config { .. } | Self::Misuse { .. } | Self::Closed => true,
            _ => false,
        }
    }
}

impl<R> Core<R> {
    /// Begins to connect; `to` is answered when connected, or when the client
    /// stops first.
    pub fn start(&mut self, now: Instant, to: R) {
        match self.link.start(now, to) {
            Started::Later => {}
            Started::Live(to) => self.reply(to, Ok(Answer::Done)),
            Started::Closed(to) => self.reply(to, Err(Error::Closed)),
        }
    }

    /// Ends the connection. Subscriptions, links and requests are kept for the next
    /// [`start`](Self::start).
    pub fn stop(&mut self) {
        if self.link.is_closing() || self.link.is_down() {
            return;
        }
        self.lose_connection(&Error::Closed);
        let starting = self.link.stop().unwrap_or_default();
        self.reply_all(starting, &Error::Closed);
    }

    /// Stops taking requests, waits until `wait` after `now` for what was accepted,
    /// and ends; `to` gets the report by [`Effect::Closed`].
    pub fn close(&mut self, now: Instant, wait: Duration, to: R) {
        if self.is_closed() {
            return self.effects.push_back(Effect::Closed { to: vec![to], report: self.report });
        }
        self.link.close(now, wait, to);
        self.finish_close();
    }

    /// The byte stream is open; `unix` is the system's clock, in seconds since 1970.
    pub fn connected(&mut self, now: Instant, unix: u64) {
        if !self.link.opened(now) {
            return;
        }
        self.next_id = 0;
        self.heard.connected(now, unix);
        self.control.push_back(Control::Connect);
    }

    /// The connection, or the attempt to make one, failed.
    pub fn disconnected(&mut self, now: Instant, cause: Error) {
        if !self.link.has_connection() {
            return;
        }
        self.lose_connection(&cause);
        match self.link.lost(now, &cause) {
            Lost::Waiting => self.finish_close(),
            Lost::Halted => self.halt(cause),
        }
    }

    pub(super) fn link_timeout(&mut self, now: Instant) {
        match self.link.handle_timeout(now, self.blocked.is_some()) {
            None => {}
            Some(LinkTimeout::Ping) => self.control.push_front(Control::Ping),
            Some(LinkTimeout::Unauthenticated) => {
                let address = self.config.addresses.first().map(ToString::to_string);
                let error = ConnectError::new(ConnectStep::Auth, &address.unwrap_or_default());
                self.fail(now, Error::Connect(error.timed_out()));
            }
            Some(LinkTimeout::Silent(silence)) => {
                let text = format!("nothing was heard for {silence:?}");
                self.fail(now, Error::transport(std::io::Error::other(text)));
            }
        }
    }

    /// A broker that does not answer what is restored has lost track of us.
    pub(super) fn restoring_timeout(&mut self, now: Instant) {
        if self.restoring.until.is_none_or(|until| until > now) {
            return;
        }
        if self.blocked.is_some() {
            // Who does not read cannot judge.
            let later = client_core::after(now, self.config.request_timeout);
            self.restoring.until = Some(later);
        } else if !std::mem::take(&mut self.restoring).ids.is_empty() {
            self.fail(now, Error::Timeout);
        }
    }

    /// Gives the connection up for `cause`.
    pub(super) fn fail(&mut self, now: Instant, cause: Error) {
        self.link.hang_up(false);
        self.disconnected(now, cause);
    }

    /// CONNACK.
    pub(super) fn handle_connack(&mut self, now: Instant, code: u8) {
        if !self.link.is_authenticating() {
            return self.fail(now, Error::protocol("connack", "a second one"));
        }
        let message = match code {
            0 => return self.go_live(now),
            1 => "the protocol version is not accepted",
            2 => "the client id is not accepted",
            3 => "the broker is unavailable",
            4 => "user name or password is wrong",
            _ => "not authorized",
        };
        self.fail(now, Error::Refused(Refusal::new("connect", code.into(), message)));
    }

    /// Ends a client that is closing when nothing is left to wait for.
    pub(super) fn finish_close(&mut self) {
        let settled = self.outbox.is_empty() && self.control.is_empty();
        let is_closing = self.link.is_closing() && !self.link.is_closed();
        if is_closing && (settled || self.link.is_down()) {
            self.end(settled);
        }
    }

    /// Ends a client that was given its time to close.
    pub(super) fn close_timeout(&mut self, now: Instant) {
        if self.link.is_close_overdue(now) {
            self.end(false);
        }
    }

    /// Ends the client at once.
    pub fn abort(&mut self) {
        if !self.is_closed() {
            self.end(false);
        }
    }

    fn end(&mut self, graceful: bool) {
        let was_live = self.link.is_live();
        let to = self.link.end(graceful);
        self.settle_all(&Error::Closed);
        self.end_holders(None);
        self.end_watches(None);
        let control = std::mem::take(&mut self.control).into_iter();
        for to in control.filter_map(Control::into_waiter).collect::<Vec<_>>() {
            self.reply(to, Ok(Answer::Done));
        }
        let flights: Vec<_> = self.flying.drain().collect();
        for (_, flight) in flights {
            if let Kind::Unsubscribe(Some(to)) = flight.kind {
                self.reply(to, Ok(Answer::Done));
            }
        }
        self.watches_lost();
        if was_live {
            self.notify(Notice::Disconnected, 0);
        }
        // Their task ends after the last of them.
        self.notices = None;
        let starting = self.link.closed();
        self.reply_all(starting, &Error::Closed);
        self.effects.push_back(Effect::Closed { to, report: self.report });
    }

    /// Connected: everything that the broker has forgotten is said again, in this
    /// order, and then what it has not acknowledged.
    fn go_live(&mut self, now: Instant) {
        for to in self.link.live(now) {
            self.reply(to, Ok(Answer::Done));
        }
        self.sent_at = Some(now);
        self.restoring.until = Some(client_core::after(now, 2 * self.config.request_timeout));
        self.notify(Notice::Connected, 0);
        self.restore_holders(now);
        self.restore_watches();
        self.restore_links();
        // What was full before the connection was lost is full still.
        let holder = self.holders.iter().find(|(_, holder)| holder.is_full());
        let watch = self.watches.iter().find(|(_, watch)| watch.is_full());
        let handlers = self.notices.as_ref().is_some_and(client_core::Writer::is_full);
        self.blocked = match (holder, watch) {
            (Some((serial, _)), _) => Some(Blocked::Holder(*serial)),
            (None, Some((serial, _))) => Some(Blocked::Watch(*serial)),
            (None, None) => handlers.then_some(Blocked::Handlers),
        };
    }

    /// What the connection knew is gone; what the client knows is kept.
    fn lose_connection(&mut self, cause: &Error) {
        if self.link.is_live() {
            self.notify(Notice::Disconnected, 0);
        }
        self.decoder.clear();
        self.blocked = None;
        self.sent_at = None;
        self.asking.clear();
        self.granted.clear();
        self.acks.clear();
        let control = std::mem::take(&mut self.control).into_iter();
        let leaving = control.filter_map(Control::into_waiter).collect::<Vec<_>>();
        let flying: Vec<_> = self.flying.drain().map(|(_, flight)| flight.kind).collect();
        for kind in flying {
            match kind {
                // The broker has forgotten that subscription along with all others.
                Kind::Unsubscribe(Some(to)) => self.reply(to, Ok(Answer::Done)),
                Kind::Publish(token) => self.mark_as_duplicate(token),
                Kind::Ask(asking) => self.lose_ask(&asking, cause),
                Kind::Subscribe { .. } | Kind::Unsubscribe(None) => {}
            }
        }
        for to in leaving {
            self.reply(to, Ok(Answer::Done));
        }
        self.outbox.rewind();
        self.holders_lost();
        self.watches_lost();
        self.restoring = Restoring::default();
        self.count_outbox();
    }

    fn mark_as_duplicate(&mut self, token: client_core::Token) {
        if let Some(outgoing) = self.outbox.get_mut(token)
            && let What::Publish(publish) = &mut outgoing.what
        {
            publish.dup = true;
        }
    }

    /// No retry can mend this: everyone who waits is told, and the client
    /// stands still until it is started again.
    fn halt(&mut self, cause: Error) {
        self.settle_all(&cause);
        self.end_holders(Some(&cause));
        self.end_watches(Some(&cause));
        self.links.clear();
        let starting = self.link.halted(cause.clone());
        self.reply_all(starting, &cause);
        self.finish_close();
    }

    fn settle_all(&mut self, error: &Error) {
        while let Some((token, outgoing)) = self.outbox.pop() {
            self.give_up(token, outgoing, error.clone());
        }
        self.count_outbox();
    }

    fn reply_all(&mut self, all: Vec<R>, error: &Error) {
        for to in all {
            self.reply(to, Err(error.clone()));
        }
    }
}
