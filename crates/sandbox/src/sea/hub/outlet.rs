//! What waits for a subscriber, bounded by count and by bytes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::mpsc;

/// What a WebSocket is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    Send(Sent),
    Close(u16, &'static str),
    /// Ends the stream without a word.
    Abort,
}

/// A message that counts until it is taken.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) text: String,
    waiting: Option<Arc<AtomicUsize>>,
}

impl Sent {
    /// A message that no bound counts.
    pub(crate) const fn uncounted(text: String) -> Self {
        Self { text, waiting: None }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            waiting.fetch_sub(self.text.len(), Relaxed);
        }
    }
}

/// The subscriber does not read.
#[derive(Debug)]
pub(crate) struct Slow;

#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    orders: mpsc::Sender<Order>,
    bytes: Arc<AtomicUsize>,
    max_bytes: usize,
}

impl Outlet {
    pub(super) fn new(messages: usize, max_bytes: usize) -> (Self, mpsc::Receiver<Order>) {
        let (orders, receiver) = mpsc::channel(messages.max(1));
        (Self { orders, bytes: Arc::default(), max_bytes }, receiver)
    }

    pub(super) fn send(&self, text: String) -> Result<(), Slow> {
        let before = self.bytes.fetch_add(text.len(), Relaxed);
        // Counted down again when it is dropped, wherever that is.
        let full = before > 0 && before + text.len() > self.max_bytes;
        let sent = Sent { text, waiting: Some(Arc::clone(&self.bytes)) };
        if full {
            return Err(Slow);
        }
        self.order(Order::Send(sent))
    }

    pub(super) fn order(&self, order: Order) -> Result<(), Slow> {
        self.orders.try_send(order).map_err(|_| Slow)
    }
}
