//! What an application holds of a subscription.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use client_core::{Reader, Received, driver::Ended};
use futures_core::Stream;

use crate::delivery::{Delivery, Gap, GapReason};

/// The deliveries of one stream: a stream that ends when the subscription does.
///
/// Dropping it ends the subscription here. The protocol has no word for that, so the
/// service goes on sending on this connection, and what it sends is thrown away: in a
/// group that others share, messages are lost to them meanwhile. With the last
/// subscription of a client its connection is renewed, and the group rid of it.
#[derive(Debug)]
pub struct Subscription {
    stream: Arc<str>,
    serial: u64,
    reader: Reader<Delivery>,
    ended: Arc<Ended<u64>>,
    over: bool,
}

impl Subscription {
    pub(super) const fn new(
        stream: Arc<str>,
        serial: u64,
        reader: Reader<Delivery>,
        ended: Arc<Ended<u64>>,
    ) -> Self {
        Self { stream, serial, reader, ended, over: false }
    }

    /// Returns the name of the stream.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Waits for the next delivery; `None` when the subscription has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a delivery is taken only when the future is ready.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
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

impl Drop for Subscription {
    fn drop(&mut self) {
        self.ended.push(self.serial);
    }
}
