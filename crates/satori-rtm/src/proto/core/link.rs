//! The connection's life: begin, authenticate, lose, begin again, close. When is
//! what is in client-core's `Link`; this is what goes with it.

use std::time::{Duration, Instant};

use client_core::{ConnectError, ConnectStep, LinkError, LinkTimeout, Lost, Started};

use super::{Control, Core, Effect, done};
use crate::{error::Error, transition::Phase};

impl LinkError for Error {
    fn advice(&self) -> client_core::Advice {
        self.advice()
    }

    /// Credentials and permissions: trying again cannot help.
    fn is_terminal(&self) -> bool {
        match self {
            Self::Refused(_) => !self.is_retryable(),
            Self::Auth(_) | Self::Config { .. } | Self::Misuse { .. } | Self::Closed => true,
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
            Started::Live(to) => self.reply(to, done()),
            Started::Closed(to) => self.reply(to, Err(Error::Closed)),
        }
        self.trace.enter(self.monitor.state());
    }

    /// Ends the connection. Subscriptions and requests are kept for the next
    /// [`start`](Self::start).
    pub fn stop(&mut self) {
        if self.link.is_closing() || self.link.is_down() {
            return;
        }
        if self.link.is_live() {
            self.trace.pass(Phase::Stopping);
        } else {
            self.trace.leave();
        }
        self.lose_connection(None);
        let starting = self.link.stop().unwrap_or_default();
        self.trace.enter(self.monitor.state());
        self.reply_all(starting, &Error::Closed);
    }

    /// Stops taking requests, waits until `deadline` for what was accepted, and
    /// ends; `to` gets the report by [`Effect::Closed`].
    pub fn close(&mut self, now: Instant, deadline: Duration, to: R) {
        if self.is_closed() {
            return self.effects.push_back(Effect::Closed { to: vec![to], report: self.report });
        }
        self.link.close(now, deadline, to);
        self.finish_close();
    }

    /// The WebSocket is open.
    pub fn connected(&mut self, now: Instant) {
        if !self.link.opened(now) {
            return;
        }
        self.next_id = 0;
        self.authenticate_connection(now, 0);
    }

    /// The connection, or the attempt to make one, failed.
    pub fn disconnected(&mut self, now: Instant, cause: Error) {
        if !self.link.has_connection() {
            return;
        }
        self.trace.leave();
        self.lose_connection(Some(&cause));
        match self.link.lost(now, &cause) {
            Lost::Waiting => {
                self.trace.enter(self.monitor.state());
                self.finish_close();
            }
            Lost::Halted => self.halt(cause),
        }
    }

    pub(super) fn link_timeout(&mut self, now: Instant) {
        match self.link.handle_timeout(now, self.blocked.is_some()) {
            None => {}
            Some(LinkTimeout::Ping) => self.control.push_front(Control::Ping),
            Some(LinkTimeout::Unauthenticated) => {
                let error = ConnectError::new(ConnectStep::Auth, &self.config.endpoint);
                self.fail(now, Error::Connect(error.timed_out()));
            }
            Some(LinkTimeout::Silent(silence)) => {
                let text = format!("nothing was heard for {silence:?}");
                self.fail(now, Error::transport(std::io::Error::other(text)));
            }
        }
        // The time of the next attempt may have come.
        self.trace.enter(self.monitor.state());
    }

    /// Gives the connection up for `cause`.
    pub(super) fn fail(&mut self, now: Instant, cause: Error) {
        self.link.hang_up(false);
        self.disconnected(now, cause);
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
        let to = self.link.end(graceful);
        self.settle_all(&Error::Closed);
        self.auth_given_up(&Error::Closed);
        self.end_subscriptions(None);
        let starting = self.link.closed();
        self.trace.enter(self.monitor.state());
        self.trace.end();
        self.reply_all(starting, &Error::Closed);
        self.effects.push_back(Effect::Closed { to, report: self.report });
    }

    /// The connection is usable. Subscriptions are asked for before anybody hears of it,
    /// as in the original.
    pub(super) fn go_live(&mut self, now: Instant) {
        self.trace.leave();
        self.subscribe_all();
        let starting = self.link.live(now);
        self.trace.enter(self.monitor.state());
        for to in starting {
            self.reply(to, done());
        }
        // What was full before the connection was lost is full still.
        let full = self.subscriptions.iter().find(|(_, sub)| sub.is_full());
        self.blocked = full.map(|(id, _)| id.clone());
        self.begin_asked(now);
    }

    /// What the connection knew is gone; what the client knows is kept.
    fn lose_connection(&mut self, cause: Option<&Error>) {
        self.subscriptions_lost(cause);
        self.auth_lost(cause);
        self.control.clear();
        self.rewind(cause);
        self.blocked = None;
    }

    /// No retry can mend this: everyone who waits is told, and the client
    /// stands still until it is started again.
    fn halt(&mut self, cause: Error) {
        self.settle_all(&cause);
        self.auth_given_up(&cause);
        self.end_subscriptions(Some(&cause));
        let starting = self.link.halted(cause.clone());
        self.trace.enter(self.monitor.state());
        self.reply_all(starting, &cause);
        self.finish_close();
    }

    fn reply_all(&mut self, all: Vec<R>, error: &Error) {
        for to in all {
            self.reply(to, Err(error.clone()));
        }
    }

    /// An answer that belongs to nothing: late, or never asked for.
    pub(super) fn stray(&self) {
        self.monitor.count(|stats| stats.strays += 1);
    }
}
