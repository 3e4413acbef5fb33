//! Whoever wants to hear what one driver tells.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::inbox::{InboxLimits, Overflow, Reader, Writer, inbox};

/// What one listener may leave unread before the oldest is dropped.
pub(crate) const UNREAD: usize = 256;

/// All listeners of one driver; a clone is the same.
pub struct Listeners<T>(Arc<Mutex<List<T>>>);

struct List<T> {
    writers: Vec<Writer<T>>,
    ended: bool,
}

impl<T: Clone> Listeners<T> {
    /// Nobody listens.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(List { writers: Vec::new(), ended: false })))
    }

    /// Opens a stream of what is told from now on. It ends with the driver; who falls
    /// 256 behind loses the oldest, and is told how many.
    #[must_use]
    pub fn listen(&self) -> Reader<T> {
        let limits = InboxLimits::default().max_messages(UNREAD);
        let (writer, reader) = inbox(limits, Overflow::DropOldest);
        let mut list = self.lock();
        list.writers.retain(|writer| !writer.is_abandoned());
        if !list.ended {
            list.writers.push(writer);
        }
        reader
    }

    /// Returns whether anybody may listen: if not, there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().writers.is_empty()
    }

    /// Tells everyone. Only the driver tells, one thing after the other.
    pub fn tell(&self, what: &T) {
        // Out of the lock: a push wakes, and a waker may run anything.
        let mut writers = std::mem::take(&mut self.lock().writers);
        writers.retain(|writer| {
            // Under `DropOldest` a push is never refused.
            let _dropped = writer.push(what.clone(), 0);
            !writer.is_abandoned()
        });
        let mut list = self.lock();
        if !list.ended {
            list.writers.append(&mut writers);
        }
    }

    /// Ends all streams: nothing is told any more.
    pub fn end(&self) {
        let mut list = self.lock();
        list.ended = true;
        let writers = std::mem::take(&mut list.writers);
        drop(list);
        // Dropping a writer wakes its reader.
        drop(writers);
    }

    fn lock(&self) -> MutexGuard<'_, List<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Default for Listeners<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Listeners<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Listeners<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").finish_non_exhaustive()
    }
}
