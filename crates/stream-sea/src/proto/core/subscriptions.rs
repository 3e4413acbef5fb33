//! All subscriptions of a client: who begins, who ends, what is restored.

use std::time::Instant;

use client_core::{Dropped, Event, Writer, after};
use serde_json::value::RawValue;

use super::{Control, Core};
use crate::{
    config::Subscribe,
    delivery::Delivery,
    error::{Error, Refusal},
    proto::subscription::{Phase, Sub},
};

/// Ids of subscriptions that are gone, on one connection: the service goes on
/// sending to them, until the connection is renewed.
const MAX_ABANDONED: usize = 1000;

impl<R> Core<R> {
    /// Subscribes to `stream`; `to` is answered when the service accepts or
    /// refuses. `serial` names the subscription, and is greater than all before.
    pub fn subscribe(
        &mut self,
        now: Instant,
        serial: u64,
        stream: &str,
        options: Subscribe,
        out: Writer<Delivery>,
        to: R,
    ) {
        if self.link.is_closing() {
            return self.reply(to, Err(Error::Closed));
        }
        let deadline = after(now, self.config.request_timeout);
        let sub = Sub::new(stream.to_owned(), options, out, (to, deadline));
        self.subscriptions.insert(serial, sub);
        if self.link.is_live() {
            self.control.push_back(Control::Subscribe(serial));
        }
    }

    /// Forgets a subscription. The service is not told, for the protocol has no
    /// word for it: its messages are thrown away from now on. A connection on which
    /// nothing else is subscribed is renewed, so that the group loses a member that
    /// nobody listens to.
    pub fn unsubscribe(&mut self, now: Instant, serial: u64) {
        let Some(sub) = self.subscriptions.remove(&serial) else { return };
        let was_known = sub.id().is_some();
        if let Some((to, _)) = sub.subscribing {
            self.reply(to, Err(Error::Closed));
        }
        if !was_known || !self.link.is_live() {
            return;
        }
        let known = self.subscriptions.values().filter(|sub| sub.id().is_some()).count();
        if known == 0 || self.ids.len() - known >= MAX_ABANDONED {
            self.lose_connection();
            self.link.renew(now);
        }
    }

    pub(super) fn refused(&mut self, serial: u64, refusal: Refusal) {
        let error = Error::Refused(refusal);
        let Some(sub) = self.subscriptions.remove(&serial) else { return };
        if let Some(id) = sub.id() {
            // Nothing comes for it.
            self.ids.remove(&id);
        }
        match sub.subscribing {
            Some((to, _)) => self.reply(to, Err(error)),
            // It was accepted before, on another connection.
            None => {
                sub.end(error.clone());
                self.monitor.tell(Event::Refused { cause: error });
            }
        }
    }

    pub(super) fn deliver(&mut self, now: Instant, serial: u64, payload: &RawValue) {
        let Some(sub) = self.subscriptions.get(&serial) else { return };
        let delivered = sub.deliver(payload);
        if sub.is_full() {
            self.blocked = Some(serial);
        }
        if delivered.overflow {
            let reason = "the consumer is slower than the service";
            sub.end(Error::misuse("slow_consumer", reason));
            self.unsubscribe(now, serial);
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

    /// The connection is gone, and with it everything that the service knew. What
    /// is published until the next one is missed.
    pub(super) fn subscriptions_lost(&mut self) {
        for sub in self.subscriptions.values_mut() {
            let was_active = matches!(sub.phase, Phase::Active { .. });
            sub.phase = Phase::Waiting;
            if was_active {
                sub.gap();
                self.monitor.count(|stats| stats.gaps += 1);
                self.monitor.tell(Event::Gap { subscription: sub.stream.clone() });
            }
        }
    }

    /// Ends every subscription: with `error`, or in peace.
    pub(super) fn end_subscriptions(&mut self, error: Option<&Error>) {
        for sub in std::mem::take(&mut self.subscriptions).into_values() {
            if let Some(error) = error {
                sub.end(error.clone());
            }
            if let Some((to, _)) = sub.subscribing {
                self.reply(to, Err(error.cloned().unwrap_or(Error::Closed)));
            }
        }
    }

    /// Answers who has waited long enough. A service that has not answered for twice
    /// that time has lost track of us: the connection is given up.
    pub(super) fn subscription_timeout(&mut self, now: Instant) {
        let blocked = self.blocked.is_some();
        let due = |sub: &Sub<R>| sub.due(blocked).is_some_and(|at| at <= now);
        let all = self.subscriptions.iter().filter(|(_, sub)| due(sub));
        let serials: Vec<u64> = all.map(|(serial, _)| *serial).collect();
        for serial in serials {
            let Some(sub) = self.subscriptions.get_mut(&serial) else { continue };
            let waiter = sub.subscribing.take_if(|(_, deadline)| *deadline <= now);
            if let Some((to, _)) = waiter {
                self.reply(to, Err(Error::Timeout { in_doubt: false }));
                self.unsubscribe(now, serial);
                continue;
            }
            if matches!(sub.phase, Phase::Subscribing { overdue, .. } if overdue <= now && !blocked)
            {
                self.fail(now, false, Error::Timeout { in_doubt: false });
            }
        }
    }
}
