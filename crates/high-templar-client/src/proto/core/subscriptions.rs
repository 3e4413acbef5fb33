//! All subscriptions of a client: who begins, who ends, what is restored.

use std::time::Instant;

use client_core::{Event, Writer, after};

use super::{Call, Control, Core};
use crate::{
    config::Protocol,
    delivery::Delivery,
    error::{Error, Refusal},
    proto::subscription::{Phase, Sub},
    room::Room,
};

impl<R> Core<R> {
    /// Subscribes to `room`; `to` is answered when the server accepts or refuses.
    /// `serial` names the subscription, and is greater than all before; `id` is its
    /// request id, which nobody else has.
    pub fn subscribe(
        &mut self,
        now: Instant,
        serial: u64,
        room: Room,
        id: String,
        out: Writer<Delivery>,
        to: R,
    ) {
        if self.link.is_closing() {
            return self.reply(to, Err(Error::Closed));
        }
        self.callers.push_back((after(now, self.config.request_timeout), serial));
        self.ids.insert(id.clone(), serial);
        self.subscriptions.insert(serial, Sub::new(room, id, out, to));
        if self.link.is_live() {
            self.control.push_back(Control::Subscribe(serial));
        }
    }

    /// Ends a subscription. The server is told if it may know of it; `to` is answered
    /// when it has confirmed, or has not in time.
    pub fn unsubscribe(&mut self, now: Instant, serial: u64, to: Option<R>) {
        let sub = self.subscriptions.remove(&serial);
        let known = sub.as_ref().is_some_and(|sub| sub.phase != Phase::Waiting);
        if let Some(sub) = sub {
            self.ids.remove(&sub.id);
            if let Some(to) = sub.subscribing {
                self.reply(to, Err(Error::Closed));
            }
            self.forget_answered();
            if known && self.link.is_live() {
                let call = to.map(|to| self.call(now, to, true));
                return self.control.push_back(Control::Unsubscribe { id: sub.id, call });
            }
        }
        if let Some(to) = to {
            self.reply(to, Ok(()));
        }
    }

    /// Asks for the server's counters.
    pub fn status(&mut self, now: Instant, to: R) {
        if self.link.is_closing() {
            return self.reply(to, Err(Error::Closed));
        }
        let number = self.call(now, to, false);
        if self.link.is_live() {
            self.ask_status(number);
        }
    }

    fn call(&mut self, now: Instant, to: R, is_over: bool) -> u64 {
        let (number, deadline) = (self.next_call, after(now, self.config.request_timeout));
        self.next_call += 1;
        self.calls.insert(number, Call { to, deadline, is_over });
        number
    }

    /// Begins what waited for a connection.
    pub(super) fn restore(&mut self) {
        self.control.extend(self.subscriptions.keys().copied().map(Control::Subscribe));
        // Those of `unsubscribe` were answered when the connection was lost.
        let statuses: Vec<u64> = self.calls.keys().copied().collect();
        for number in statuses {
            self.ask_status(number);
        }
        // What was full before the connection was lost is full still.
        let full = self.subscriptions.iter().find(|(_, sub)| sub.is_full());
        self.blocked = full.map(|(serial, _)| *serial);
    }

    fn ask_status(&mut self, number: u64) {
        if self.line != Protocol::V2 {
            return self.control.push_back(Control::Status(number));
        }
        if let Some(Call { to, .. }) = self.calls.remove(&number) {
            let message = "message-type-not-allowed";
            self.reply(to, Err(Error::Refused(Refusal::told("status", message))));
        }
    }

    pub(super) fn subscribed(&mut self, serial: u64) {
        // It may have been given up meanwhile: then its end is on its way.
        let Some(sub) = self.subscriptions.get_mut(&serial) else { return };
        sub.phase = Phase::Active;
        let waiter = sub.subscribing.take();
        let is_gap = sub.pay_gap();
        if is_gap {
            self.tell_gap(serial);
        }
        if let Some(to) = waiter {
            self.reply(to, Ok(()));
        }
        self.forget_answered();
    }

    pub(super) fn tell_gap(&self, serial: u64) {
        let Some(sub) = self.subscriptions.get(&serial) else { return };
        self.monitor.count(|stats| stats.gaps += 1);
        self.monitor.tell(Event::Gap { subscription: sub.room.to_string() });
    }

    pub(super) fn refused(&mut self, serial: u64, refusal: Refusal) {
        let error = Error::Refused(refusal);
        let Some(sub) = self.subscriptions.remove(&serial) else { return };
        self.ids.remove(&sub.id);
        match sub.subscribing {
            Some(to) => self.reply(to, Err(error)),
            // It was accepted before, on another connection.
            None => {
                sub.end(error.clone());
                self.monitor.tell(Event::Refused { cause: error });
            }
        }
        self.forget_answered();
    }

    /// Ends the consumer's stream with an error; the server is told next.
    pub(super) fn end(&self, serial: u64, error: Error) {
        if let Some(sub) = self.subscriptions.get(&serial) {
            sub.end(error);
        }
    }

    /// The connection is gone, and with it everything that the server knew. What is
    /// triggered until the next one is missed.
    pub(super) fn subscriptions_lost(&mut self) {
        for sub in self.subscriptions.values_mut() {
            sub.owes_gap |= sub.phase == Phase::Active;
            sub.phase = Phase::Waiting;
        }
    }

    /// Ends every subscription and answers every call: with `error`, or in peace.
    pub(super) fn end_all(&mut self, error: Option<&Error>) {
        self.ids.clear();
        self.callers.clear();
        for sub in std::mem::take(&mut self.subscriptions).into_values() {
            if let Some(error) = error {
                sub.end(error.clone());
            }
            if let Some(to) = sub.subscribing {
                self.reply(to, Err(error.cloned().unwrap_or(Error::Closed)));
            }
        }
        for Call { to, .. } in std::mem::take(&mut self.calls).into_values() {
            self.reply(to, Err(error.cloned().unwrap_or(Error::Closed)));
        }
    }

    /// Whoever is answered waits for nothing.
    fn forget_answered(&mut self) {
        while let Some((_, serial)) = self.callers.front() {
            if self.subscriptions.get(serial).is_some_and(|sub| sub.subscribing.is_some()) {
                break;
            }
            self.callers.pop_front();
        }
    }

    /// Answers who has waited long enough.
    pub(super) fn caller_timeout(&mut self, now: Instant) {
        while let Some((_, serial)) = self.callers.front().copied().filter(|(at, _)| *at <= now) {
            self.callers.pop_front();
            let sub = self.subscriptions.get_mut(&serial);
            if let Some(to) = sub.and_then(|sub| sub.subscribing.take()) {
                self.reply(to, Err(Error::Timeout { in_doubt: false }));
                self.unsubscribe(now, serial, None);
            }
        }
        while let Some(entry) = self.calls.first_entry().filter(|e| e.get().deadline <= now) {
            let Call { to, is_over, .. } = entry.remove();
            self.reply(to, Err(Error::Timeout { in_doubt: is_over }));
        }
    }
}
