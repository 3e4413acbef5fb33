//! The connection's life: what goes with client-core's `Link`.

use std::time::{Duration, Instant};

use client_core::{ConnectError, ConnectStep, LinkTimeout, Lost, Started};

use super::{AUTHENTICATE, Control, Core, Effect, Greeting};
use crate::{error::Error, proto::message};

impl<R> Core<R> {
    /// Begins to connect; `to` is answered when connected, or when the client
    /// stops first.
    pub fn start(&mut self, now: Instant, to: R) {
        match self.link.start(now, to) {
            Started::Later => {}
            Started::Live(to) => self.reply(to, Ok(())),
            Started::Closed(to) => self.reply(to, Err(Error::Closed)),
        }
    }

    /// Ends the connection. Subscriptions are kept for the next
    /// [`start`](Self::start).
    pub fn stop(&mut self) {
        if self.link.is_closing() || self.link.is_down() {
            return;
        }
        self.lose_connection();
        let starting = self.link.stop().unwrap_or_default();
        self.reply_all(starting, &Error::Closed);
    }

    /// Ends the client; `to` is told by [`Effect::Closed`].
    pub fn close(&mut self, now: Instant, to: R) {
        if self.is_closed() {
            return self.effects.push_back(Effect::Closed { to: vec![to] });
        }
        self.link.close(now, Duration::ZERO, to);
        // Nothing is on its way that could be waited for.
        self.end(true);
    }

    /// The WebSocket is open.
    pub fn connected(&mut self, now: Instant, greeting: &Greeting) {
        if !self.link.opened(now) {
            return;
        }
        self.ids.clear();
        match message::authenticate(AUTHENTICATE, &greeting.0) {
            Some(text) => self.control.push_back(Control::Authenticate(text)),
            None => self.fail(now, false, Error::config("credentials", "they have no JSON form")),
        }
    }

    /// The connection, or the attempt to make one, failed.
    pub fn disconnected(&mut self, now: Instant, cause: Error) {
        if !self.link.has_connection() {
            return;
        }
        self.lose_connection();
        match self.link.lost(now, &cause) {
            Lost::Waiting => {}
            Lost::Halted => {
                self.end_subscriptions(Some(&cause));
                let starting = self.link.halted(cause.clone());
                self.reply_all(starting, &cause);
            }
        }
    }

    pub(super) fn link_timeout(&mut self, now: Instant) {
        match self.link.handle_timeout(now, self.blocked.is_some()) {
            None => {}
            Some(LinkTimeout::Ping) => self.control.push_front(Control::Ping),
            Some(LinkTimeout::Unauthenticated) => {
                let error = ConnectError::new(ConnectStep::Auth, &self.config.origin("ws"));
                self.fail(now, false, Error::Connect(error.timed_out()));
            }
            Some(LinkTimeout::Silent(silence)) => {
                let text = format!("nothing was heard for {silence:?}");
                self.fail(now, false, Error::transport(std::io::Error::other(text)));
            }
        }
    }

    pub(super) fn close_timeout(&mut self, now: Instant) {
        if self.link.is_close_overdue(now) {
            self.end(false);
        }
    }

    /// Gives the connection up for `cause`.
    pub(super) fn fail(&mut self, now: Instant, graceful: bool, cause: Error) {
        self.link.hang_up(graceful);
        self.disconnected(now, cause);
    }

    /// Ends the client at once.
    pub fn abort(&mut self) {
        if !self.is_closed() {
            self.end(false);
        }
    }

    fn end(&mut self, graceful: bool) {
        let to = self.link.end(graceful);
        // No gap is told: the application wants no more.
        self.end_subscriptions(None);
        self.lose_connection();
        let starting = self.link.closed();
        self.reply_all(starting, &Error::Closed);
        self.effects.push_back(Effect::Closed { to });
    }

    pub(super) fn go_live(&mut self, now: Instant) {
        for to in self.link.live(now) {
            self.reply(to, Ok(()));
        }
        self.control.extend(self.subscriptions.keys().copied().map(Control::Subscribe));
        // What was full before the connection was lost is full still.
        let full = self.subscriptions.iter().find(|(_, sub)| sub.is_full());
        self.blocked = full.map(|(serial, _)| *serial);
    }

    /// What the connection knew is gone; what the client knows is kept.
    pub(super) fn lose_connection(&mut self) {
        self.subscriptions_lost();
        self.control.clear();
        self.ids.clear();
        self.blocked = None;
    }

    fn reply_all(&mut self, all: Vec<R>, error: &Error) {
        for to in all {
            self.reply(to, Err(error.clone()));
        }
    }
}
