//! A client's connection as the hub sees it.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// What a connection is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    Send(String),
    Close(u16, String),
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) info: Option<Box<RawValue>>,
    /// The channels that it is subscribed to.
    pub(crate) channels: BTreeSet<String>,
    orders: mpsc::Sender<Order>,
}

/// The client does not read: its session is over.
pub(super) struct Slow;

impl Session {
    pub(crate) fn new(
        user: String,
        info: Option<Box<RawValue>>,
        queue: usize,
    ) -> (Self, mpsc::Receiver<Order>) {
        let (orders, receiver) = mpsc::channel(queue);
        (Self { user, info, channels: BTreeSet::new(), orders }, receiver)
    }

    pub(super) fn order(&self, order: Order) -> Result<(), Slow> {
        self.orders.try_send(order).map_err(|_| Slow)
    }
}
