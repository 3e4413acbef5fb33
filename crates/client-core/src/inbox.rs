//! A bounded queue between a driver and one consumer.
//!
//! What happens when the consumer is slower than the service is the
//! [`Overflow`] policy; nothing is ever dropped without the consumer being
//! told how much.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// What happens when an inbox is full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Overflow {
    /// The driver stops reading until there is room: TCP makes the service
    /// wait. Everything else on the same connection waits too, answers to
    /// requests included: a consumer that awaits a request of the same client
    /// between two messages can time out under a backlog. Let it consume in a
    /// task of its own, use a second client, or choose another policy.
    #[default]
    Block,
    /// The oldest messages make room; the consumer is told how many.
    DropOldest,
    /// The subscription ends with an error; others go on.
    Error,
}

/// Bounds of an inbox. Both apply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboxLimits {
    /// Most messages. Default 1,024.
    pub max_messages: usize,
    /// Most bytes of payload. Default 4 MiB.
    pub max_bytes: usize,
}

impl Default for InboxLimits {
    fn default() -> Self {
        Self { max_messages: 1024, max_bytes: 4 << 20 }
    }
}

impl InboxLimits {
    /// Sets the most messages.
    #[must_use]
    pub const fn max_messages(mut self, messages: usize) -> Self {
        self.max_messages = messages;
        self
    }

    /// Sets the most bytes of payload.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

/// What a consumer takes out.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a message, or the count of those that are missing")]
pub enum Received<T> {
    /// A message.
    Item(T),
    /// This many messages were dropped here, under [`Overflow::DropOldest`].
    Dropped(u64),
}

/// Makes an inbox.
#[must_use]
pub fn inbox<T>(limits: InboxLimits, overflow: Overflow) -> (Writer<T>, Reader<T>) {
    let shared = Arc::new(Mutex::new(Shared {
        limits,
        overflow,
        items: VecDeque::new(),
        notices: 0,
        bytes: 0,
        dropped: 0,
        closed: false,
        abandoned: false,
        reader: None,
        writer: None,
    }));
    (Writer { shared: Arc::clone(&shared) }, Reader { shared })
}

/// Notices that wait to be read. More of them go where messages are dropped anyway.
const MAX_NOTICES: usize = 16;

#[derive(Debug)]
struct Item<T> {
    item: T,
    bytes: usize,
    /// About the stream: it is not dropped for a message.
    is_notice: bool,
}

#[derive(Debug)]
struct Shared<T> {
    limits: InboxLimits,
    overflow: Overflow,
    items: VecDeque<Item<T>>,
    notices: usize,
    bytes: usize,
    /// Dropped since the consumer was last told; they lie before the front.
    dropped: u64,
    closed: bool,
    abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl<T> Shared<T> {
    fn is_full(&self) -> bool {
        !self.items.is_empty()
            && (self.items.len() >= self.limits.max_messages || self.bytes >= self.limits.max_bytes)
    }

    fn would_overflow(&self, bytes: usize) -> bool {
        !self.items.is_empty()
            && (self.items.len() >= self.limits.max_messages
                || self.bytes + bytes > self.limits.max_bytes)
    }

    fn pop(&mut self) -> Option<T> {
        let Item { item, bytes, is_notice } = self.items.pop_front()?;
        self.bytes -= bytes;
        self.notices -= usize::from(is_notice);
        Some(item)
    }

    /// Drops the oldest message; returns how many that are. Notices stay, but not
    /// without bound.
    fn evict(&mut self) -> u64 {
        if self.notices > MAX_NOTICES {
            drop(self.pop_first(true));
        }
        u64::from(self.pop_first(false).is_some())
    }

    fn pop_first(&mut self, notice: bool) -> Option<T> {
        let at = self.items.iter().position(|item| item.is_notice == notice)?;
        let Item { item, bytes, is_notice } = self.items.remove(at)?;
        self.bytes -= bytes;
        self.notices -= usize::from(is_notice);
        Some(item)
    }
}

/// The driver's end. Dropping it ends the consumer's stream after the last
/// message.
#[derive(Debug)]
pub struct Writer<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

impl<T> Writer<T> {
    /// Stores a message of `bytes` payload bytes.
    ///
    /// Under [`Overflow::Block`] the message is always stored: whoever writes
    /// asks [`poll_room`](Self::poll_room) before it reads the next batch from
    /// its socket, so the inbox exceeds its bounds by one batch at most.
    ///
    /// Returns how many older messages were dropped to make room.
    ///
    /// # Errors
    ///
    /// Gives the message back under [`Overflow::Error`] when the inbox is full.
    pub fn push(&self, item: T, bytes: usize) -> Result<u64, T> {
        let mut shared = lock(&self.shared);
        let mut dropped = 0;
        match shared.overflow {
            Overflow::Block => {}
            Overflow::Error if shared.would_overflow(bytes) => return Err(item),
            Overflow::Error => {}
            Overflow::DropOldest => {
                while shared.would_overflow(bytes) {
                    match shared.evict() {
                        // Nothing but notices is left.
                        0 => break,
                        evicted => dropped += evicted,
                    }
                }
                shared.dropped += dropped;
            }
        }
        shared.items.push_back(Item { item, bytes, is_notice: false });
        shared.bytes += bytes;
        wake(shared, |s| s.reader.take());
        Ok(dropped)
    }

    /// Stores a notice to the consumer about its stream, whatever the bounds
    /// say. `merge` is given the newest item and returns whether it took the
    /// notice in: notices in a row then cost one place.
    pub fn push_notice(&self, notice: T, merge: impl FnOnce(&mut T, &T) -> bool) {
        let mut shared = lock(&self.shared);
        let merged = shared.items.back_mut().is_some_and(|last| merge(&mut last.item, &notice));
        if !merged {
            shared.items.push_back(Item { item: notice, bytes: 0, is_notice: true });
            shared.notices += 1;
        }
        wake(shared, |s| s.reader.take());
    }

    /// Waits for room; always ready unless the policy is [`Overflow::Block`].
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut shared = lock(&self.shared);
        if shared.overflow != Overflow::Block || !shared.is_full() || shared.abandoned {
            return Poll::Ready(());
        }
        shared.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Returns whether [`poll_room`](Self::poll_room) would wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let shared = lock(&self.shared);
        shared.overflow == Overflow::Block && shared.is_full() && !shared.abandoned
    }

    /// Returns whether the consumer is gone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        lock(&self.shared).abandoned
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.closed = true;
        wake(shared, |s| s.reader.take());
    }
}

/// The consumer's end. Dropping it throws away what it holds.
#[derive(Debug)]
pub struct Reader<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

impl<T> Reader<T> {
    /// Takes the next message; `None` after the last one of a closed inbox.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Received<T>>> {
        let mut shared = lock(&self.shared);
        if shared.dropped > 0 {
            let dropped = std::mem::take(&mut shared.dropped);
            return Poll::Ready(Some(Received::Dropped(dropped)));
        }
        if let Some(item) = shared.pop() {
            // Who writes waits for room, and not for every message that is taken.
            wake(shared, |s| if s.is_full() { None } else { s.writer.take() });
            return Poll::Ready(Some(Received::Item(item)));
        }
        if shared.closed {
            return Poll::Ready(None);
        }
        shared.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.abandoned = true;
        let items = std::mem::take(&mut shared.items);
        (shared.bytes, shared.notices) = (0, 0);
        wake(shared, |s| s.writer.take());
        // Destructors of the application run outside the lock.
        drop(items);
    }
}

fn lock<T>(shared: &Mutex<Shared<T>>) -> MutexGuard<'_, Shared<T>> {
    // No code of others runs under the lock, so a poisoned one is still whole.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes outside the lock: a waker may run anything.
fn wake<T>(
    mut shared: MutexGuard<'_, Shared<T>>,
    which: impl FnOnce(&mut Shared<T>) -> Option<Waker>,
) {
    let waker = which(&mut shared);
    drop(shared);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: InboxLimits = InboxLimits { max_messages: 3, max_bytes: 100 };

    fn recv<T>(reader: &mut Reader<T>) -> Poll<Option<Received<T>>> {
        reader.poll_recv(&mut Context::from_waker(Waker::noop()))
    }

    fn room<T>(writer: &Writer<T>) -> bool {
        writer.poll_room(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn block_makes_the_writer_wait_for_room_by_count_and_by_bytes() {
        let (writer, mut reader) = inbox(LIMITS, Overflow::Block);
        for n in 0..3 {
            assert!(room(&writer));
            assert_eq!(writer.push(n, 1), Ok(0));
        }
        assert!(!room(&writer));
        assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Item(0))));
        assert!(room(&writer));
        assert_eq!(writer.push(3, 100), Ok(0));
        assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Item(1))));
        assert!(!room(&writer));
        drop(reader);
        assert!(room(&writer) && writer.is_abandoned());
    }

    #[test]
    fn drop_oldest_tells_exactly_how_many() {
        let (writer, mut reader) = inbox(LIMITS, Overflow::DropOldest);
        let dropped: u64 = (0..10).map(|n| writer.push(n, 1).unwrap()).sum();
        assert_eq!(dropped, 7);
        assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Dropped(7))));
        for n in 7..10 {
            assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Item(n))));
        }
        assert_eq!(recv(&mut reader), Poll::Pending);
    }

    #[test]
    fn a_notice_is_not_dropped_for_a_message() {
        let (writer, mut reader) = inbox(LIMITS, Overflow::DropOldest);
        for n in 1..=2 {
            assert_eq!(writer.push(n, 1), Ok(0));
        }
        writer.push_notice(-1, |_, _| false);
        let dropped: u64 = (7..10).map(|n| writer.push(n, 1).unwrap()).sum();
        assert_eq!(dropped, 3);
        assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Dropped(3))));
        assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Item(-1))));
        for n in 8..10 {
            assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Item(n))));
        }
        for _ in 0..1000 {
            writer.push_notice(-1, |_, _| false);
            writer.push(1, 1).unwrap();
        }
        let mut waiting = 0;
        while let Poll::Ready(Some(_)) = recv(&mut reader) {
            waiting += 1;
        }
        assert!(waiting < 30, "{waiting}");
    }

    #[test]
    fn error_gives_the_message_back() {
        let (writer, mut reader) = inbox(LIMITS, Overflow::Error);
        assert_eq!(writer.push(0, 500), Ok(0));
        assert_eq!(writer.push(1, 1), Err(1));
        assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Item(0))));
        assert_eq!(writer.push(2, 1), Ok(0));
    }

    #[test]
    fn a_bound_of_nothing_still_lets_one_message_through_at_a_time() {
        let none = InboxLimits { max_messages: 0, max_bytes: 0 };
        let (writer, mut reader) = inbox(none, Overflow::Block);
        assert!(room(&writer));
        writer.push(1, 1).unwrap();
        assert!(!room(&writer));
        assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Item(1))));
        assert!(room(&writer));
    }

    #[test]
    fn a_closed_inbox_is_read_to_its_end() {
        let (writer, mut reader) = inbox(LIMITS, Overflow::Block);
        writer.push(1, 1).unwrap();
        for n in 2..9 {
            let sum = |last: &mut i32, n: &i32| {
                *last += n;
                *last > 2
            };
            writer.push_notice(n, |last, n| *last != 1 && sum(last, n));
        }
        drop(writer);
        assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Item(1))));
        assert_eq!(recv(&mut reader), Poll::Ready(Some(Received::Item(35))));
        assert_eq!(recv(&mut reader), Poll::Ready(None));
        assert_eq!(recv(&mut reader), Poll::Ready(None));
    }
}
