//! What an incoming message means (docs/protocols/high-templar.md, 8).

use std::time::Instant;

use client_core::{Dropped, Event};
use serde_json::value::RawValue;

use super::{Answer, Call, Core, Effect, Input};
use crate::{
    config::Protocol,
    error::{Error, Reason, Refusal},
    proto::{
        message::{First, Incoming},
        requests::Asked,
        subscription::Phase,
    },
};

impl<R> Core<R> {
    /// Takes what the server sent.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if !self.link.heard(now) {
            return;
        }
        let text = match input {
            Input::Control => return,
            Input::Binary(_) => return self.warn(Error::protocol("binary_message", "")),
            Input::Text(text) => text,
        };
        let bytes = text.len() as u64;
        match Incoming::decode(text) {
            // Most of what comes: counted once.
            Ok(Incoming::Publish { id, data }) if !self.link.is_authenticating() => {
                self.handle_publish(now, &id, data, bytes);
            }
            decoded => {
                self.monitor.count(|stats| stats.bytes_in += bytes);
                match decoded {
                    Ok(incoming) => self.handle_other(now, incoming, text),
                    Err(cause) => self.warn(cause),
                }
            }
        }
    }

    /// What is no message for a subscription.
    fn handle_other(&mut self, now: Instant, incoming: Incoming<'_>, text: &str) {
        match incoming {
            Incoming::First(first) if self.link.is_authenticating() => {
                self.handle_first(now, &first);
            }
            _ if self.link.is_authenticating() => {
                self.fail(now, true, Error::protocol("first_frame", text));
            }
            Incoming::First(_) | Incoming::Publish { .. } => {
                self.warn(Error::protocol("unknown_frame", text));
            }
            Incoming::Pong => {
                let asked = match self.line {
                    Protocol::V2 => self.requests.pop_ping(),
                    _ => self.requests.pop(),
                };
                if !matches!(asked, Some(Asked::Ping)) {
                    self.out_of_step(now, text);
                }
            }
            Incoming::Reply { id, result } => {
                let asked = match (self.line, &id) {
                    (Protocol::V2, Some(id)) => self.requests.pop_id(id),
                    // Without an id it is of no call of ours.
                    (Protocol::V2, None) => None,
                    _ => self.requests.pop(),
                };
                self.handle_reply(now, asked, result.map_err(|e| e.into_owned()), text);
            }
            Incoming::Status(status) => match self.requests.pop() {
                Some(Asked::Status(number)) => {
                    if let Some(Call { to, .. }) = self.calls.remove(&number) {
                        let result = Ok(Answer::Status(status));
                        self.effects.push_back(Effect::Reply { to, result });
                    }
                }
                _ => self.out_of_step(now, text),
            },
        }
    }

    fn handle_first(&mut self, now: Instant, first: &First<'_>) {
        match (first.is_authorized, self.config.protocol) {
            (Some(false), _) => return self.not_authorized(now),
            (Some(true), Protocol::Auto) => self.line = Protocol::V3,
            (None, Protocol::Auto) => self.line = Protocol::V2,
            (_, line) => self.line = line,
        }
        match first.allowed() {
            Ok(allowed) => {
                self.effects.push_back(Effect::Allowed(allowed));
                self.go_live(now);
            }
            Err(error) => self.fail(now, true, error),
        }
    }

    /// The user is not let in.
    pub(super) fn not_authorized(&mut self, now: Instant) {
        let mut refusal = Refusal::new("connect", Reason::NotAuthorized);
        refusal.may_retry = self.config.retry_refused;
        self.fail(now, true, Error::Refused(refusal));
    }

    fn handle_reply(
        &mut self,
        now: Instant,
        asked: Option<Asked>,
        result: Result<(), String>,
        text: &str,
    ) {
        match (asked, result) {
            (Some(Asked::Subscribe { serial, .. }), Ok(())) => self.subscribed(serial),
            (Some(Asked::Subscribe { serial, .. }), Err(message)) => {
                self.refused(serial, Refusal::told("subscribe", &message));
            }
            (Some(Asked::Unsubscribe { call, .. }), result) => {
                let result = match result.map_err(|message| Refusal::told("unsubscribe", &message))
                {
                    // It is what was wanted.
                    Ok(()) | Err(Refusal { reason: Reason::NotSubscribed, .. }) => Ok(()),
                    Err(refusal) => Err(Error::Refused(refusal)),
                };
                if let Some(Call { to, .. }) = call.and_then(|call| self.calls.remove(&call)) {
                    self.reply(to, result);
                }
            }
            (Some(Asked::Status(number)), Err(message)) => {
                if let Some(Call { to, .. }) = self.calls.remove(&number) {
                    self.reply(to, Err(Error::Refused(Refusal::told("status", &message))));
                }
            }
            // A 2.x server may answer late what was given up.
            (None, _) if self.line == Protocol::V2 => self.warn(Error::protocol("reply", text)),
            _ => self.out_of_step(now, text),
        }
    }

    /// An answer to something else than what was asked: from now on none can be
    /// matched.
    fn out_of_step(&mut self, now: Instant, text: &str) {
        self.fail(now, true, Error::protocol("reply", text));
    }

    fn handle_publish(&mut self, now: Instant, id: &str, data: &RawValue, bytes: u64) {
        let serial = self.ids.get(id).copied();
        let sub = serial.and_then(|serial| Some((serial, self.subscriptions.get_mut(&serial)?)));
        let Some((serial, sub)) = sub.filter(|(_, sub)| sub.phase != Phase::Waiting) else {
            self.monitor.count(|stats| stats.bytes_in += bytes);
            return self.stray();
        };
        // It may come before the answer: then the room is subscribed already.
        sub.phase = Phase::Active;
        let is_gap = sub.pay_gap();
        let delivered = sub.deliver(data);
        if sub.is_full() {
            self.blocked = Some(serial);
        }
        self.monitor.count(|stats| {
            stats.bytes_in += bytes;
            stats.messages_in += u64::from(!delivered.overflow);
            stats.dropped += delivered.dropped;
        });
        if is_gap {
            self.tell_gap(serial);
        }
        if delivered.overflow {
            let reason = "the consumer is slower than the server";
            self.end(serial, Error::misuse("slow_consumer", reason));
            return self.unsubscribe(now, serial, None);
        }
        if delivered.dropped > 0 {
            let (what, count) = (Dropped::Messages, delivered.dropped);
            self.monitor.tell(Event::Dropped { what, count });
        }
    }

    /// The server sent what means nothing: the connection is kept.
    fn warn(&self, cause: Error) {
        self.stray();
        self.monitor.tell(Event::Warning { cause });
    }

    /// What belongs to nobody (any more).
    fn stray(&self) {
        self.monitor.count(|stats| stats.strays += 1);
    }
}
