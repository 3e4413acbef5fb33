//! All subscriptions of a client: who begins, who changes, who ends, what is restored
//! (docs/protocols/satori-rtm.md, 11 and 12).

use std::time::Instant;

use client_core::{Dropped, Event, Writer, after};

use super::{Control, Core, done};
use crate::{
    answer::Answer,
    codec::{Payload, Pdu, Raw},
    config::{Mode, Subscribe},
    delivery::{Delivery, GapReason, Position},
    error::{Error, Refusal},
    proto::{
        pdu::{self, Positioned, Problem},
        subscription::{Sub, Swap, Waiter},
    },
    transition::{Phase, Step},
};

impl<R> Core<R> {
    /// Subscribes as `id`, the channel or the name of a view; `to` is answered when the
    /// service accepts or refuses. `serial` tells this subscription from earlier ones
    /// on the same id.
    pub fn subscribe(
        &mut self,
        now: Instant,
        id: &str,
        serial: u64,
        options: Subscribe,
        out: Writer<Delivery>,
        to: R,
    ) {
        if self.link.is_closing() {
            return self.reply(to, Err(Error::Closed));
        }
        // What cannot be written is refused here, before anything is sent.
        if let Err(error) = options.body(self.config.protocol, id, None, false) {
            return self.reply(to, Err(error));
        }
        let deadline = after(now, self.config.request_timeout);
        let mut new = Sub::new(serial, options, out);
        new.subscribing = Some(Waiter { to, deadline });
        match self.subscriptions.get_mut(id) {
            None => self.add(id, new),
            Some(old) if old.is_leaving() && old.next.is_none() => {
                self.waits.insert((deadline, id.to_owned()));
                let phase = old.phase;
                old.next = Some(Box::new(new));
                match phase {
                    Phase::Failed | Phase::Unsubscribed => self.remove(id),
                    // The service refused to end it: it is asked once more.
                    Phase::Subscribed => self.leave(id),
                    _ => {}
                }
            }
            Some(_) => {
                let reason = format!("{id:?} is subscribed already: drop that first");
                if let Some(waiter) = new.subscribing {
                    self.reply(waiter.to, Err(Error::misuse("already_subscribed", reason)));
                }
            }
        }
    }

    /// Ends a subscription; `to` is answered when the service has confirmed.
    /// One that is gone already is confirmed at once.
    pub fn unsubscribe(&mut self, now: Instant, id: &str, serial: u64, to: Option<R>) {
        let deadline = after(now, self.config.request_timeout);
        match self.subscriptions.get_mut(id) {
            Some(sub) if sub.serial == serial => {
                sub.end(None);
                if let Some(to) = to {
                    self.waits.insert((deadline, id.to_owned()));
                    sub.unsubscribing = Some(Waiter { to, deadline });
                }
                match sub.phase {
                    Phase::Subscribed => self.leave(id),
                    // The request is out: it ends when its answer is here.
                    Phase::Subscribing | Phase::Unsubscribing => {}
                    _ => self.remove(id),
                }
            }
            found => {
                // It may still be waiting for its predecessor to go.
                if let Some(old) = found
                    && let Some(next) = old.next.take_if(|next| next.serial == serial)
                {
                    self.trace.step(id, next.serial, Step::Deleted);
                    if let Some(waiter) = next.subscribing {
                        self.answer(id, waiter, Err(Error::Closed));
                    }
                }
                if let Some(to) = to {
                    self.reply(to, done());
                }
            }
        }
    }

    fn add(&mut self, id: &str, mut sub: Sub<R>) {
        if self.link.is_live() {
            if sub.phase == Phase::Subscribing {
                self.trace.step(id, sub.serial, Step::Enter(sub.phase));
            } else {
                sub.enter(id, Phase::Subscribing, &self.trace);
            }
            self.control.push_back(Control::Subscribe(id.to_owned()));
        }
        self.keep(id, sub);
    }

    fn keep(&mut self, id: &str, sub: Sub<R>) {
        if let Some(waiter) = &sub.subscribing {
            self.waits.insert((waiter.deadline, id.to_owned()));
        }
        self.subscriptions.insert(id.to_owned(), sub);
    }

    /// Asks the service to end a subscription that it has accepted.
    pub(super) fn leave(&mut self, id: &str) {
        if let Some(sub) = self.subscriptions.get_mut(id) {
            sub.enter(id, Phase::Unsubscribing, &self.trace);
            self.control.push_back(Control::Unsubscribe(id.to_owned()));
        }
    }

    /// Forgets a subscription that the service does not know (any more), and
    /// lets the one that waits for it begin.
    pub(super) fn remove(&mut self, id: &str) {
        let Some(mut sub) = self.subscriptions.remove(id) else { return };
        if sub.phase != Phase::Unsubscribed {
            sub.enter(id, Phase::Unsubscribed, &self.trace);
        }
        self.trace.step(id, sub.serial, Step::Deleted);
        if let Some(waiter) = sub.unsubscribing {
            self.answer(id, waiter, done());
        }
        for waiter in sub.subscribing.into_iter().chain(sub.changing) {
            self.answer(id, waiter, Err(Error::Closed));
        }
        if let Some(next) = sub.next {
            self.trace.step(id, next.serial, Step::Created);
            self.add(id, *next);
        }
    }

    /// There is a connection: everything is asked for.
    pub(super) fn subscribe_all(&mut self) {
        for (id, sub) in &mut self.subscriptions {
            if sub.phase == Phase::Unsubscribed {
                sub.enter(id, Phase::Subscribing, &self.trace);
                self.control.push_back(Control::Subscribe(id.clone()));
            }
        }
    }

    /// Writes the request, unless nobody wants the subscription any more.
    pub(super) fn subscribe_request(&mut self, id: &str) -> Option<Payload> {
        let sub = self.subscriptions.get(id)?;
        if sub.phase != Phase::Subscribing {
            return None;
        }
        if sub.is_leaving() {
            self.remove(id);
            return None;
        }
        // Written once before, so it can be written.
        sub.options.body(self.config.protocol, id, sub.position.as_ref(), false).ok()
    }

    pub(super) fn subscribed(&mut self, now: Instant, id: &str, pdu: &Pdu<'_>) {
        let position = match pdu.body::<Positioned<'_>>() {
            Ok(body) => body.into_position(),
            Err(error) => return self.fail(now, error),
        };
        let Some(sub) = self.subscriptions.get_mut(id) else { return self.stray() };
        let waiter = sub.accepted(position);
        sub.enter(id, Phase::Subscribed, &self.trace);
        let (leaving, changing) = (sub.is_leaving(), sub.change.is_some());
        if let Some(waiter) = waiter {
            self.answer(id, waiter, done());
        }
        if leaving {
            self.leave(id);
        } else if changing {
            self.control.push_back(Control::SwapLeave(id.to_owned()));
        }
    }

    pub(super) fn subscribe_refused(&mut self, id: &str, pdu: &Pdu<'_>) {
        let refusal = pdu::refusal(pdu, pdu::SUBSCRIBE);
        let Some(sub) = self.subscriptions.get_mut(id) else { return self.stray() };
        if sub.is_leaving() {
            return self.refused_leaving(id);
        }
        // The service no longer keeps what we have not seen, or does not take the
        // position that it gave us itself: say so, go on. It is asked once more,
        // without a position, and only if it is not about rights or quotas.
        let lasting =
            matches!(&*refusal.code, "authorization_denied" | "subscription_quota_exceeded");
        if sub.started && sub.position.take().is_some() && !lasting {
            self.tell_gap(id, GapReason::Expired, None);
            self.control.push_back(Control::Subscribe(id.to_owned()));
            return;
        }
        self.end_refused(id, refusal);
    }

    /// Nobody wants what was refused; the next in line begins at once.
    fn refused_leaving(&mut self, id: &str) {
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        if let Some(next) = &mut sub.next {
            // The original goes from one to the other without a state between them.
            next.phase = Phase::Subscribing;
            self.trace.step(id, sub.serial, Step::Leave(sub.phase));
            sub.phase = Phase::Unsubscribed;
        }
        self.remove(id);
    }

    fn end_refused(&mut self, id: &str, refusal: Refusal) {
        let error = Error::Refused(refusal);
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        let waiter = sub.subscribing.take();
        self.fail_subscription(id, &error, waiter.is_none());
        match waiter {
            Some(waiter) => self.answer(id, waiter, Err(error)),
            None => self.monitor.tell(Event::Refused { cause: error }),
        }
    }

    /// Ends a subscription against the application's will. It is kept, as failed, until
    /// the application drops it.
    fn fail_subscription(&mut self, id: &str, error: &Error, tell: bool) {
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        self.trace.step(id, sub.serial, Step::Leave(sub.phase));
        sub.phase = Phase::Failed;
        self.trace.step(id, sub.serial, Step::EnterFailed(error.clone()));
        sub.end(tell.then(|| error.clone()));
        sub.change = None;
        if let Some(waiter) = sub.changing.take() {
            self.answer(id, waiter, Err(error.clone()));
        }
    }

    pub(super) fn unsubscribed(&mut self, id: &str, ok: bool, pdu: &Pdu<'_>) {
        if ok {
            return self.remove(id);
        }
        let refusal = pdu::refusal(pdu, pdu::UNSUBSCRIBE);
        let is_gone = refusal.code == "not_subscribed";
        let cause = Error::Refused(refusal);
        self.monitor.tell(Event::Refused { cause: cause.clone() });
        // A service that does not know the subscription has ended it, too.
        if is_gone {
            return self.remove(id);
        }
        let Some(sub) = self.subscriptions.get_mut(id) else { return self.stray() };
        sub.enter(id, Phase::Subscribed, &self.trace);
        let waiter = sub.unsubscribing.take();
        // Its place is not free.
        let next = sub.next.take();
        if let Some(next) = &next {
            self.trace.step(id, next.serial, Step::Deleted);
        }
        let next = next.and_then(|next| next.subscribing);
        for waiter in waiter.into_iter().chain(next) {
            self.answer(id, waiter, Err(cause.clone()));
        }
    }

    pub(super) fn deliver(&mut self, id: &str, messages: &[Raw<'_>], position: Option<Position>) {
        let Some(sub) = self.subscriptions.get_mut(id) else { return self.stray() };
        if sub.phase != Phase::Subscribed || matches!(sub.swap, Swap::Joining(_)) {
            return self.stray();
        }
        let delivered = sub.deliver(messages, position);
        if sub.is_full() {
            self.blocked = Some(id.to_owned());
        }
        if delivered.overflow {
            let reason = "the consumer is slower than the service";
            sub.end(Some(Error::misuse("slow_consumer", reason)));
            self.leave(id);
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
    pub(super) fn subscription_dropped(&mut self, problem: &Problem<'_>, gap: Option<GapReason>) {
        let id: &str = &problem.subscription_id;
        let Some(sub) = self.subscriptions.get_mut(id) else { return self.stray() };
        if sub.phase != Phase::Subscribed {
            // The answer to the request that is out ends it.
            return self.stray();
        }
        if sub.is_leaving() {
            return self.remove(id);
        }
        let unknown = sub.position.is_none();
        if gap.is_some() {
            sub.position = None;
        }
        // Left already for other options: those are asked for next.
        let is_swapping = !matches!(sub.swap, Swap::None);
        let is_fatal = sub.options.mode == Mode::Advanced && gap == Some(GapReason::OutOfSync);
        if !is_fatal && !is_swapping {
            sub.enter(id, Phase::Subscribing, &self.trace);
        }
        if gap.is_some() || unknown {
            let reason = gap.unwrap_or(GapReason::Unknown);
            self.tell_gap(id, reason, problem.missed_message_count);
        }
        if is_fatal {
            let error = Error::Refused(problem.refusal("rtm/subscription"));
            self.fail_subscription(id, &error, true);
        } else if !is_swapping {
            self.control.push_back(Control::Subscribe(id.to_owned()));
        }
    }

    pub(super) fn tell_gap(&mut self, id: &str, reason: GapReason, missed: Option<u64>) {
        let Some(sub) = self.subscriptions.get(id) else { return self.stray() };
        sub.gap(reason, missed);
        if sub.is_full() {
            self.blocked = Some(id.to_owned());
        }
        self.monitor.count(|stats| stats.gaps += 1);
        self.monitor.tell(Event::Gap { subscription: id.to_owned() });
    }

    /// The connection is gone, and with it all that the service knew.
    pub(super) fn subscriptions_lost(&mut self, cause: Option<&Error>) {
        let ids: Vec<String> = self.subscriptions.keys().cloned().collect();
        for id in ids {
            let Some(sub) = self.subscriptions.get_mut(&id) else { continue };
            sub.swap = Swap::None;
            if sub.phase == Phase::Failed {
                continue;
            }
            let was_subscribed = sub.phase == Phase::Subscribed;
            // What is live goes on live: a position that a change has left is no longer one.
            let was_placed =
                sub.started && !sub.options.mode.tracks() && sub.position.take().is_some();
            if sub.is_leaving() {
                // The next in line begins with the next connection.
                let next = sub.next.take();
                self.remove(&id);
                if let Some(next) = next {
                    self.trace.step(&id, next.serial, Step::Created);
                    self.keep(&id, *next);
                }
                continue;
            }
            if sub.phase != Phase::Unsubscribed {
                sub.enter(&id, Phase::Unsubscribed, &self.trace);
            }
            let lost_position = (was_subscribed || was_placed) && sub.position.is_none();
            // What was begun is lost; what has not begun waits for the next connection.
            let changing = match sub.change.is_some() && !was_subscribed {
                true => None,
                false => {
                    sub.change = None;
                    sub.changing.take()
                }
            };
            if lost_position {
                self.tell_gap(&id, GapReason::Unknown, None);
            }
            if let Some(waiter) = changing {
                let error = cause.cloned().unwrap_or(Error::Closed);
                self.answer(&id, waiter, Err(error));
            }
        }
    }

    /// Ends every subscription: with `error`, or in peace.
    pub(super) fn end_subscriptions(&mut self, error: Option<&Error>) {
        self.waits.clear();
        for (id, mut sub) in std::mem::take(&mut self.subscriptions) {
            if !matches!(sub.phase, Phase::Unsubscribed | Phase::Failed) {
                sub.enter(&id, Phase::Unsubscribed, &self.trace);
            }
            if let Some(error) = error.filter(|_| sub.phase != Phase::Failed) {
                self.trace.step(&id, sub.serial, Step::Leave(sub.phase));
                self.trace.step(&id, sub.serial, Step::EnterFailed(error.clone()));
            }
            sub.end(error.cloned());
            let next = sub.next.take().map(|next| *next);
            for sub in [Some(sub), next].into_iter().flatten() {
                for waiter in sub.subscribing.into_iter().chain(sub.changing) {
                    self.reply(waiter.to, Err(error.cloned().unwrap_or(Error::Closed)));
                }
                if let Some(waiter) = sub.unsubscribing {
                    self.reply(waiter.to, done());
                }
            }
        }
    }

    pub(super) fn subscription_timeout(&mut self, now: Instant) {
        while self.waits.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = self.waits.pop_first() else { return };
            self.give_up_waiting(now, &id);
        }
    }

    /// Answers those who have waited long enough.
    fn give_up_waiting(&mut self, now: Instant, id: &str) {
        let is_due = |waiter: &mut Waiter<R>| waiter.deadline <= now;
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        let mut next = sub.next.take_if(|n| n.subscribing.as_mut().is_some_and(is_due));
        if let Some(next) = &next {
            self.trace.step(id, next.serial, Step::Deleted);
        }
        let of_next = next.as_mut().and_then(|next| next.subscribing.take());
        let leaving = sub.unsubscribing.take_if(is_due);
        let joining = sub.subscribing.take_if(is_due);
        let changing = sub.changing.take_if(is_due);
        if changing.is_some() {
            // Not asked for yet, it never is.
            sub.change = None;
        }
        let (serial, undo) = (sub.serial, joining.is_some());
        for waiter in [of_next, leaving, joining, changing].into_iter().flatten() {
            self.reply(waiter.to, Err(Error::Timeout));
        }
        if undo {
            self.unsubscribe(now, id, serial, None);
        }
    }

    /// A service that has not answered about a subscription for twice the time of a
    /// caller has lost track of us: the connection is given up, and what was subscribed
    /// is restored on the next.
    pub(super) fn overdue_timeout(&mut self, now: Instant) {
        let overdue = self.overdue.values().next().is_some_and(|at| *at <= now);
        if overdue && self.blocked.is_none() {
            self.fail(now, Error::Timeout);
        }
    }

    /// Answers a waiter before its time is up.
    pub(super) fn answer(&mut self, id: &str, waiter: Waiter<R>, result: Result<Answer, Error>) {
        self.waits.remove(&(waiter.deadline, id.to_owned()));
        self.reply(waiter.to, result);
    }
}
