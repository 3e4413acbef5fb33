//! The words in which every client tells how it is.

use std::time::Duration;

/// Where a client stands.
///
/// ```text
///   Idle --start--> Connecting --> Connected --lost--> Waiting --> Connecting
///                       \______________ stop __________/
///                                         v
///   close, from anywhere: Closed       Stopped --start--> Connecting
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// Never started.
    #[default]
    Idle,
    /// An attempt to connect is under way.
    Connecting,
    /// Connected and authenticated.
    Connected,
    /// The connection was lost or could not be made; the next attempt is timed.
    Waiting,
    /// Stopped by the application, or by an error that no retry can mend.
    Stopped,
    /// Closed for good.
    Closed,
}

/// What happened to a client. `E` is the client's error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<E> {
    /// An attempt to connect begins.
    Connecting {
        /// 0 for the first, then the number of failures before it.
        attempt: u32,
    },
    /// Connected and authenticated; subscriptions are being restored.
    Connected,
    /// The connection ended.
    Disconnected {
        /// Why; `None` if the application asked for it.
        cause: Option<E>,
    },
    /// The next attempt is timed.
    Waiting {
        /// How many attempts have failed.
        attempt: u32,
        /// Until the next attempt.
        delay: Duration,
        /// Why it is needed.
        cause: E,
    },
    /// A subscription may have missed messages.
    Gap {
        /// The subscription.
        subscription: String,
    },
    /// The service refused something that nobody waits for.
    Refused {
        /// What it said.
        cause: E,
    },
    /// The service sent what means nothing; the connection is kept.
    Warning {
        /// What was wrong with it.
        cause: E,
    },
    /// Something was dropped to keep within a bound.
    Dropped {
        /// What.
        what: Dropped,
        /// How many.
        count: u64,
    },
    /// The client is closed; nothing comes after this.
    Closed,
}

/// What a client had to drop.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Dropped {
    /// Events that this listener did not take in time.
    Events,
    /// Messages that a subscription's consumer did not take in time.
    Messages,
    /// Requests that were accepted and could not be settled.
    Requests,
}

/// Counters of one client since it was made. `E` is the client's error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats<E> {
    /// Connections that were usable.
    pub connects: u64,
    /// Messages received for subscriptions.
    pub messages_in: u64,
    /// Requests written to a connection, those sent again included.
    pub messages_out: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Payload bytes written.
    pub bytes_out: u64,
    /// Requests accepted and not settled.
    pub outbox_len: usize,
    /// Their payload bytes.
    pub outbox_bytes: usize,
    /// Messages and requests dropped to keep within a bound.
    pub dropped: u64,
    /// Gaps told to subscriptions.
    pub gaps: u64,
    /// Answers and messages that belong to nothing: too late, or never asked.
    pub strays: u64,
    /// The newest error of the connection.
    pub last_error: Option<E>,
}

impl<E> Default for Stats<E> {
    fn default() -> Self {
        Self {
            connects: 0,
            messages_in: 0,
            messages_out: 0,
            bytes_in: 0,
            bytes_out: 0,
            outbox_len: 0,
            outbox_bytes: 0,
            dropped: 0,
            gaps: 0,
            strays: 0,
            last_error: None,
        }
    }
}

/// What a client leaves behind when it is closed. The numbers count requests
/// over the client's whole life and add up to those accepted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Acknowledged by the service.
    pub acknowledged: u64,
    /// Handed to the connection without asking for an acknowledgement: whether
    /// they arrived, nobody says.
    pub written: u64,
    /// Refused by the service; the caller was told.
    pub refused: u64,
    /// Sent, never answered: the service may or may not have acted.
    pub unacknowledged: u64,
    /// Never sent.
    pub unsent: u64,
}

impl CloseReport {
    /// Returns whether every request that asked for an acknowledgement has its
    /// answer, and nothing was left unsent.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.unacknowledged == 0 && self.unsent == 0
    }

    /// Returns the number of requests that were accepted.
    #[must_use]
    pub const fn accepted(&self) -> u64 {
        self.acknowledged + self.written + self.refused + self.unacknowledged + self.unsent
    }
}
