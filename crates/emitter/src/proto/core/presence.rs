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
    answers::{PresenceEvent, PresenceInfo, PresenceKind, decode},
    delivery::{Delivery, Gap},
    error::Error,
    requests::Ask,
};

/// A watcher, as the core keeps it.
pub(super) struct Watch<R> {
    watcher: Watcher,
    out: Out<PresenceEvent>,
    waiter: Option<(R, Instant)>,
    /// A newer handler that gets its events, and its place once it is accepted.
    muted_by: Option<u64>,
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
            for watch in self.watches.values_mut() {
                let is_handler = matches!(watch.out, Out::Handler(_));
                if is_handler && watch.watcher.channel == watcher.channel {
                    watch.muted_by = Some(serial);
                }
            }
        }
        self.presence.insert(&watcher.channel, serial);
        let deadline = after(now, self.config.request_timeout);
        self.waits.insert((deadline, serial));
        let waiter = Some((to, deadline));
        self.watches.insert(serial, Watch { watcher, out, waiter, muted_by: None });
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
        self.release_watch(watch.watcher);
    }

    /// Tells the broker, if nobody watches the channel any more.
    fn release_watch(&mut self, watcher: Watcher) {
        let Watcher { key, channel, .. } = watcher;
        let is_watched = self.watches.values().any(|other| other.watcher.channel == channel);
        if !is_watched && self.link.is_live() {
            self.watched.remove(&channel);
            let ask = Ask::Presence { key, channel, status: false, changes: Some(false) };
            self.control.push_back(Control::Ask(ask, Asker::Nobody));
        }
    }

    /// Ends every watch of a channel; `to` gets the broker's word. `serial` is greater
    /// than all before.
    pub fn unwatch(&mut self, now: Instant, serial: u64, watcher: Watcher, to: R) {
        let all = self.watches.iter();
        let same = all.filter(|(_, watch)| watch.watcher.channel == watcher.channel);
        let serials: Vec<u64> = same.map(|(serial, _)| *serial).collect();
        for serial in serials {
            if let Some((to, _)) = self.remove_watch(serial).and_then(|watch| watch.waiter) {
                self.reply(to, Err(Error::Closed));
            }
        }
        if !self.link.is_live() {
            // A broker knows nothing of a client that is not connected.
            return self.reply(to, Ok(Answer::Done));
        }
        let Watcher { key, channel, .. } = watcher;
        self.watched.remove(&channel);
        let deadline = after(now, self.config.request_timeout);
        self.waits.insert((deadline, serial));
        self.leaving.insert(serial, to);
        let ask = Ask::Presence { key, channel, status: false, changes: Some(false) };
        self.control.push_back(Control::Ask(ask, Asker::Leave(serial)));
    }

    pub(super) fn left(&mut self, serial: u64, result: Result<(), Error>) {
        if let Some(to) = self.leaving.remove(&serial) {
            self.reply(to, result.map(|()| Answer::Done));
        }
    }

    /// The connection is gone, and with it what the broker told of.
    pub(super) fn watches_lost(&mut self) {
        self.watched.clear();
        for to in std::mem::take(&mut self.leaving).into_values() {
            self.reply(to, Ok(Answer::Done));
        }
    }

    /// A handler is somebody's: those it has silenced are gone.
    pub(super) fn replace_watches(&mut self, by: u64) {
        let all = self.watches.iter();
        let muted = all.filter(|(_, watch)| watch.muted_by == Some(by));
        let muted: Vec<u64> = muted.map(|(serial, _)| *serial).collect();
        for serial in muted {
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
                self.watched.insert(watch.watcher.channel.clone());
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
            return self.notify(Notice::Presence(None, event), payload.len());
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
            Out::Handler(_) if self.watches.get(serial)?.muted_by.is_some() => None,
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
        if watch.muted_by.is_some() {
            return;
        }
        let name = |who: &PresenceInfo| who.username.as_ref().map_or(0, String::len);
        let ids = event.who.iter().map(|who| who.id.len() + name(who) + 32);
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
        // A refusal leaves what was granted to another watch of the channel.
        if !is_refused || self.watched.contains(&watch.watcher.channel) {
            self.release_watch(watch.watcher);
        }
    }

    pub(super) fn watch_timeout(&mut self, serial: u64) {
        self.left(serial, Err(Error::Timeout));
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
        for other in self.watches.values_mut() {
            // Those it has silenced speak again, if it was not to take their place.
            other.muted_by = other.muted_by.filter(|by| *by != serial);
        }
        Some(watch)
    }
}
