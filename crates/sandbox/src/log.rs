//! What happened, in order, for tests to assert on.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// Entries kept; the oldest go first.
const KEPT: usize = 10_000;

/// One thing that happened.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Counts the connections of one server or proxy, from 0.
    pub connection: u64,
    /// What happened.
    pub what: What,
}

/// The kinds of entry.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum What {
    /// A WebSocket was opened.
    Opened,
    /// A WebSocket was refused with this HTTP status.
    Refused(u16),
    /// A request arrived: its action.
    Received(String),
    /// A message was sent: its action.
    Sent(String),
    /// The connection ended.
    Ended,
    /// The fault proxy did something to the connection.
    Fault(String),
}

/// A log that all parts of a sandbox write to. A clone is the same log.
#[derive(Clone, Debug, Default)]
pub struct EventLog(Arc<Mutex<VecDeque<Entry>>>);

impl EventLog {
    /// Returns the last 10,000 entries, the oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Returns how many entries `matches` holds for.
    #[must_use]
    pub fn count(&self, matches: impl Fn(&What) -> bool) -> usize {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().filter(|entry| matches(&entry.what)).count()
    }

    /// A client chooses its actions, and the log keeps thousands of them: they
    /// are cut at 80 characters.
    pub(crate) fn add(&self, connection: u64, what: What) {
        let cut = |action: String| action.chars().take(80).collect();
        let what = match what {
            What::Received(action) => What::Received(cut(action)),
            What::Sent(action) => What::Sent(cut(action)),
            what => what,
        };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(Entry { connection, what });
    }
}
