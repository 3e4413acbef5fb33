//! All subscriptions of a client: who begins, who ends, what is restored.

use std::time::Instant;

use client_core::{Dropped, Event, Writer, after};
use serde_json::value::RawValue;

use super::{Control, Core};
use crate::{
    config::Subscribe,
    delivery::{Delivery, GapReason, Position},
    error::{Error, Refusal},
    proto::{
        pdu::{self, Pdu, Positioned},
        subscription::{Phase, Sub, Waiter},
    },
};

impl<R> Core<R> {
    /// Subscribes to `channel`; `to` is answered when the service accepts or
    /// refuses. `serial` tells this subscription from earlier ones on the same
    /// channel.
    pub fn subscribe(
        &mut self,
        now: Instant,
        channel: &str,
        serial: u64,
        options: Subscribe,
        out: Writer<Delivery>,
        to: R,
    ) {
        if self.link.is_closing() {
            return self.reply(to, Err(Error::Closed));
        }
        let deadline = after(now, self.config.request_timeout);
        let mut new = Sub::new(serial, options, out);
        new.subscribing = Some(Waiter { to, deadline });
        match self.subscriptions.get_mut(channel) {
            None => self.add(channel, new),
            Some(old) if old.is_leaving() && old.next.is_none() => {
                self.waits.insert((deadline, channel.to_owned()));
                old.next = Some(Box::new(new));
            }
            Some(_) => {
                let reason =
                    format!("channel {channel:?} has a subscription already: drop it first");
                if let Some(waiter) = new.subscribing {
                    self.reply(waiter.to, Err(Error::misuse("already_subscribed", reason)));
                }
            }
        }
    }

    /// Ends a subscription; `to` is answered when the service has confirmed.
    /// One that is gone already is confirmed at once.
    pub fn unsubscribe(&mut self, now: Instant, channel: &str, serial: u64, to: Option<R>) {
        let deadline = after(now, self.config.request_timeout);
        match self.subscriptions.get_mut(channel) {
            Some(sub) if sub.serial == serial => {
                sub.end(None);
                if let Some(to) = to {
                    self.waits.insert((deadline, channel.to_owned()));
                    sub.unsubscribing = Some(Waiter { to, deadline });
                }
                match sub.phase {
                    Phase::Waiting => self.remove(channel),
                    // The request is out: it ends when its answer is here.
                    Phase::Subscribing | Phase::Unsubscribing => {}
                    Phase::Subscribed => {
                        self.control.push_back(Control::Unsubscribe(channel.to_owned()));
                    }
                }
            }
            found => {
                // It may still be waiting for its predecessor to go.
                if let Some(old) = found
                    && old.next.as_ref().is_some_and(|next| next.serial == serial)
                {
                    old.next = None;
                }
                if let Some(to) = to {
                    self.reply(to, Ok(None));
                }
            }
        }
    }

    fn add(&mut self, channel: &str, sub: Sub<R>) {
        if let Some(waiter) = &sub.subscribing {
            self.waits.insert((waiter.deadline, channel.to_owned()));
        }
        self.subscriptions.insert(channel.to_owned(), sub);
        if self.link.is_live() {
            self.control.push_back(Control::Subscribe(channel.to_owned()));
        }
    }

    /// Forgets a subscription that the service does not know (any more), and
    /// lets the one that waits for it begin.
    fn remove(&mut self, channel: &str) {
        let Some(sub) = self.subscriptions.remove(channel) else { return };
        if let Some(at) = sub.overdue {
            self.waits.remove(&(at, channel.to_owned()));
        }
        if let Some(waiter) = sub.unsubscribing {
            self.answer(channel, waiter, Ok(None));
        }
        if let Some(waiter) = sub.subscribing {
            self.answer(channel, waiter, Err(Error::Closed));
        }
        if let Some(next) = sub.next {
            self.add(channel, *next);
        }
    }

    pub(super) fn subscribed(&mut self, now: Instant, channel: &str, pdu: &Pdu<'_>) {
        let position = match pdu.body::<Positioned<'_>>() {
            Ok(body) => body.into_position(),
            Err(error) => return self.fail(now, error),
        };
        let Some(sub) = self.subscriptions.get_mut(channel) else { return self.stray() };
        let (leaving, overdue) = (sub.is_leaving(), sub.overdue.take());
        let waiter = sub.accepted(position);
        if let Some(at) = overdue {
            self.waits.remove(&(at, channel.to_owned()));
        }
        if let Some(waiter) = waiter {
            self.answer(channel, waiter, Ok(None));
        }
        if leaving {
            self.control.push_back(Control::Unsubscribe(channel.to_owned()));
        }
    }

    pub(super) fn subscribe_refused(&mut self, channel: &str, pdu: &Pdu<'_>) {
        let refusal = pdu.refusal(pdu::SUBSCRIBE);
        let Some(sub) = self.subscriptions.get_mut(channel) else { return self.stray() };
        let restoring = sub.options.is_none() && sub.position.is_some() && !sub.is_leaving();
        // The service no longer keeps what we have not seen, or does not take the
        // position that it gave us itself: say so, go on. It is asked once more,
        // without a position, and only if it is not about rights or quotas.
        let lasting =
            matches!(&*refusal.code, "authorization_denied" | "subscription_quota_exceeded");
        if restoring && !lasting {
            sub.position = None;
            sub.phase = Phase::Waiting;
            self.tell_gap(channel, GapReason::Expired, None);
            self.control.push_back(Control::Subscribe(channel.to_owned()));
            return;
        }
        self.end_refused(channel, refusal);
    }

    fn end_refused(&mut self, channel: &str, refusal: Refusal) {
        let error = Error::Refused(refusal);
        let Some(sub) = self.subscriptions.get_mut(channel) else { return };
        match sub.subscribing.take() {
            Some(waiter) => {
                sub.end(None);
                self.answer(channel, waiter, Err(error));
            }
            None => {
                sub.end(Some(error.clone()));
                self.monitor.tell(Event::Refused { cause: error });
            }
        }
        self.remove(channel);
    }

    pub(super) fn unsubscribed(&mut self, channel: &str, ok: bool, pdu: &Pdu<'_>) {
        // The application has ended it either way. A service that does not know
        // the subscription says so with an error, and has ended it too.
        if !ok {
            let cause = Error::Refused(pdu.refusal(pdu::UNSUBSCRIBE));
            self.monitor.tell(Event::Refused { cause });
        }
        self.remove(channel);
    }

    pub(super) fn deliver(
        &mut self,
        channel: &str,
        messages: &[&RawValue],
        position: Option<Position>,
    ) {
        let Some(sub) = self.subscriptions.get_mut(channel) else { return self.stray() };
        if sub.phase != Phase::Subscribed {
            return self.stray();
        }
        let delivered = sub.deliver(messages, position);
        if sub.is_full() {
            self.blocked = Some(channel.to_owned());
        }
        if delivered.overflow {
            let reason = "the consumer is slower than the service";
            sub.end(Some(Error::misuse("slow_consumer", reason)));
            self.control.push_back(Control::Unsubscribe(channel.to_owned()));
        }
        self.monitor.count(|stats| {
            stats.messages_in += delivered.messages;
            stats.dropped += delivered.dropped;
        });
        if delivered.dropped > 0 {
            let (what, count) = (Dropped::Messages, delivered.dropped);
            self.monitor.tell(Event::Dropped { what, count });
        }
    }

    /// The service ended a subscription that the application still wants.
    pub(super) fn subscription_dropped(
        &mut self,
        channel: &str,
        gap: Option<GapReason>,
        missed: Option<u64>,
    ) {
        let Some(sub) = self.subscriptions.get_mut(channel) else { return self.stray() };
        match sub.phase {
            Phase::Subscribed => {}
            // The answer to the request that is out ends it.
            Phase::Unsubscribing | Phase::Waiting | Phase::Subscribing => return self.stray(),
        }
        if sub.is_leaving() {
            return self.remove(channel);
        }
        sub.phase = Phase::Waiting;
        let unknown = sub.position.is_none();
        if gap.is_some() {
            sub.position = None;
        }
        if gap.is_some() || unknown {
            self.tell_gap(channel, gap.unwrap_or(GapReason::Unknown), missed);
        }
        self.control.push_back(Control::Subscribe(channel.to_owned()));
    }

    pub(super) fn tell_gap(&mut self, channel: &str, reason: GapReason, missed: Option<u64>) {
        let Some(sub) = self.subscriptions.get(channel) else { return self.stray() };
        sub.gap(reason, missed);
        if sub.is_full() {
            self.blocked = Some(channel.to_owned());
        }
        self.monitor.count(|stats| stats.gaps += 1);
        self.monitor.tell(Event::Gap { subscription: channel.to_owned() });
    }

    /// The connection is gone, and with it all that the service knew.
    pub(super) fn subscriptions_lost(&mut self) {
        let channels: Vec<String> = self.subscriptions.keys().cloned().collect();
        for channel in channels {
            let Some(sub) = self.subscriptions.get_mut(&channel) else { continue };
            let was_subscribed = sub.phase == Phase::Subscribed;
            sub.phase = Phase::Waiting;
            if let Some(at) = sub.overdue.take() {
                self.waits.remove(&(at, channel.clone()));
            }
            if sub.is_leaving() {
                self.remove(&channel);
            } else if was_subscribed && sub.position.is_none() {
                self.tell_gap(&channel, GapReason::Unknown, None);
            }
        }
    }

    /// Ends every subscription: with `error`, or in peace.
    pub(super) fn end_subscriptions(&mut self, error: Option<&Error>) {
        self.waits.clear();
        for mut sub in std::mem::take(&mut self.subscriptions).into_values() {
            sub.end(error.cloned());
            let next = sub.next.take().map(|next| *next);
            for sub in [Some(sub), next].into_iter().flatten() {
                if let Some(waiter) = sub.subscribing {
                    self.reply(waiter.to, Err(error.cloned().unwrap_or(Error::Closed)));
                }
                if let Some(waiter) = sub.unsubscribing {
                    self.reply(waiter.to, Ok(None));
                }
            }
        }
    }

    pub(super) fn subscription_timeout(&mut self, now: Instant) {
        while self.waits.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, channel)) = self.waits.pop_first() else { return };
            self.give_up_waiting(now, &channel);
        }
    }

    /// Answers those of a channel who have waited long enough. A service that
    /// has not answered itself for twice that time has lost track of us: the
    /// connection is given up, and what was subscribed is restored on the next.
    fn give_up_waiting(&mut self, now: Instant, channel: &str) {
        let is_due = |waiter: &mut Waiter<R>| waiter.deadline <= now;
        let Some(sub) = self.subscriptions.get_mut(channel) else { return };
        let overdue = sub.overdue.is_some_and(|at| at <= now);
        let mut next = sub.next.take_if(|n| n.subscribing.as_mut().is_some_and(is_due));
        let of_next = next.as_mut().and_then(|next| next.subscribing.take());
        let leaving = sub.unsubscribing.take_if(is_due);
        let joining = sub.subscribing.take_if(is_due);
        let (serial, undo) = (sub.serial, joining.is_some());
        for waiter in [of_next, leaving, joining].into_iter().flatten() {
            self.reply(waiter.to, Err(Error::Timeout));
        }
        if undo {
            self.unsubscribe(now, channel, serial, None);
        }
        if overdue {
            self.fail(now, Error::Timeout);
        }
    }

    /// Answers a waiter before its time is up.
    fn answer(
        &mut self,
        channel: &str,
        waiter: Waiter<R>,
        result: Result<Option<Box<RawValue>>, Error>,
    ) {
        self.waits.remove(&(waiter.deadline, channel.to_owned()));
        self.reply(waiter.to, result);
    }
}
