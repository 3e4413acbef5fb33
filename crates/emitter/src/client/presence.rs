//! Who is on a channel, kept up to date.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::subscription::Held;
use crate::{
    answers::{PresenceEvent, PresenceInfo, PresenceKind},
    channel::segments,
    delivery::Delivery,
};

/// Who is on a channel: a stream of comings and goings, and the set they make.
///
/// It begins with everybody who is there, and again after a lost connection. Where
/// that are more than a packet holds, about 1,800, it begins with a
/// [`Gap`](crate::Gap), an empty set, and changes alone. Events of channels below are told, and
/// leave the set alone. Who is subscribed to a channel above is listed at the beginning,
/// and not told when he goes; who has two subscriptions is gone with the first of them.
/// Nobody vouches for what events say: who may publish on the
/// broker's own topics can invent them.
///
/// Dropping it ends it in the background.
#[derive(Debug)]
pub struct Presence {
    channel: Arc<str>,
    members: BTreeMap<String, PresenceInfo>,
    held: Held<PresenceEvent>,
}

impl Presence {
    pub(super) const fn new(channel: Arc<str>, held: Held<PresenceEvent>) -> Self {
        Self { channel, members: BTreeMap::new(), held }
    }

    /// Returns the channel as it was given.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Returns who is there, by all that [`next`](Self::next) has returned.
    pub fn members(&self) -> impl Iterator<Item = &PresenceInfo> {
        self.members.values()
    }

    /// Waits for the next event; `None` when this has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event is taken only when the future is ready.
    pub async fn next(&mut self) -> Option<Delivery<PresenceEvent>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery<PresenceEvent>>> {
        self.held.poll(cx).map(|delivery| {
            match &delivery {
                Some(Delivery::Message(event)) => self.apply(event),
                // Who has gone meanwhile is not known.
                Some(Delivery::Gap(_)) => self.members.clear(),
                _ => {}
            }
            delivery
        })
    }

    fn apply(&mut self, event: &PresenceEvent) {
        if !segments(&event.channel).eq(segments(&self.channel)) {
            return;
        }
        match event.kind {
            PresenceKind::Status => {
                self.members.clear();
                self.enter(event);
            }
            PresenceKind::Subscribe => self.enter(event),
            PresenceKind::Unsubscribe => {
                for who in &event.who {
                    self.members.remove(&who.id);
                }
            }
        }
    }

    fn enter(&mut self, event: &PresenceEvent) {
        self.members.extend(event.who.iter().map(|who| (who.id.clone(), who.clone())));
    }
}

impl Stream for Presence {
    type Item = Delivery<PresenceEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}
