//! What an incoming message means (docs/protocols/stream-sea.md, 7.1 to 7.6): only
//! its id decides, whatever its action is called.

use std::time::Instant;

use client_core::Event;

use super::{AUTHENTICATE, Core, Input};
use crate::{
    error::{Error, Refusal},
    proto::{message::Incoming, subscription::Phase},
};

impl<R> Core<R> {
    /// Takes what the service sent.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if !self.link.heard(now) {
            return;
        }
        let text = match input {
            Input::Control => return,
            Input::Binary(_) => return self.warn("binary_message", "a binary message"),
            Input::Text(text) => text,
        };
        self.monitor.count(|stats| stats.bytes_in += text.len() as u64);
        let incoming = match Incoming::decode(text) {
            Ok(incoming) => incoming,
            Err(cause) => return self.warn_of(cause),
        };
        match incoming.id() {
            None => self.warn("no_id", text),
            Some(AUTHENTICATE) => self.authenticated(now, &incoming, text),
            Some(id) => self.handle_subscription(now, id, &incoming, text),
        }
    }

    fn authenticated(&mut self, now: Instant, incoming: &Incoming<'_>, text: &str) {
        if !self.link.is_authenticating() {
            return self.warn("unknown_id", text);
        }
        match incoming.refusal() {
            None => self.go_live(now),
            Some(message) => {
                let refusal = Refusal::new("authenticate", &message);
                self.fail(now, true, Error::Refused(refusal));
            }
        }
    }

    /// The first message with an id is the reply to its request, later ones are
    /// deliveries.
    fn handle_subscription(&mut self, now: Instant, id: u64, incoming: &Incoming<'_>, text: &str) {
        let Some(serial) = self.ids.get(&id).copied() else { return self.warn("unknown_id", text) };
        let Some(sub) = self.subscriptions.get_mut(&serial) else { return self.stray() };
        // An id that leads to another stream than it says: nothing that comes can be
        // trusted any more, and what is thrown away would be missing without a word.
        if incoming.stream_name.as_ref().is_some_and(|name| *name != sub.stream) {
            return self.fail(now, true, Error::protocol("stream_name", text));
        }
        if let Phase::Subscribing { .. } = sub.phase {
            return match incoming.refusal() {
                None => {
                    sub.phase = Phase::Active { id };
                    if let Some((to, _)) = sub.subscribing.take() {
                        self.reply(to, Ok(()));
                    }
                }
                Some(message) => self.refused(serial, Refusal::new("subscribe", &message)),
            };
        }
        match incoming.payload {
            Some(payload) => self.deliver(now, serial, payload),
            None => self.warn("no_payload", text),
        }
    }

    /// The service sent what means nothing: the connection is kept.
    fn warn(&self, code: &'static str, detail: &str) {
        self.warn_of(Error::protocol(code, detail));
    }

    fn warn_of(&self, cause: Error) {
        self.stray();
        self.monitor.tell(Event::Warning { cause });
    }

    /// What belongs to nobody (any more).
    fn stray(&self) {
        self.monitor.count(|stats| stats.strays += 1);
    }
}
