//! Faults between a client and a server, by rules.
//!
//! A [`Proxy`] stands between them, over TCP or over pipes, counts connections
//! and carries bytes. When a [`Rule`] matches, it does what the rule says at
//! exactly the byte that the rule names.

mod frames;
mod pipe;
mod proxy;
mod pump;

use std::sync::{Arc, Mutex, PoisonError};

pub use pipe::Pipe;
pub use proxy::Proxy;
pub use pump::Cut;

use crate::log::{EventLog, What};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a stream has two directions")]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// Where in a direction's bytes a rule strikes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum At {
    /// After this many bytes have passed, 0 for none.
    Byte(u64),
    /// In the middle of the payload of the n-th WebSocket frame after the
    /// opening handshake, counted from 0. A frame without a payload is never
    /// struck.
    Frame(u64),
    /// Before the next byte, whichever that is.
    Now,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// The client sees the connection reset; so does the server over TCP, and
    /// its stream ends over a pipe.
    Reset,
    /// Both sides see the stream end. Over TCP the system makes a reset of it
    /// where bytes were still unread.
    Close,
    /// Nothing passes any more in this direction; the connection stays open.
    Stall,
    /// From here on, every byte passes by itself.
    Slice,
    /// The bits of this mask are turned over in the next byte.
    Flip(u8),
}

/// One fault.
///
/// # Examples
///
/// ```
/// use realtime_sandbox::{Action, At, Direction, Rule};
///
/// // Cut the second connection inside the fourth message from the server.
/// let rule = Rule::new(Direction::ToClient, At::Frame(3), Action::Reset).connection(1);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    connection: Option<u64>,
    direction: Direction,
    at: At,
    action: Action,
    times: u64,
}

impl Rule {
    /// A fault that strikes the first connection that reaches it, once.
    #[must_use]
    pub const fn new(direction: Direction, at: At, action: Action) -> Self {
        Self { connection: None, direction, at, action, times: 1 }
    }

    /// Strikes only the n-th connection, counted from 0.
    #[must_use]
    pub const fn connection(mut self, number: u64) -> Self {
        self.connection = Some(number);
        self
    }

    /// Strikes this often in all, each connection at most once. Default 1.
    #[must_use]
    pub const fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }
}

/// The rules of a proxy, and what came of them. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
    log: EventLog,
}

#[derive(Debug, Default)]
struct Inner {
    rules: Vec<(Rule, u64)>,
    connections: u64,
    struck: u64,
}

impl Faults {
    /// Adds a rule; it holds from now on, also for open connections.
    pub fn add(&self, rule: Rule) {
        self.with(|inner| inner.rules.push((rule, 0)));
    }

    /// Returns how many faults have struck.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.with(|inner| inner.struck)
    }

    /// Returns how many connections came through.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.with(|inner| inner.connections)
    }

    /// Returns the log of what struck whom.
    #[must_use]
    pub const fn log(&self) -> &EventLog {
        &self.log
    }

    /// The number of a new connection.
    fn connect(&self) -> u64 {
        self.with(|inner| {
            inner.connections += 1;
            inner.connections - 1
        })
    }

    /// The rules that may still strike this direction of a connection.
    fn pending(&self, connection: u64, direction: Direction) -> Vec<Rule> {
        self.with(|inner| {
            let alive = inner.rules.iter().filter(|(rule, struck)| {
                *struck < rule.times
                    && rule.direction == direction
                    && rule.connection.is_none_or(|number| number == connection)
            });
            alive.map(|(rule, _)| *rule).collect()
        })
    }

    /// Lets `rule` strike, unless another connection was faster.
    fn strike(&self, rule: &Rule, connection: u64) -> bool {
        let struck = self.with(|inner| {
            let alive = |(r, struck): &&mut (Rule, u64)| r == rule && *struck < r.times;
            let found = inner.rules.iter_mut().find(alive);
            found.map(|(_, struck)| *struck += 1).map(|()| inner.struck += 1).is_some()
        });
        if struck {
            let text = format!("{:?} {:?} at {:?}", rule.action, rule.direction, rule.at);
            self.log.add(connection, What::Fault(text));
        }
        struck
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
