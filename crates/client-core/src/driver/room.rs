//! Room in an outbox for which calls wait, in their order, before anything is handed to
//! the driver: a call that is dropped meanwhile has taken nothing.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::outbox::{OutboxFull, OutboxLimits};

/// What is left of an outbox's bounds; a clone is the same.
#[derive(Clone, Debug)]
pub struct Room {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// Room for one entry, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    _messages: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Room {
    /// An empty outbox. Bounds over what a semaphore counts are taken as
    /// that.
    #[must_use]
    pub fn new(limits: OutboxLimits) -> Self {
        let semaphore =
            |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self { messages: semaphore(limits.max_messages), bytes: semaphore(limits.max_bytes) }
    }

    /// Waits at most `wait` for room for an entry of `bytes` payload bytes.
    ///
    /// # Errors
    ///
    /// [`OutboxFull`] if there was none in time, or never will be.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, nothing is taken.
    pub async fn reserve(&self, bytes: usize, wait: Duration) -> Result<Place, OutboxFull> {
        let bytes = u32::try_from(bytes).map_err(|_| OutboxFull)?;
        let places = async {
            let messages = Arc::clone(&self.messages).acquire_owned().await;
            let bytes = Arc::clone(&self.bytes).acquire_many_owned(bytes).await;
            // These are never closed.
            messages.and_then(|messages| Ok(Place { _messages: messages, _bytes: bytes? }))
        };
        match timeout(wait, places).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(OutboxFull),
        }
    }
}
