//! How a subscription that is dropped reaches its driver.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Subscriptions that were dropped, for the driver to end. Bounded by the number of
/// subscriptions that exist.
#[derive(Debug)]
pub struct Ended<T> {
    list: Mutex<List<T>>,
    notify: Arc<Notify>,
}

#[derive(Debug)]
struct List<T> {
    dropped: Vec<T>,
    /// The driver is gone, and with it every subscription.
    closed: bool,
}

impl<T> Default for Ended<T> {
    fn default() -> Self {
        let list = List { dropped: Vec::new(), closed: false };
        Self { list: Mutex::new(list), notify: Arc::default() }
    }
}

impl<T> Ended<T> {
    /// Returns what wakes the driver.
    #[must_use]
    pub fn notify(&self) -> Arc<Notify> {
        Arc::clone(&self.notify)
    }

    /// A subscription is dropped.
    pub fn push(&self, subscription: T) {
        let mut list = self.lock();
        if !list.closed {
            list.dropped.push(subscription);
            drop(list);
            self.notify.notify_one();
        }
    }

    /// Takes those that were dropped since the last call.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.lock().dropped)
    }

    /// The driver takes no more.
    pub fn close(&self) {
        *self.lock() = List { dropped: Vec::new(), closed: true };
    }

    fn lock(&self) -> MutexGuard<'_, List<T>> {
        // No code of others runs under the lock, so a poisoned one is still whole.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
