//! What an application holds of a subscription.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use client_core::{Reader, Received, driver::Ended};
use futures_core::Stream;

use super::command::Fate;
use crate::delivery::{Delivery, Gap, GapReason, Message};

/// The end of a stream of deliveries that the application holds.
#[derive(Debug)]
pub(super) struct Held<T> {
    pub(super) serial: u64,
    pub(super) reader: Reader<Delivery<T>>,
    pub(super) ended: Arc<Ended<Fate>>,
    pub(super) over: bool,
}

impl<T> Held<T> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery<T>>> {
        if self.over {
            return Poll::Ready(None);
        }
        self.reader.poll_recv(cx).map(|received| match received {
            Some(Received::Item(delivery)) => {
                self.over = matches!(delivery, Delivery::Ended(_));
                Some(delivery)
            }
            Some(Received::Dropped(missed)) => {
                let (reason, missed) = (GapReason::Overflow, Some(missed));
                Some(Delivery::Gap(Gap { reason, missed }))
            }
            None => None,
        })
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.ended.push(Fate::Dropped(self.serial));
    }
}

/// The messages of a channel and of everything below it: a stream that ends when the
/// subscription does.
///
/// Dropping it ends this subscription alone, in the background: other ones of the
/// same channel go on. [`Client::unsubscribe`](crate::Client::unsubscribe) ends them
/// all, and waits for the broker.
#[derive(Debug)]
pub struct Subscription {
    channel: Arc<str>,
    held: Held<Message>,
}

impl Subscription {
    pub(super) const fn new(channel: Arc<str>, held: Held<Message>) -> Self {
        Self { channel, held }
    }

    /// Returns the channel as it was given.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Waits for the next delivery; `None` when the subscription has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a delivery is taken only when the future is ready.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|cx| self.held.poll(cx)).await
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.held.poll(cx)
    }
}
