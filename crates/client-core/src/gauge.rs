//! Room in an outbox, reserved by whoever hands something over, before the outbox's
//! owner sees it: a call that finds no room knows at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::outbox::{OutboxFull, OutboxLimits};

/// How full an outbox is, what is on the way to it included. A clone is the same.
#[derive(Clone, Debug)]
pub struct Gauge {
    limits: OutboxLimits,
    level: Arc<Level>,
}

#[derive(Debug, Default)]
struct Level {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

/// Room for one entry, given back when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    level: Arc<Level>,
    bytes: usize,
}

impl Gauge {
    /// An empty outbox.
    #[must_use]
    pub fn new(limits: OutboxLimits) -> Self {
        Self { limits, level: Arc::default() }
    }

    /// Reserves room for an entry of `bytes` payload bytes.
    ///
    /// # Errors
    ///
    /// [`OutboxFull`] if it would go past a bound.
    pub fn reserve(&self, bytes: usize) -> Result<Reserved, OutboxFull> {
        take(&self.level.messages, 1, self.limits.max_messages)?;
        // Dropped on the way out, it gives back what it has.
        let mut reserved = Reserved { level: Arc::clone(&self.level), bytes: 0 };
        take(&self.level.bytes, bytes, self.limits.max_bytes)?;
        reserved.bytes = bytes;
        Ok(reserved)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.level.messages.fetch_sub(1, Relaxed);
        self.level.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

fn take(of: &AtomicUsize, more: usize, most: usize) -> Result<(), OutboxFull> {
    let room = |level: usize| level.checked_add(more).filter(|level| *level <= most);
    of.fetch_update(Relaxed, Relaxed, room).map(drop).map_err(|_| OutboxFull)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_hold_and_room_comes_back() {
        let gauge = Gauge::new(OutboxLimits::default().max_messages(2).max_bytes(10));
        let first = gauge.reserve(6).unwrap();
        gauge.reserve(5).unwrap_err();
        let second = gauge.reserve(4).unwrap();
        gauge.reserve(0).unwrap_err();
        drop(first);
        gauge.reserve(7).unwrap_err();
        drop((gauge.reserve(6).unwrap(), second));
        drop((gauge.reserve(10).unwrap(), gauge.clone()));
        gauge.reserve(usize::MAX).unwrap_err();
        gauge.reserve(10).unwrap();
    }
}
