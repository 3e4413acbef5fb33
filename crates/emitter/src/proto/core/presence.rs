//! Who watches who is on a channel (docs/protocols/emitter.md, 9).

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use client_core::{Event, after};

use super::{
    Answer, Blocked, Control, Core, Notice, Out, Watcher,
    asks::Asker,
    subscriptions::{end_stream, merge_gaps},
};
use crate::{
    answers::{PresenceEvent, PresenceKind, decode},
    delivery::{Delivery, Gap},
    error::Error,
    requests::Ask,
};

/// A watcher, as the core keeps it.
pub(super) struct Watch<R> {
    watcher: Watcher,
    out: Out<PresenceEvent>,
    waiter: Option<(R, Instant)>,
}

impl<R> Watch<R> {
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.out {
            Out::Stream(out) => out.poll_room(cx),
            Out::Handler(_) => Poll::Ready(()),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        matches!(&self.out, Out::Stream(out) if out.is_full())
    }
}

impl<R> Core<R> {
    /// Watches a channel; `to` is answered when the broker accepts or refuses.
    /// `serial` is greater than all before, those of subscriptions included. A new
    /// handler takes the place of an older one of the same channel.
    pub fn watch(
        &mut self,
        now: Instant,
        serial: u64,
        watcher: Watcher,
        out: Out<PresenceEvent>,
        to: R,
    ) {
        if self.link.is_closing() {
            return self.reply(to, Err(Error::Closed));
        }
        if matches!(out, Out::Handler(_)) {
            let all = self.watches.iter();
            let mut old = all.filter(|(_, watch)| {
                matches!(watch.out, Out::Handler(_)) && watch.watcher.channel == watcher.channel
            });
            let old = old.next().map(|(serial, _)| *serial);
            let watch = old.and_then(|old| self.remove_watch(old));
            if let Some((to, _)) = watch.and_then(|watch| watch.waiter) {
                self.reply(to, Err(Error::Closed));
            }
        }
        self.presence.insert(&watcher.channel, serial);
        let deadline = after(now, self.config.request_timeout);
        self.waits.insert((deadline, serial));
        self.watches.insert(serial, Watch { watcher, out, waiter: Some((to, deadline)) });
        if self.link.is_live() {
            self.ask_to_watch(serial, None);
        }
    }

    /// Ends one watch; the broker is told with the last of its channel.
    pub fn drop_watch(&mut self, serial: u64) {
        let Some(watch) = self.remove_watch(serial) else { return };
        if let Some((to, _)) = watch.waiter {
            self.reply(to, Err(Error::Closed));
        }
        self.unwatch(watch.watcher);
    }

    /// Tells the broker, if nobody watches the channel any more.
    fn unwatch(&mut self, watcher: Watcher) {
        let Watcher { key, channel, .. } = watcher;
        let is_watched = self.watches.values().any(|other| other.watcher.channel == channel);
        if !is_watched && self.link.is_live() {
            let ask = Ask::Presence { key, channel, status: false, changes: Some(false) };
            self.control.push_back(Control::Ask(ask, Asker::Nobody));
        }
    }

    /// Ends every watch of a channel, without telling the broker.
    pub fn drop_watches(&mut self, watcher: &Watcher) {
        let all = self.watches.iter();
        let same = all.filter(|(_, watch)| watch.watcher.channel == watcher.channel);
        let serials: Vec<u64> = same.map(|(serial, _)| *serial).collect();
        for serial in serials {
            if let Some((to, _)) = self.remove_watch(serial).and_then(|watch| watch.waiter) {
                self.reply(to, Err(Error::Closed));
            }
        }
    }

    /// Asks for changes, and for everybody who is there: a watch that begins again
    /// has missed some.
    fn ask_to_watch(&mut self, serial: u64, status: Option<bool>) {
        let Some(watch) = self.watches.get(&serial) else { return };
        let Watcher { key, channel, .. } = &watch.watcher;
        let status = status.unwrap_or(watch.watcher.status);
        let (key, channel) = (key.clone(), channel.clone());
        let ask = Ask::Presence { key, channel, status, changes: Some(true) };
        self.control.push_back(Control::Ask(ask, Asker::Watch(serial, status)));
    }

    pub(super) fn watch_answered(
        &mut self,
        serial: u64,
        asked: bool,
        result: Result<Bytes, Error>,
    ) {
        let Some(watch) = self.watches.get_mut(&serial) else { return };
        match result {
            Ok(payload) => {
                if let Some((to, deadline)) = watch.waiter.take() {
                    self.waits.remove(&(deadline, serial));
                    self.reply(to, Ok(Answer::Done));
                }
                // A bare acknowledgement is no event.
                if let Ok(event) = decode::<PresenceEvent>("presence", &payload) {
                    self.tell_watch(serial, event);
                }
            }
            Err(Error::AnswerTooLarge) if asked => {
                // Too many to be told at once: changes alone, and said so.
                self.watch_gap(serial);
                self.ask_to_watch(serial, Some(false));
            }
            Err(error) => self.end_watch(serial, error),
        }
    }

    /// Somebody has come or gone.
    pub(super) fn handle_change(&mut self, payload: &[u8]) {
        let event = match decode::<PresenceEvent>("presence", payload) {
            Ok(event) if event.kind != PresenceKind::Status => event,
            _ => return self.stray(),
        };
        let mut found = Vec::new();
        self.presence.find(&event.channel, &mut found);
        if found.is_empty() {
            let bytes = event.channel.len();
            return self.notify(Notice::Presence(None, event), bytes);
        }
        for serial in found {
            self.tell_watch(serial, event.clone());
        }
    }

    /// Who is there, as the application asked itself: for the handlers of that
    /// channel, else for that of all others.
    pub(super) fn notify_status(&mut self, event: PresenceEvent, bytes: usize) {
        let mut found = Vec::new();
        self.presence.find(&event.channel, &mut found);
        let handlers = found.iter().filter_map(|serial| match &self.watches.get(serial)?.out {
            Out::Handler(handler) => Some(Arc::clone(handler)),
            Out::Stream(_) => None,
        });
        let handlers: Vec<_> = handlers.collect();
        if handlers.is_empty() {
            self.notify(Notice::Presence(None, event.clone()), bytes);
        }
        for handler in handlers {
            self.notify(Notice::Presence(Some(handler), event.clone()), bytes);
        }
    }

    fn tell_watch(&mut self, serial: u64, event: PresenceEvent) {
        let Some(watch) = self.watches.get(&serial) else { return };
        let ids = event.who.iter().map(|who| who.id.len() + 32);
        let bytes = event.channel.len() + ids.sum::<usize>();
        let out = match &watch.out {
            Out::Stream(out) => out,
            Out::Handler(handler) => {
                let notice = Notice::Presence(Some(Arc::clone(handler)), event);
                return self.notify(notice, bytes);
            }
        };
        match out.push(Delivery::Message(event), bytes) {
            Ok(0) => {}
            Ok(dropped) => self.dropped_messages(dropped),
            Err(_) => {
                let reason = "the consumer is slower than the broker";
                return self.end_watch(serial, Error::misuse("slow_consumer", reason));
            }
        }
        let is_full = self.watches.get(&serial).is_some_and(Watch::is_full);
        if self.blocked.is_none() && is_full {
            self.blocked = Some(Blocked::Watch(serial));
        }
    }

    /// Comings and goings may be missing here.
    fn watch_gap(&self, serial: u64) {
        let Some(watch) = self.watches.get(&serial) else { return };
        if let Out::Stream(out) = &watch.out {
            out.push_notice(Delivery::Gap(Gap::RECONNECTED), merge_gaps);
        }
        let subscription = watch.watcher.channel.clone();
        self.monitor.count(|stats| stats.gaps += 1);
        self.monitor.tell(Event::Gap { subscription });
    }

    fn end_watch(&mut self, serial: u64, error: Error) {
        let Some(watch) = self.remove_watch(serial) else { return };
        let is_refused = matches!(error, Error::Refused(_));
        match (watch.waiter, watch.out) {
            (Some((to, _)), _) => self.reply(to, Err(error)),
            (None, Out::Stream(out)) => end_stream(&out, error),
            (None, Out::Handler(_)) => self.monitor.tell(Event::Refused { cause: error }),
        }
        if !is_refused {
            self.unwatch(watch.watcher);
        }
    }

    pub(super) fn watch_timeout(&mut self, serial: u64) {
        if self.watches.get(&serial).is_some_and(|watch| watch.waiter.is_some()) {
            self.end_watch(serial, Error::Timeout);
        }
    }

    pub(super) fn end_watches(&mut self, error: Option<&Error>) {
        let serials: Vec<u64> = self.watches.keys().copied().collect();
        for serial in serials {
            match error {
                Some(error) => self.end_watch(serial, error.clone()),
                None => {
                    let waiter = self.remove_watch(serial).and_then(|watch| watch.waiter);
                    if let Some((to, _)) = waiter {
                        self.reply(to, Err(Error::Closed));
                    }
                }
            }
        }
    }

    pub(super) fn restore_watches(&mut self) {
        let serials: Vec<u64> = self.watches.keys().copied().collect();
        for serial in serials {
            let is_new = self.watches.get(&serial).is_some_and(|watch| watch.waiter.is_some());
            if !is_new && !self.watches.get(&serial).is_some_and(|watch| watch.watcher.status) {
                self.watch_gap(serial);
            }
            self.ask_to_watch(serial, None);
        }
    }

    fn remove_watch(&mut self, serial: u64) -> Option<Watch<R>> {
        let watch = self.watches.remove(&serial)?;
        self.presence.remove(&watch.watcher.channel, serial);
        if let Some((_, deadline)) = &watch.waiter {
            self.waits.remove(&(*deadline, serial));
        }
        Some(watch)
    }
}
