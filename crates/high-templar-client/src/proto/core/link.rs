//! The connection's life: what goes with client-core's `Link`.

use std::time::{Duration, Instant};

use client_core::{ConnectError, ConnectStep, LinkTimeout, Lost, Started, after};

use super::{Call, Control, Core, Effect};
use crate::{config::Protocol, error::Error};

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
        self.finish(true);
    }

    /// The WebSocket is open; the server speaks first.
    pub fn connected(&mut self, now: Instant) {
        let _wanted = self.link.opened(now);
    }

    /// The server has closed the connection, with this code if it gave one. Without
    /// one, before anything else, it means on the 2.x line that the user is not let in.
    pub fn closed(&mut self, now: Instant, code: Option<u16>) {
        let is_first = self.link.is_authenticating();
        if is_first && code.is_none() && self.config.protocol != Protocol::V3 {
            return self.not_authorized(now);
        }
        let text = match code {
            Some(code) => format!("closed by the server with code {code}"),
            None => "closed by the server".to_owned(),
        };
        self.disconnected(now, Error::transport(std::io::Error::other(text)));
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
                self.end_all(Some(&cause));
                let starting = self.link.halted(cause.clone());
                self.reply_all(starting, &cause);
            }
        }
    }

    pub(super) fn link_timeout(&mut self, now: Instant) {
        match self.link.handle_timeout(now, self.blocked.is_some()) {
            None => {}
            // The attempt has its own deadline, and the server may wait for its backend.
            Some(LinkTimeout::Ping) if self.link.is_authenticating() => {
                let _open = self.link.heard(now);
            }
            Some(LinkTimeout::Ping) => self.ping(),
            Some(LinkTimeout::Unauthenticated) => {
                let error = ConnectError::new(ConnectStep::Auth, &self.config.shown());
                self.fail(now, false, Error::Connect(error.timed_out()));
            }
            Some(LinkTimeout::Silent(silence)) => {
                let text = format!("nothing was heard for {silence:?}");
                self.fail(now, false, Error::transport(std::io::Error::other(text)));
            }
        }
        if self.blocked.is_none() && self.next_ping.is_some_and(|at| at <= now) {
            self.next_ping = Some(after(now, self.config.ping_after));
            self.ping();
        }
    }

    /// One ping at a time.
    fn ping(&mut self) {
        let is_queued = self.control.iter().any(|control| matches!(control, Control::Ping));
        if self.link.is_live() && !is_queued && !self.requests.has_ping() {
            self.control.push_front(Control::Ping);
        }
    }

    /// An answer that does not come leaves no other that could be matched.
    pub(super) fn request_timeout(&mut self, now: Instant) {
        if self.blocked.is_none() && self.requests.overdue().is_some_and(|at| at <= now) {
            self.fail(now, false, Error::Timeout { in_doubt: false });
        }
    }

    pub(super) fn close_timeout(&mut self, now: Instant) {
        if self.link.is_close_overdue(now) {
            self.finish(false);
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
            self.finish(false);
        }
    }

    fn finish(&mut self, graceful: bool) {
        let to = self.link.end(graceful);
        // No gap is told: the application wants no more.
        self.lose_connection();
        self.end_all(None);
        let starting = self.link.closed();
        self.reply_all(starting, &Error::Closed);
        self.effects.push_back(Effect::Closed { to });
    }

    pub(super) fn go_live(&mut self, now: Instant) {
        for to in self.link.live(now) {
            self.reply(to, Ok(()));
        }
        self.next_ping = Some(after(now, self.config.ping_after));
        self.restore();
    }

    /// What the connection knew is gone; what the client knows is kept.
    fn lose_connection(&mut self) {
        self.subscriptions_lost();
        self.control.clear();
        self.requests.clear();
        // What was subscribed ended with the connection.
        let over: Vec<u64> =
            self.calls.iter().filter(|(_, c)| c.is_over).map(|(n, _)| *n).collect();
        for number in over {
            if let Some(Call { to, .. }) = self.calls.remove(&number) {
                self.reply(to, Ok(()));
            }
        }
        (self.next_ping, self.blocked, self.line) = (None, None, self.config.protocol);
    }

    fn reply_all(&mut self, all: Vec<R>, error: &Error) {
        for to in all {
            self.reply(to, Err(error.clone()));
        }
    }
}
