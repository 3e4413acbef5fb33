//! Who is subscribed to what (docs/protocols/emitter.md, 6 and 7.2). The broker knows
//! a set of filters; who holds them is known here.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use client_core::{Event, Writer, after};

use super::{Answer, Blocked, Control, Core, Notice, Out, Subscription, fill::Fill};
use crate::{
    delivery::{Delivery, Gap, Message},
    error::{Error, Refusal},
};

/// Somebody who gets the messages of a filter.
pub(super) struct Holder<R> {
    subscription: Subscription,
    out: Out<Message>,
    /// Who waits for the broker's word.
    waiter: Option<(R, Instant)>,
    /// Asked for on this connection.
    sent: bool,
    /// Accepted once: from now on it is restored, without what was stored before.
    joined: bool,
    /// Fetches what it has missed.
    pub(super) fill: Option<Fill>,
    /// What it got lately, if it is to know that again.
    pub(super) recent: super::fill::Recent,
}

impl<R> Holder<R> {
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.out {
            Out::Stream(out) => out.poll_room(cx),
            Out::Handler(_) => Poll::Ready(()),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        matches!(&self.out, Out::Stream(out) if out.is_full())
    }

    pub(super) fn topic(&self) -> String {
        let Subscription { key, filter, .. } = &self.subscription;
        wire(key, filter.as_str(), "")
    }
}

impl<R> Core<R> {
    /// Subscribes; `to` is answered when the broker accepts or refuses. `serial` names
    /// the subscription, and is greater than all before. A new handler takes the
    /// place of an older one of the same filter.
    pub fn subscribe(
        &mut self,
        now: Instant,
        serial: u64,
        subscription: Subscription,
        out: Out<Message>,
        to: R,
    ) {
        if self.link.is_closing() {
            return self.reply(to, Err(Error::Closed));
        }
        if matches!(out, Out::Handler(_)) {
            self.replace_handler(&subscription);
        }
        self.warn_of_collisions(&subscription);
        self.messages.insert(subscription.filter.channel(), serial);
        let deadline = after(now, self.config.request_timeout);
        self.waits.insert((deadline, serial));
        let holder = Holder {
            subscription,
            out,
            waiter: Some((to, deadline)),
            sent: false,
            joined: false,
            fill: None,
            recent: super::fill::Recent::default(),
        };
        self.holders.insert(serial, holder);
        if self.link.is_live() {
            self.control.push_back(Control::Subscribe(vec![serial]));
        }
    }

    /// Ends one subscription; the broker is told with the last of its filter.
    pub fn drop_subscription(&mut self, serial: u64) {
        let Some(mut holder) = self.remove_holder(serial) else { return };
        if let Some((to, _)) = holder.waiter.take() {
            self.reply(to, Err(Error::Closed));
        }
        let filter = &holder.subscription.filter;
        let is_held = self.holders.values().any(|other| other.subscription.filter == *filter);
        if holder.sent && !is_held && self.link.is_live() {
            self.control.push_back(Control::Unsubscribe { topic: holder.topic(), to: None });
        }
    }

    /// Ends every subscription of this filter, and tells the broker; `to` gets its
    /// word.
    pub fn unsubscribe(&mut self, subscription: &Subscription, to: R) {
        let all = self.holders.iter();
        let same = all.filter(|(_, holder)| holder.subscription.filter == subscription.filter);
        let serials: Vec<u64> = same.map(|(serial, _)| *serial).collect();
        for serial in serials {
            if let Some((to, _)) = self.remove_holder(serial).and_then(|holder| holder.waiter) {
                self.reply(to, Err(Error::Closed));
            }
        }
        if !self.link.is_live() {
            // A broker knows nothing of a client that is not connected.
            return self.reply(to, Ok(Answer::Done));
        }
        let topic = wire(&subscription.key, subscription.filter.as_str(), "");
        self.control.push_back(Control::Unsubscribe { topic, to: Some(to) });
    }

    /// A message: to everyone it belongs to, else to the handler of all others.
    pub(super) fn handle_message(&mut self, message: Message) {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.messages.find(message.channel(), &mut found);
        let bytes = message.channel().len() + message.as_binary().len();
        self.monitor.count(|stats| stats.messages_in += 1);
        if found.is_empty() {
            self.notify(Notice::Message(None, message), bytes);
        } else {
            let last = found.pop();
            for serial in &found {
                self.deliver(*serial, message.clone());
            }
            if let Some(serial) = last {
                self.deliver(serial, message);
            }
        }
        self.found = found;
    }

    /// Hands a message to one holder, or to what it fetches meanwhile.
    fn deliver(&mut self, serial: u64, message: Message) {
        let Some(holder) = self.holders.get_mut(&serial) else { return };
        if let Some(fill) = &mut holder.fill {
            if fill.keep(&message) {
                return;
            }
            return self.abandon_fill(serial, message);
        }
        self.hand_over(serial, message);
    }

    pub(super) fn hand_over(&mut self, serial: u64, message: Message) {
        let Some(holder) = self.holders.get_mut(&serial) else { return };
        if holder.subscription.fill.is_some() {
            holder.recent.remember(self.heard.unix().unwrap_or_default(), &message);
        }
        let bytes = message.channel().len() + message.as_binary().len();
        let out = match &holder.out {
            Out::Stream(out) => out,
            Out::Handler(handler) => {
                let notice = Notice::Message(Some(Arc::clone(handler)), message);
                return self.notify(notice, bytes);
            }
        };
        match out.push(Delivery::Message(message), bytes) {
            Ok(0) => {}
            Ok(dropped) => self.dropped_messages(dropped),
            Err(_) => {
                let reason = "the consumer is slower than the broker";
                self.end_holder(serial, Error::misuse("slow_consumer", reason));
                return;
            }
        }
        let is_full = self.holders.get(&serial).is_some_and(Holder::is_full);
        if self.blocked.is_none() && is_full {
            self.blocked = Some(Blocked::Holder(serial));
        }
    }

    pub(super) fn holders_accepted(&mut self, serials: &[u64]) {
        for serial in serials {
            let Some(holder) = self.holders.get_mut(serial) else { continue };
            holder.joined = true;
            if let Some((to, deadline)) = holder.waiter.take() {
                self.waits.remove(&(deadline, *serial));
                self.reply(to, Ok(Answer::Done));
            }
            self.begin_fill(*serial);
        }
    }

    pub(super) fn holders_refused(&mut self, serials: &[u64], refusal: Option<Refusal>) {
        let unnamed = || Refusal::new("subscribe", 400, "");
        let refusal = refusal.unwrap_or_else(unnamed);
        for serial in serials {
            self.end_holder(*serial, Error::Refused(refusal.clone()));
        }
    }

    /// Ends a subscription against the application's will.
    fn end_holder(&mut self, serial: u64, error: Error) {
        let Some(holder) = self.remove_holder(serial) else { return };
        let filter = &holder.subscription.filter;
        let is_held = self.holders.values().any(|other| other.subscription.filter == *filter);
        let is_refused = matches!(error, Error::Refused(_));
        if holder.sent && !is_held && !is_refused && self.link.is_live() {
            self.control.push_back(Control::Unsubscribe { topic: holder.topic(), to: None });
        }
        match (holder.waiter, holder.out) {
            (Some((to, _)), _) => self.reply(to, Err(error)),
            (None, Out::Stream(out)) => out.push_notice(Delivery::Ended(error), |_, _| false),
            (None, Out::Handler(_)) => self.monitor.tell(Event::Refused { cause: error }),
        }
    }

    pub(super) fn holder_timeout(&mut self, serial: u64) {
        let is_waiting = self.holders.get(&serial).is_some_and(|holder| holder.waiter.is_some());
        if is_waiting {
            self.end_holder(serial, Error::Timeout);
        }
    }

    /// Ends all: with an error, or because the application asked for it.
    pub(super) fn end_holders(&mut self, error: Option<&Error>) {
        let serials: Vec<u64> = self.holders.keys().copied().collect();
        for serial in serials {
            match error {
                Some(error) => self.end_holder(serial, error.clone()),
                None => {
                    let waiter = self.remove_holder(serial).and_then(|holder| holder.waiter);
                    if let Some((to, _)) = waiter {
                        self.reply(to, Err(Error::Closed));
                    }
                }
            }
        }
    }

    pub(super) fn holders_lost(&mut self) {
        for holder in self.holders.values_mut() {
            holder.sent = false;
            // What was fetched is fetched again, along with what comes now.
            if let Some(fill) = holder.fill.take() {
                holder.recent.resume(fill);
            }
        }
    }

    /// Says every subscription again: what was never accepted as it was asked for,
    /// the others one packet for each key and filter, and a gap or a fetch for each.
    pub(super) fn restore_holders(&mut self) {
        let mut together: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut single = Vec::new();
        let from = self.heard.lost_at();
        let mut gaps = Vec::new();
        for (serial, holder) in &mut self.holders {
            if !holder.joined {
                single.push(vec![*serial]);
                continue;
            }
            together.entry(holder.topic()).or_default().push(*serial);
            match (holder.subscription.fill, from) {
                (Some(limit), Some(from)) => {
                    holder.fill = Some(Fill::new(holder.topic(), from, limit, &mut holder.recent));
                }
                _ => gaps.push(*serial),
            }
        }
        self.control.extend(together.into_values().chain(single).map(Control::Subscribe));
        for serial in gaps {
            self.gap(serial);
        }
    }

    /// Tells a holder that messages are missing.
    pub(super) fn gap(&mut self, serial: u64) {
        let Some(holder) = self.holders.get(&serial) else { return };
        if let Out::Stream(out) = &holder.out {
            out.push_notice(Delivery::Gap(Gap::RECONNECTED), merge_gaps);
        }
        let subscription = holder.subscription.filter.as_str().to_owned();
        self.monitor.count(|stats| stats.gaps += 1);
        self.monitor.tell(Event::Gap { subscription });
    }

    /// What goes into a SUBSCRIBE for these holders, if any of them is still there.
    pub(super) fn subscribing(&mut self, mut serials: Vec<u64>) -> Option<(String, Vec<u64>)> {
        serials.retain(|serial| self.holders.contains_key(serial));
        let mut topic = None;
        for serial in &serials {
            let holder = self.holders.get_mut(serial)?;
            holder.sent = true;
            let Subscription { key, filter, query, .. } = &holder.subscription;
            let query = if holder.joined { "?last=0" } else { query };
            topic = Some(wire(key, filter.as_str(), query));
        }
        topic.map(|topic| (topic, serials))
    }

    fn remove_holder(&mut self, serial: u64) -> Option<Holder<R>> {
        let holder = self.holders.remove(&serial)?;
        self.messages.remove(holder.subscription.filter.channel(), serial);
        if let Some((_, deadline)) = &holder.waiter {
            self.waits.remove(&(*deadline, serial));
        }
        Some(holder)
    }

    fn replace_handler(&mut self, subscription: &Subscription) {
        let all = self.holders.iter();
        let mut old = all.filter(|(_, holder)| {
            matches!(holder.out, Out::Handler(_))
                && holder.subscription.filter == subscription.filter
        });
        let serial = old.next().map(|(serial, _)| *serial);
        let holder = serial.and_then(|serial| self.remove_holder(serial));
        if let Some((to, _)) = holder.and_then(|holder| holder.waiter) {
            self.reply(to, Err(Error::Closed));
        }
    }

    fn warn_of_collisions(&self, subscription: &Subscription) {
        let mut all = self.holders.values().map(|holder| &holder.subscription.filter);
        if let Some(other) = all.find(|other| other.collides(&subscription.filter)) {
            let (one, other) = (subscription.filter.as_str(), other.as_str());
            let reason = format!(
                "the broker takes {one} for {other} on one connection: use a second client"
            );
            self.monitor.tell(Event::Warning { cause: Error::misuse("collision", reason) });
        }
    }
}

/// `key/filter?query`.
pub(super) fn wire(key: &str, rest: &str, query: &str) -> String {
    crate::channel::topic(key, rest, query)
}

/// Two gaps in a row are one: the sum, if both are known.
pub(super) fn merge_gaps<T>(last: &mut Delivery<T>, notice: &Delivery<T>) -> bool {
    match (last, notice) {
        (Delivery::Gap(last), Delivery::Gap(next)) => {
            last.missed = last.missed.zip(next.missed).map(|(a, b)| a.saturating_add(b));
            true
        }
        _ => false,
    }
}

/// Ends a stream with an error.
pub(super) fn end_stream<T>(out: &Writer<Delivery<T>>, error: Error) {
    out.push_notice(Delivery::Ended(error), |_, _| false);
}
