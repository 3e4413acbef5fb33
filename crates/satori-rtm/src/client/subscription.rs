//! What an application holds of a subscription.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use client_core::{Reader, Received, driver::Ended};
use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};

use super::command::{Command, Reply};
use crate::{
    delivery::{Delivery, Gap, GapReason},
    error::Error,
};

/// The deliveries of one channel: a stream that ends when the subscription
/// does.
///
/// Dropping it ends the subscription in the background;
/// [`unsubscribe`](Self::unsubscribe) waits for the service to confirm.
#[derive(Debug)]
pub struct Subscription {
    channel: Arc<str>,
    serial: u64,
    reader: Reader<Delivery>,
    commands: mpsc::WeakSender<Command>,
    ended: Arc<Ended<(Arc<str>, u64)>>,
    over: bool,
}

impl Subscription {
    pub(super) fn new(
        channel: Arc<str>,
        serial: u64,
        reader: Reader<Delivery>,
        commands: mpsc::WeakSender<Command>,
        ended: Arc<Ended<(Arc<str>, u64)>>,
    ) -> Self {
        Self { channel, serial, reader, commands, ended, over: false }
    }

    /// Returns the channel.
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
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Ends the subscription and waits for the service to confirm. What was
    /// received and not consumed is thrown away.
    ///
    /// # Wire
    ///
    /// `rtm/unsubscribe` (docs/protocols/satori-rtm.md, 3.7).
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after [`Config::request_timeout`]; the subscription
    /// ends all the same.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the subscription ends all the same.
    ///
    /// [`Config::request_timeout`]: crate::Config::request_timeout
    pub async fn unsubscribe(self) -> Result<(), Error> {
        // A client that is gone has ended all its subscriptions.
        let Some(commands) = self.commands.upgrade() else { return Ok(()) };
        let (to, answer) = oneshot::channel();
        let (channel, serial) = (Arc::clone(&self.channel), self.serial);
        let command = Command::Unsubscribe { channel, serial, to: Reply::Answer(to) };
        if commands.send(command).await.is_err() {
            return Ok(());
        }
        answer.await.map_or(Ok(()), |result| result.map(drop))
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
        self.ended.push((Arc::clone(&self.channel), self.serial));
    }
}
