//! What an application holds of a subscription.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use client_core::{Reader, Received};
use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};

use super::{
    command::{Command, Reply},
    machine::Shared,
};
use crate::{
    delivery::{Delivery, Gap, GapReason},
    error::Error,
    room::Room,
};

/// The deliveries of one room: a stream that ends when the subscription does.
///
/// Dropping it ends the subscription, and the server is told when the client's task
/// comes to it; [`unsubscribe`](Self::unsubscribe) waits for the server.
#[derive(Debug)]
pub struct Subscription {
    room: Room,
    id: String,
    serial: u64,
    reader: Reader<Delivery>,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    over: bool,
}

impl Subscription {
    pub(super) const fn new(
        room: Room,
        id: String,
        serial: u64,
        reader: Reader<Delivery>,
        shared: Arc<Shared>,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        Self { room, id, serial, reader, shared, commands, over: false }
    }

    /// Returns the room.
    #[must_use]
    pub const fn room(&self) -> &Room {
        &self.room
    }

    /// Returns the request id, a UUID: the same on every connection.
    #[must_use]
    pub fn request_id(&self) -> &str {
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

    /// Ends the subscription and waits for the server to confirm it. That the server
    /// knows of no such subscription (any more) is as good.
    ///
    /// # Wire
    ///
    /// `unsubscribe` (docs/protocols/high-templar.md, 7.3).
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] with the server's text.
    /// - [`Error::Timeout`] if the answer does not come within
    ///   [`Config::request_timeout`](crate::Config::request_timeout), for another
    ///   subscription's full inbox keeps it from being read, say. The subscription has
    ///   ended all the same.
    /// - [`Error::Closed`] if the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the subscription ends all the same.
    pub async fn unsubscribe(self) -> Result<(), Error> {
        let (to, answer) = oneshot::channel();
        let command = Command::Unsubscribe { serial: self.serial, to: Reply::Answer(to) };
        self.commands.send(command).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed)).map(drop)
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
        self.shared.ended.push(self.serial);
    }
}
