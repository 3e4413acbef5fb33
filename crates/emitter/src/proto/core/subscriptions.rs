//! Who is subscribed to what (docs/protocols/emitter.md, 6 and 7.2). The broker knows
//! a set of filters; who holds them is known here.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use client_core::{Event, Writer, after};

use super::{Answer, Blocked, Control, Core, Kind, Notice, Out, Subscription, fill::Fill};
use crate::{
    channel::Filter,
    delivery::{Delivery, Gap, Message},
    error::{Error, Refusal},
    requests::Ask,
};

/// Somebody who gets the messages of a filter.
pub(super) struct Holder<R> {
    subscription: Subscription,
    out: Out<Message>,
    /// Who waits for the broker's word.
    waiter: Option<(R, Instant)>,
    /// Accepted once: from now on it is restored, without what was stored before.
    joined: bool,
    /// Fetches what it has missed.
    pub(super) fill: Option<Fill>,
    /// What it got lately, if it is to know that again.
    pub(super) recent: super::fill::Recent,
    /// A newer handler that gets its messages, and its place once it is accepted.
    muted_by: Option<u64>,
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
            self.mute_handlers(&subscription, serial);
        }
        self.warn_of_collisions(&subscription);
        self.messages.insert(subscription.filter.channel(), serial);
        let deadline = after(now, self.config.request_timeout);
        self.waits.insert((deadline, serial));
        let holder = Holder {
            subscription,
            out,
            waiter: Some((to, deadline)),
            joined: false,
            fill: None,
            recent: super::fill::Recent::default(),
            muted_by: None,
        };
        self.holders.insert(serial, holder);
        if self.link.is_live() {
            self.control.push_back(Control::Subscribe(vec![serial]));
        }
    }

    /// Ends one subscription; the broker is told with the last of its filter.
    pub fn drop_subscription(&mut self, serial: u64) {
        let Some(holder) = self.remove_holder(serial) else { return };
        if let Some((to, _)) = holder.waiter {
            self.reply(to, Err(Error::Closed));
        }
        self.release(&holder.subscription.filter);
    }

    /// Tells the broker, if nobody holds a filter any more that it knows.
    fn release(&mut self, filter: &Filter) {
        let is_held = self.holders.values().any(|other| other.subscription.filter == *filter);
        if is_held || self.is_linked(filter) || !self.link.is_live() {
            return;
        }
        if let Some(key) = self.granted.remove(filter) {
            let topic = wire(&key, filter.as_str(), "");
            self.control.push_back(Control::Unsubscribe { topic, to: None });
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
        self.unlink(&subscription.filter);
        if !self.link.is_live() {
            // A broker knows nothing of a client that is not connected.
            return self.reply(to, Ok(Answer::Done));
        }
        self.granted.remove(&subscription.filter);
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
        if holder.muted_by.is_some() {
            return;
        }
        if let Some(fill) = &mut holder.fill {
            if fill.keep(&message) {
                return;
            }
            return self.abandon_fill(serial, message);
        }
        self.hand_over(serial, message, None);
    }

    /// Delivers a message, whose time is now unless the broker has said it.
    pub(super) fn hand_over(&mut self, serial: u64, message: Message, at: Option<u64>) {
        let Some(holder) = self.holders.get_mut(&serial) else { return };
        if holder.subscription.fill.is_some() {
            let at = at.or_else(|| self.heard.unix()).unwrap_or_default();
            holder.recent.remember(at, &message);
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

    pub(super) fn holders_accepted(&mut self, serials: &[u64], filter: Filter, key: String) {
        self.granted.insert(filter.clone(), key);
        let unix = self.heard.unix().unwrap_or_default();
        for serial in serials {
            let Some(holder) = self.holders.get_mut(serial) else { continue };
            holder.joined = true;
            holder.recent.begin(unix);
            if let Some((to, deadline)) = holder.waiter.take() {
                self.waits.remove(&(deadline, *serial));
                self.reply(to, Ok(Answer::Done));
            }
            self.begin_fill(*serial);
        }
        // Who asked may have gone meanwhile.
        self.release(&filter);
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
        match (holder.waiter, holder.out) {
            (Some((to, _)), _) => self.reply(to, Err(error)),
            (None, Out::Stream(out)) => end_stream(&out, error),
            (None, Out::Handler(_)) => self.monitor.tell(Event::Refused { cause: error }),
        }
        self.release(&holder.subscription.filter);
    }

    pub(super) fn holder_timeout(&mut self, now: Instant, serial: u64) {
        self.fill_timeout(now, serial);
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
            // What was fetched is fetched again, along with what comes now.
            if let Some(fill) = holder.fill.take() {
                holder.recent.resume(fill);
            }
        }
    }

    /// Says every subscription again: what was never accepted as it was asked for,
    /// the others one packet for each key and filter, and a gap or a fetch for each.
    pub(super) fn restore_holders(&mut self, now: Instant) {
        let mut together: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut single = Vec::new();
        let from = self.heard.lost_at();
        // A fetch takes many requests.
        let deadline = after(now, 6 * self.config.request_timeout);
        let mut gaps = Vec::new();
        for (serial, holder) in &mut self.holders {
            if !holder.joined {
                single.push(vec![*serial]);
                continue;
            }
            together.entry(holder.topic()).or_default().push(*serial);
            match (holder.subscription.fill, from) {
                (Some(limit), Some(from)) => {
                    let (topic, recent) = (holder.topic(), &mut holder.recent);
                    holder.fill = Some(Fill::new(topic, from, limit, deadline, recent));
                    self.waits.insert((deadline, *serial));
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

    /// What goes into a SUBSCRIBE for these holders, if any of them is still there, and
    /// what its answer is about.
    pub(super) fn subscribing(&mut self, mut serials: Vec<u64>) -> Option<(String, Kind<R>)> {
        serials.retain(|serial| self.holders.contains_key(serial));
        let holder = self.holders.get(serials.first()?)?;
        let Subscription { key, filter, query, .. } = &holder.subscription;
        let query = if holder.joined { "?last=0" } else { query };
        let topic = wire(key, filter.as_str(), query);
        let (filter, key) = (filter.clone(), key.clone());
        Some((topic, Kind::Subscribe { serials, filter, key }))
    }

    fn remove_holder(&mut self, serial: u64) -> Option<Holder<R>> {
        let holder = self.holders.remove(&serial)?;
        self.messages.remove(holder.subscription.filter.channel(), serial);
        if let Some((_, deadline)) = &holder.waiter {
            self.waits.remove(&(*deadline, serial));
        }
        for other in self.holders.values_mut() {
            // Those it has silenced speak again, if it was not to take their place.
            other.muted_by = other.muted_by.filter(|by| *by != serial);
        }
        Some(holder)
    }

    /// The handlers of this filter are silent from now on, until the newer one is
    /// accepted or refused.
    fn mute_handlers(&mut self, subscription: &Subscription, by: u64) {
        for holder in self.holders.values_mut() {
            let is_handler = matches!(holder.out, Out::Handler(_));
            if is_handler && holder.subscription.filter == subscription.filter {
                holder.muted_by = Some(by);
            }
        }
    }

    /// Somebody has taken what was begun: the handlers that it has silenced are gone.
    pub fn taken(&mut self, by: u64) {
        self.replace_watches(by);
        let all = self.holders.iter();
        let muted = all.filter(|(_, holder)| holder.muted_by == Some(by));
        let muted: Vec<u64> = muted.map(|(serial, _)| *serial).collect();
        for serial in muted {
            if let Some((to, _)) = self.remove_holder(serial).and_then(|holder| holder.waiter) {
                self.reply(to, Err(Error::Closed));
            }
        }
    }

    /// Whether a link of this client keeps the connection subscribed.
    fn is_linked(&self, filter: &Filter) -> bool {
        self.links.values().any(|ask| is_subscribing_to(ask, filter))
    }

    /// The links of this client subscribe to this no more when they are made again.
    fn unlink(&mut self, filter: &Filter) {
        for ask in self.links.values_mut().filter(|ask| is_subscribing_to(ask, filter)) {
            if let Ask::Link { subscribe, .. } = ask {
                *subscribe = false;
            }
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

/// Whether a link subscribes the connection to just this.
fn is_subscribing_to(ask: &Ask, filter: &Filter) -> bool {
    match ask {
        Ask::Link { channel, subscribe: true, .. } => {
            channel.split('?').next() == Some(filter.as_str())
        }
        _ => false,
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
