//! The connection's life: begin, authenticate, lose, begin again, close.

use std::time::{Duration, Instant};

use client_core::{Beat, Event, Heartbeat, State};
use serde_json::value::RawValue;

use super::{Closing, Control, Core, Effect, Link, Pending, after};
use crate::{
    error::{ConnectError, ConnectStep, Error},
    proto::{auth, pdu},
};

impl<R> Core<R> {
    /// Begins to connect; `to` is answered when connected, or when the client
    /// stops first.
    pub fn start(&mut self, now: Instant, to: R) {
        match self.link {
            Link::Closed => self.reply(to, Err(Error::Closed)),
            _ if self.closing.is_some() => self.reply(to, Err(Error::Closed)),
            Link::Live { .. } => self.reply(to, Ok(None)),
            Link::Connecting { .. } | Link::Authenticating { .. } => self.starting.push(to),
            Link::Down => {
                self.retry.reset();
                self.starting.push(to);
                self.begin(now);
            }
            Link::Waiting { .. } => {
                self.starting.push(to);
                self.begin(now);
            }
        }
    }

    /// Ends the connection. Subscriptions and requests are kept for the next
    /// [`start`](Self::start).
    pub fn stop(&mut self) {
        if self.is_closing() || matches!(self.link, Link::Down) {
            return;
        }
        self.lose_connection();
        self.hang_up(true);
        self.link = Link::Down;
        self.set_state(State::Stopped);
        self.monitor.tell(Event::Disconnected { cause: None });
        self.answer_starting(|| Error::Closed);
    }

    /// Stops taking requests, waits until `deadline` for what was accepted, and
    /// ends; `to` gets the report by [`Effect::Closed`].
    pub fn close(&mut self, now: Instant, deadline: Duration, to: R) {
        if self.is_closed() {
            return self.effects.push_back(Effect::Closed { to: vec![to], report: self.report });
        }
        let deadline = after(now, deadline);
        let closing = self.closing.get_or_insert(Closing { to: Vec::new(), deadline });
        closing.deadline = closing.deadline.min(deadline);
        closing.to.push(to);
        self.finish_close();
    }

    /// The WebSocket is open.
    pub fn connected(&mut self, now: Instant) {
        let Link::Connecting { deadline } = self.link else { return };
        self.next_id = 0;
        let heartbeat = Heartbeat::new(self.config.ping_after, self.config.pong_within, now);
        self.link = Link::Authenticating { deadline, heartbeat };
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
        let was_open = matches!(self.link, Link::Authenticating { .. } | Link::Live { .. });
        if !was_open && !matches!(self.link, Link::Connecting { .. }) {
            return;
        }
        self.lose_connection();
        self.monitor.count(|stats| stats.last_error = Some(cause.clone()));
        if was_open {
            self.monitor.tell(Event::Disconnected { cause: Some(cause.clone()) });
        }
        let first = self.retry.is_fresh() && !self.config.retry_first_connect;
        if first || is_terminal(&cause) {
            return self.halt(cause);
        }
        let delay = self.retry.failed(now, cause.advice());
        self.link = Link::Waiting { until: after(now, delay) };
        self.set_state(State::Waiting);
        self.monitor.tell(Event::Waiting { attempt: self.retry.attempt(), delay, cause });
        self.finish_close();
    }

    pub(super) fn link_timeout(&mut self, now: Instant) {
        let blocked = self.blocked.is_some();
        let beat = match &mut self.link {
            Link::Authenticating { deadline, .. } if *deadline <= now => {
                let error = ConnectError::new(ConnectStep::Auth, &self.config.endpoint);
                return self.fail(now, Error::Connect(error.timed_out()));
            }
            Link::Waiting { until } if *until <= now => return self.begin(now),
            Link::Live { heartbeat } if !blocked => heartbeat.handle_timeout(now),
            Link::Authenticating { heartbeat, .. } => heartbeat.handle_timeout(now),
            _ => None,
        };
        match beat {
            Some(Beat::Ping) => self.control.push_front(Control::Ping),
            Some(Beat::Dead) => {
                let silence = self.config.ping_after + self.config.pong_within;
                let text = format!("nothing was heard for {silence:?}");
                self.fail(now, Error::transport(std::io::Error::other(text)));
            }
            None => {}
        }
    }

    /// Gives the connection up for `cause`.
    pub(super) fn fail(&mut self, now: Instant, cause: Error) {
        self.hang_up(false);
        self.disconnected(now, cause);
    }

    pub(super) fn handle_auth(&mut self, now: Instant, action: &str, pdu: &pdu::Pdu<'_>) {
        let Link::Authenticating { .. } = self.link else { return self.stray() };
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
        if self.closing.is_some() && (settled || matches!(self.link, Link::Down)) {
            self.end(settled);
        }
    }

    /// Ends a client that was given its time to close.
    pub(super) fn close_timeout(&mut self, now: Instant) {
        if self.closing.as_ref().is_some_and(|closing| closing.deadline <= now) {
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
        let to = self.closing.take().map(|closing| closing.to).unwrap_or_default();
        if !matches!(self.link, Link::Down) {
            self.hang_up(graceful);
            self.monitor.tell(Event::Disconnected { cause: None });
        }
        self.link = Link::Closed;
        self.settle_all(&Error::Closed);
        self.end_subscriptions(None);
        self.answer_starting(|| Error::Closed);
        self.set_state(State::Closed);
        self.monitor.tell(Event::Closed);
        self.effects.push_back(Effect::Closed { to, report: self.report });
    }

    fn begin(&mut self, now: Instant) {
        let deadline = after(now, self.config.connect_timeout);
        self.link = Link::Connecting { deadline };
        self.set_state(State::Connecting);
        self.monitor.tell(Event::Connecting { attempt: self.retry.attempt() });
        self.effects.push_back(Effect::Connect { deadline });
    }

    fn go_live(&mut self, now: Instant) {
        let heartbeat = Heartbeat::new(self.config.ping_after, self.config.pong_within, now);
        self.link = Link::Live { heartbeat };
        self.retry.connected(now);
        self.set_state(State::Connected);
        self.monitor.count(|stats| stats.connects += 1);
        self.monitor.tell(Event::Connected);
        for to in std::mem::take(&mut self.starting) {
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
        self.link = Link::Down;
        self.settle_all(&cause);
        self.end_subscriptions(Some(&cause));
        self.set_state(State::Stopped);
        if self.starting.is_empty() {
            self.monitor.tell(Event::Refused { cause: cause.clone() });
        }
        self.answer_starting(|| cause.clone());
        if self.closing.is_some() {
            self.end(false);
        }
    }

    fn settle_all(&mut self, error: &Error) {
        while let Some((token, outgoing)) = self.outbox.pop() {
            self.give_up(token, outgoing, error.clone());
        }
        self.count_outbox();
    }

    fn answer_starting(&mut self, error: impl Fn() -> Error) {
        for to in std::mem::take(&mut self.starting) {
            self.reply(to, Err(error()));
        }
    }

    fn hang_up(&mut self, graceful: bool) {
        match self.link {
            Link::Connecting { .. } | Link::Authenticating { .. } | Link::Live { .. } => {
                self.effects.push_back(Effect::Disconnect { graceful });
            }
            _ => {}
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

/// Credentials and permissions: trying again cannot help.
fn is_terminal(cause: &Error) -> bool {
    match cause {
        Error::Refused(_) => !cause.is_retryable(),
        Error::Config { .. } | Error::Misuse { .. } | Error::Closed => true,
        _ => false,
    }
}
