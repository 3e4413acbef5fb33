//! The connection's life: begin, authenticate, lose, begin again, close. When is
//! what is in client-core's `Link`; this is what goes with it.

use std::time::{Duration, Instant};

use client_core::{ConnectError, ConnectStep, LinkError, LinkTimeout, Lost, Started};
use serde_json::value::RawValue;

use super::{Control, Core, Effect, Pending};
use crate::{
    error::Error,
    proto::{auth, pdu},
};

impl LinkError for Error {
    fn advice(&self) -> client_core::Advice {
        self.advice()
    }

    /// Credentials and permissions: trying again cannot help.
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
            Started::Live(to) => self.reply(to, Ok(None)),
            Started::Closed(to) => self.reply(to, Err(Error::Closed)),
        }
    }

    /// Ends the connection. Subscriptions and requests are kept for the next
    /// [`start`](Self::start).
    pub fn stop(&mut self) {
        if self.link.is_closing() || self.link.is_down() {
            return;
        }
        self.lose_connection();
        let starting = self.link.stop().unwrap_or_default();
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
        match &self.config.role {
            Some((role, _)) => {
                let body = auth::handshake(role);
                self.control.push_back(Control::Auth { action: pdu::AUTH_HANDSHAKE, body });
            }
            None => self.go_live(now),
        }
    }

    /// The connection, or the attempt to make one, failed.
    pub fn disconnected(&mut self, now: Instant, cause: Error) {
        if !self.link.has_connection() {
            return;
        }
        self.lose_connection();
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
                let error = ConnectError::new(ConnectStep::Auth, &self.config.endpoint);
                self.fail(now, Error::Connect(error.timed_out()));
            }
            Some(LinkTimeout::Silent(silence)) => {
                let text = format!("nothing was heard for {silence:?}");
                self.fail(now, Error::transport(std::io::Error::other(text)));
            }
        }
    }

    /// Gives the connection up for `cause`.
    pub(super) fn fail(&mut self, now: Instant, cause: Error) {
        self.link.hang_up(false);
        self.disconnected(now, cause);
    }

    pub(super) fn handle_auth(&mut self, now: Instant, action: &str, pdu: &pdu::Pdu<'_>) {
        if !self.link.is_authenticating() {
            return self.stray();
        }
        match (action, &self.config.role) {
            ("auth/handshake/ok", Some((_, secret))) => {
                match auth::authenticate(secret, pdu.body) {
                    Ok(body) => {
                        let action = pdu::AUTH_AUTHENTICATE;
                        self.control.push_back(Control::Auth { action, body });
                    }
                    Err(error) => self.fail(now, error),
                }
            }
            ("auth/authenticate/ok", _) => self.go_live(now),
            _ => {
                let asked = action.strip_suffix("/error").unwrap_or(action);
                let refusal = pdu.refusal(asked);
                self.fail(now, Error::Refused(refusal));
            }
        }
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
        self.end_subscriptions(None);
        let starting = self.link.closed();
        self.reply_all(starting, &Error::Closed);
        self.effects.push_back(Effect::Closed { to, report: self.report });
    }

    fn go_live(&mut self, now: Instant) {
        for to in self.link.live(now) {
            self.reply(to, Ok(None));
        }
        self.control.extend(self.subscriptions.keys().cloned().map(Control::Subscribe));
        // What was full before the connection was lost is full still.
        let full = self.subscriptions.iter().find(|(_, sub)| sub.is_full());
        self.blocked = full.map(|(channel, _)| channel.clone());
    }

    /// What the connection knew is gone; what the client knows is kept.
    fn lose_connection(&mut self) {
        self.subscriptions_lost();
        self.control.clear();
        self.pending.clear();
        self.outbox.rewind();
        self.blocked = None;
    }

    /// No retry can mend this: everyone who waits is told, and the client
    /// stands still until it is started again.
    fn halt(&mut self, cause: Error) {
        self.settle_all(&cause);
        self.end_subscriptions(Some(&cause));
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

    /// An answer that belongs to nothing: late, or never asked for.
    pub(super) fn stray(&self) {
        self.monitor.count(|stats| stats.strays += 1);
    }

    pub(super) fn handle_answer(&mut self, now: Instant, id: u64, pdu: &pdu::Pdu<'_>) {
        // A request that is answered in parts stays until the last one.
        if pdu.action.ends_with("/data") {
            return self.stray();
        }
        let ok = pdu.action.ends_with("/ok");
        if !ok && !pdu.action.ends_with("/error") {
            return self.fail(now, Error::protocol("unexpected_action", &pdu.action));
        }
        match self.pending.remove(&id) {
            None => self.stray(),
            Some(Pending::Auth) => self.handle_auth(now, &pdu.action, pdu),
            Some(Pending::Subscribe(id)) if ok => self.subscribed(now, &id, pdu),
            Some(Pending::Subscribe(id)) => self.subscribe_refused(&id, pdu),
            Some(Pending::Unsubscribe(id)) => self.unsubscribed(&id, ok, pdu),
            Some(Pending::Request(token)) => {
                let Some(outgoing) = self.outbox.settle(token) else { return self.stray() };
                self.count_outbox();
                let result = if ok {
                    self.report.acknowledged += 1;
                    Ok(pdu.body.map(RawValue::to_owned))
                } else {
                    self.report.refused += 1;
                    Err(Error::Refused(pdu.refusal(outgoing.action)))
                };
                if let Some(to) = outgoing.to {
                    self.reply(to, result);
                }
            }
        }
        self.finish_close();
    }
}
