//! What was accepted from the application and is not yet settled.
//!
//! An entry leaves only by [`Outbox::settle`], [`Outbox::expire`] or
//! [`Outbox::pop`], always into its owner's hands. A lost connection turns what
//! was in flight back into what waits, in the old order.
//!
//! ```text
//!  push       launch                settle
//!  ----> waiting ----> in flight ----------> gone
//!           ^------------'   rewind (connection lost)
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Instant,
};

/// Names an entry of an outbox; later entries have greater tokens.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token(u64);

/// Bounds of an outbox. Both apply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OutboxLimits {
    /// Most entries, waiting and in flight. Default 1,024.
    pub max_messages: usize,
    /// Most bytes of payload, waiting and in flight. Default 8 MiB.
    pub max_bytes: usize,
    /// Most entries in flight. Default 128.
    pub window: usize,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { max_messages: 1024, max_bytes: 8 << 20, window: 128 }
    }
}

impl OutboxLimits {
    /// Sets the most entries.
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

    /// Sets the most entries in flight, at least 1.
    #[must_use]
    pub const fn window(mut self, entries: usize) -> Self {
        self.window = entries;
        self
    }
}

/// The outbox has no room; the entry was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OutboxFull;

impl fmt::Display for OutboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the outbox is full")
    }
}

impl std::error::Error for OutboxFull {}

/// A bounded queue of requests that survives the connection.
#[derive(Debug)]
pub struct Outbox<T> {
    limits: OutboxLimits,
    entries: BTreeMap<u64, Entry<T>>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// Entries below are in flight, entries from here on wait.
    cursor: u64,
    next_token: u64,
    in_flight: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    bytes: usize,
    deadline: Option<Instant>,
}

impl<T> Outbox<T> {
    /// An empty outbox.
    #[must_use]
    pub const fn new(limits: OutboxLimits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            cursor: 0,
            next_token: 0,
            in_flight: 0,
            bytes: 0,
        }
    }

    /// Takes an entry of `bytes` payload bytes, to be settled by `deadline`.
    ///
    /// # Errors
    ///
    /// [`OutboxFull`] if it would go past a bound. An empty outbox takes an
    /// entry of any size up to `max_bytes`.
    pub fn push(
        &mut self,
        item: T,
        bytes: usize,
        deadline: Option<Instant>,
    ) -> Result<Token, OutboxFull> {
        if !self.has_room(bytes) {
            return Err(OutboxFull);
        }
        let token = self.next_token;
        self.next_token += 1;
        self.bytes += bytes;
        self.entries.insert(token, Entry { item, bytes, deadline });
        self.deadlines.extend(deadline.map(|at| (at, token)));
        Ok(Token(token))
    }

    /// Moves the oldest waiting entry into flight, if the window has room.
    pub fn launch(&mut self) -> Option<(Token, &mut T)> {
        if self.in_flight >= self.limits.window.max(1) {
            return None;
        }
        let (token, entry) = self.entries.range_mut(self.cursor..).next()?;
        self.cursor = token + 1;
        self.in_flight += 1;
        Some((Token(*token), &mut entry.item))
    }

    /// Returns whether an entry of `bytes` payload bytes would be taken.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.entries.len() < self.limits.max_messages
            && bytes <= self.limits.max_bytes.saturating_sub(self.bytes)
    }

    /// Returns whether an entry of `bytes` payload bytes would be taken if nothing
    /// waited.
    #[must_use]
    pub fn would_have_room(&self, bytes: usize) -> bool {
        let flying: usize = self.entries.range(..self.cursor).map(|(_, entry)| entry.bytes).sum();
        self.in_flight < self.limits.max_messages
            && bytes <= self.limits.max_bytes.saturating_sub(flying)
    }

    /// Returns an entry.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        self.entries.get_mut(&token.0).map(|entry| &mut entry.item)
    }

    /// Removes an entry: it is acknowledged, refused or given up.
    pub fn settle(&mut self, token: Token) -> Option<T> {
        let entry = self.entries.remove(&token.0)?;
        self.bytes -= entry.bytes;
        if token.0 < self.cursor {
            self.in_flight -= 1;
        }
        if let Some(at) = entry.deadline {
            self.deadlines.remove(&(at, token.0));
        }
        Some(entry.item)
    }

    /// The connection is lost: everything in flight waits again, in its order.
    pub fn rewind(&mut self) {
        self.cursor = self.entries.first_key_value().map_or(self.next_token, |(first, _)| *first);
        self.in_flight = 0;
    }

    /// Removes the entry whose deadline passed first.
    pub fn expire(&mut self, now: Instant) -> Option<(Token, T)> {
        let (at, token) = *self.deadlines.first()?;
        if at > now {
            return None;
        }
        let item = self.settle(Token(token))?;
        Some((Token(token), item))
    }

    /// Removes the oldest entry.
    pub fn pop(&mut self) -> Option<(Token, T)> {
        let token = *self.entries.first_key_value()?.0;
        let item = self.settle(Token(token))?;
        Some((Token(token), item))
    }

    /// Removes the oldest entry that waits, to make room.
    pub fn pop_waiting(&mut self) -> Option<(Token, T)> {
        let token = *self.entries.range(self.cursor..).next()?.0;
        let item = self.settle(Token(token))?;
        Some((Token(token), item))
    }

    /// Returns the next deadline.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Returns the number of entries, waiting and in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether everything is settled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the payload bytes of all entries.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn outbox() -> Outbox<u32> {
        Outbox::new(OutboxLimits::default().max_messages(4).max_bytes(100).window(2))
    }

    fn sent(outbox: &mut Outbox<u32>) -> Vec<u32> {
        std::iter::from_fn(|| outbox.launch().map(|(_, item)| *item)).collect()
    }

    #[test]
    fn is_bounded_by_count_and_by_bytes() {
        let mut outbox = outbox();
        for n in 0..4 {
            outbox.push(n, 1, None).unwrap();
        }
        assert_eq!(outbox.push(9, 1, None), Err(OutboxFull));
        let (token, _) = outbox.pop().unwrap();
        assert_eq!(outbox.settle(token), None);
        assert_eq!(outbox.push(9, 98, None), Err(OutboxFull));
        outbox.push(9, 97, None).unwrap();
        assert_eq!((outbox.len(), outbox.bytes()), (4, 100));
    }

    #[test]
    fn sends_within_the_window_and_again_in_order_after_a_loss() {
        let mut outbox = outbox();
        let tokens: Vec<Token> = (0..4).map(|n| outbox.push(n, 1, None).unwrap()).collect();
        assert_eq!(sent(&mut outbox), [0, 1]);
        outbox.settle(tokens[0]);
        assert_eq!(sent(&mut outbox), [2]);
        outbox.rewind();
        assert_eq!(sent(&mut outbox), [1, 2]);
        outbox.settle(tokens[2]);
        outbox.rewind();
        assert_eq!(sent(&mut outbox), [1, 3]);
        assert_eq!(outbox.pop_waiting(), None);
        outbox.push(4, 1, None).unwrap();
        outbox.push(5, 1, None).unwrap();
        assert_eq!(outbox.pop_waiting().map(|(_, item)| item), Some(4));
        assert_eq!(outbox.len(), 3);
    }

    #[test]
    fn gives_up_entries_by_their_deadline() {
        let (mut outbox, now) = (outbox(), Instant::now());
        let second = Duration::from_secs(1);
        outbox.push(0, 1, Some(now + 2 * second)).unwrap();
        outbox.push(1, 1, Some(now + second)).unwrap();
        outbox.push(2, 1, None).unwrap();
        assert_eq!(sent(&mut outbox), [0, 1]);
        assert_eq!(outbox.poll_timeout(), Some(now + second));
        assert_eq!(outbox.expire(now), None);
        for expected in [1, 0] {
            let expired = outbox.expire(now + 2 * second);
            assert_eq!(expired.map(|(_, item)| item), Some(expected));
        }
        assert_eq!((outbox.expire(now + 9 * second), outbox.poll_timeout()), (None, None));
        assert_eq!(sent(&mut outbox), [2]);
    }

    proptest! {
        /// Whatever happens to the connection, what is sent last settles in
        /// push order, and the counts agree with a plain list.
        #[test]
        fn agrees_with_a_list(ops in prop::collection::vec(0_u8..5, 0..200)) {
            let limits = OutboxLimits::default().max_messages(8).window(3);
            let mut outbox = Outbox::new(limits);
            let (mut waiting, mut flying) = (Vec::new(), Vec::<(Token, u32)>::new());
            for (n, op) in ops.into_iter().enumerate() {
                match op {
                    0 | 1 => {
                        let room = waiting.len() + flying.len() < 8;
                        let pushed = outbox.push(n as u32, 1, None);
                        prop_assert_eq!(pushed.is_ok(), room);
                        if room { waiting.push(n as u32); }
                    }
                    2 => {
                        let next = outbox.launch().map(|(token, item)| (token, *item));
                        let expect = flying.len() < 3 && !waiting.is_empty();
                        prop_assert_eq!(next.is_some(), expect);
                        if let Some((token, item)) = next {
                            prop_assert_eq!(item, waiting.remove(0));
                            flying.push((token, item));
                        }
                    }
                    3 if !flying.is_empty() => {
                        let (token, item) = flying.remove(n % flying.len());
                        prop_assert_eq!(outbox.settle(token), Some(item));
                    }
                    4 => {
                        outbox.rewind();
                        let again = flying.drain(..).map(|(_, item)| item);
                        waiting.splice(0..0, again.collect::<Vec<_>>());
                    }
                    _ => {}
                }
                prop_assert_eq!(outbox.len(), waiting.len() + flying.len());
                prop_assert_eq!(outbox.bytes(), outbox.len());
            }
        }
    }
}
