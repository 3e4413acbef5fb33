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
    config::Subscribe,
    delivery::{Delivery, Gap, GapReason},
    error::Error,
};

/// The deliveries of one channel or view: a stream that ends when the subscription
/// does.
///
/// Dropping it ends the subscription in the background;
/// [`unsubscribe`](Self::unsubscribe) waits for the service to confirm.
#[derive(Debug)]
pub struct Subscription {
    id: Arc<str>,
    serial: u64,
    reader: Reader<Delivery>,
    commands: mpsc::WeakSender<Command>,
    ended: Arc<Ended<(Arc<str>, u64)>>,
    over: bool,
}

impl Subscription {
    pub(super) fn new(
        id: Arc<str>,
        serial: u64,
        reader: Reader<Delivery>,
        commands: mpsc::WeakSender<Command>,
        ended: Arc<Ended<(Arc<str>, u64)>>,
    ) -> Self {
        Self { id, serial, reader, commands, ended, over: false }
    }

    /// Returns the subscription's id: the channel, or the name of the view.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
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
    /// - [`Error::Timeout`] after [`Config::request_timeout`]; the subscription
    ///   ends all the same.
    /// - [`Error::Refused`] if the service refuses; what it goes on delivering is thrown
    ///   away, and the next subscription of that id asks it once more.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the subscription ends all the same.
    ///
    /// [`Config::request_timeout`]: crate::Config::request_timeout
    pub async fn unsubscribe(self) -> Result<(), Error> {
        let (id, serial) = (Arc::clone(&self.id), self.serial);
        // A client that is gone has ended all its subscriptions.
        match self.ask(|to| Command::Unsubscribe { id, serial, to }).await {
            Some(result) => result,
            None => Ok(()),
        }
    }

    /// Asks the service for other options on the fly: another filter or period, another
    /// starting point. The subscription is left, and made again from where it was left:
    /// nothing comes twice, and nothing is missed. The inbox stays as it is.
    ///
    /// # Wire
    ///
    /// `rtm/unsubscribe`, then `rtm/subscribe` with `force` (docs/protocols/satori-rtm.md,
    /// 3.5 and 3.7).
    ///
    /// # Errors
    ///
    /// The subscription goes on as it was, after:
    ///
    /// - [`Error::Refused`] with the service's code, e.g. `invalid_filter`.
    /// - the error with which the connection was lost meanwhile.
    /// - [`Error::Timeout`] after [`Config::request_timeout`]; what was asked for by then
    ///   may still come about.
    /// - [`Error::Misuse`] with code `already_changing` while another change is under
    ///   way.
    /// - [`Error::Closed`] if the subscription has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was asked for may still happen.
    ///
    /// [`Config::request_timeout`]: crate::Config::request_timeout
    pub async fn change(&self, options: Subscribe) -> Result<(), Error> {
        let (id, serial) = (Arc::clone(&self.id), self.serial);
        let options = Box::new(options);
        let answer = self.ask(|to| Command::Change { id, serial, options, to }).await;
        answer.unwrap_or(Err(Error::Closed))
    }

    /// Asks the driver; nothing comes back from one that is gone.
    async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Option<Result<(), Error>> {
        let commands = self.commands.upgrade()?;
        let (to, answer) = oneshot::channel();
        commands.send(command(Reply::Answer(to))).await.ok()?;
        answer.await.ok().map(|result| result.map(drop))
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
        self.ended.push((Arc::clone(&self.id), self.serial));
    }
}
