//! Options, their defaults and their ranges.

use std::{fmt, time::Duration};

/// Whose behaviour a client sees, where the original's document and its code differ.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Compat {
    /// The document's: a published star reaches every room that it covers, each
    /// subscription once a trigger; the first frame says `is_authenticated` as well as
    /// `is_authorized`.
    #[default]
    Document,
    /// The Python server's of version 3.1, byte for byte: a published star is a star, the
    /// first frame has `is_authorized` alone, and a malformed message ends the
    /// connection.
    V3_1,
}

/// What happens to a client that does not read what it is sent.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Overflow {
    /// Its connection ends: it comes back, and knows that something is missing.
    #[default]
    Disconnect,
    /// The oldest publications are dropped; it does not know.
    DropOldest,
}

/// How a server behaves.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use high_templar::{Compat, Config};
///
/// let config = Config::new().compat(Compat::V3_1).idle_timeout(Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) compat: Compat,
    pub(crate) overflow: Overflow,
    pub(crate) max_connections: usize,
    pub(crate) max_subscriptions: usize,
    pub(crate) max_message: usize,
    pub(crate) max_room: usize,
    pub(crate) max_trigger: usize,
    pub(crate) max_trigger_rooms: usize,
    pub(crate) max_queue: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) bootstrap_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) echo_request_id: bool,
    pub(crate) trigger_token: Option<client_core::Secret>,
    pub(crate) triggers_here: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            compat: Compat::Document,
            overflow: Overflow::Disconnect,
            max_connections: 20_000,
            max_subscriptions: 10_000,
            max_message: 16 << 20,
            max_room: 64 << 10,
            max_trigger: 1 << 20,
            max_trigger_rooms: 10_000,
            max_queue: 1 << 20,
            handshake_timeout: Duration::from_secs(10),
            bootstrap_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(300),
            close_timeout: Duration::from_secs(3),
            grace: Duration::from_secs(3),
            echo_request_id: false,
            trigger_token: None,
            triggers_here: true,
        }
    }

    /// Sets whose behaviour clients see. Default: the document's.
    #[must_use]
    pub const fn compat(mut self, compat: Compat) -> Self {
        self.compat = compat;
        self
    }

    /// Sets what happens to a client that does not read. Default: its connection ends.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets how many connections there may be at a time; more are closed at once.
    /// Publishers have 1,000 of their own where there is an internal listener.
    /// Default 20,000; 1 to 1,000,000.
    #[must_use]
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets how many rooms one connection may be in; more are refused with
    /// `too-many-subscriptions`, and so are rooms of more than 4 MiB of JSON together.
    /// Default 10,000; 1 to 1,000,000.
    #[must_use]
    pub const fn max_subscriptions(mut self, rooms: usize) -> Self {
        self.max_subscriptions = rooms;
        self
    }

    /// Sets how many rooms one trigger may name, each as often as it does; more are
    /// refused with HTTP 400, and so are more than 100 different stars, which are looked
    /// for among all rooms. Default 10,000; 1 to 1,000,000.
    #[must_use]
    pub const fn max_trigger_rooms(mut self, rooms: usize) -> Self {
        self.max_trigger_rooms = rooms;
        self
    }

    /// Sets the largest message of a client, in bytes; a larger one ends the connection
    /// with code 1009. Default 16 MiB; 1 KiB to 1 GiB.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Sets the largest room, in bytes of JSON; a larger one is refused with
    /// `room-too-large`. Default 64 KiB; 1 KiB to 1 GiB.
    #[must_use]
    pub const fn max_room(mut self, bytes: usize) -> Self {
        self.max_room = bytes;
        self
    }

    /// Sets the largest trigger over HTTP, in bytes; a larger one is answered 413.
    /// Default 1 MiB.
    #[must_use]
    pub const fn max_trigger(mut self, bytes: usize) -> Self {
        self.max_trigger = bytes;
        self
    }

    /// Sets how many bytes may wait for one connection, beside 64 KiB on their way to the
    /// network; a single message may be longer. Default 1 MiB.
    #[must_use]
    pub const fn max_queue(mut self, bytes: usize) -> Self {
        self.max_queue = bytes;
        self
    }

    /// Sets how long a client may take to say what it wants, and as
    /// long again for TLS and for the opening request. Default 10 s; 1 ms to 1 day.
    #[must_use]
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets how long the backend may take to say who a user is; then the handshake is
    /// answered 504; bounds each hook and the body of a trigger as well. Default 30 s; 1 ms
    /// to 1 day.
    #[must_use]
    pub const fn bootstrap_timeout(mut self, timeout: Duration) -> Self {
        self.bootstrap_timeout = timeout;
        self
    }

    /// Sets how long a client may say nothing: pings of WebSocket do not count, the text
    /// `ping` does. Default 300 s; 1 ms to 1 day.
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets how long a client may take to answer a close. Default 3 s; at most 1 day.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Sets how long connections stay usable when the server stops. Default 3 s; at
    /// most 1 day.
    #[must_use]
    pub const fn grace(mut self, wait: Duration) -> Self {
        self.grace = wait;
        self
    }

    /// Answers with the `requestId` of the request in front, as servers of 2.x did.
    /// Clients of 3.x do not look at it. Default off.
    #[must_use]
    pub const fn echo_request_id(mut self) -> Self {
        self.echo_request_id = true;
        self
    }

    /// Wants `Authorization: Bearer ..` with triggers, and with the status page; who does
    /// not send it is answered 401. Default: nobody is asked.
    #[must_use]
    pub fn trigger_token(mut self, token: impl Into<String>) -> Self {
        self.trigger_token = Some(client_core::Secret::new(token.into()));
        self
    }

    /// Takes triggers and shows the status only where
    /// [`Server::serve_internal`](crate::Server::serve_internal) is called, and not where
    /// clients come in.
    #[must_use]
    pub const fn internal_triggers(mut self) -> Self {
        self.triggers_here = false;
        self
    }

    /// Checks every option once.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if let Some(token) = &self.trigger_token {
            let is_printable = token.reveal().iter().all(|b| (b'!'..=b'~').contains(b));
            if token.reveal().is_empty() || !is_printable {
                let reason = "takes printable ASCII without spaces, and not nothing";
                return Err(ConfigError::new("trigger_token", reason));
            }
        }
        for (option, time) in [("close_timeout", self.close_timeout), ("grace", self.grace)] {
            if time > Duration::from_secs(86_400) {
                return Err(ConfigError::new(option, "takes at most 1 day"));
            }
        }
        let times = [
            ("handshake_timeout", self.handshake_timeout),
            ("bootstrap_timeout", self.bootstrap_timeout),
            ("idle_timeout", self.idle_timeout),
        ];
        for (option, time) in times {
            if time < Duration::from_millis(1) || time > Duration::from_secs(86_400) {
                return Err(ConfigError::new(option, "takes 1 ms to 1 day"));
            }
        }
        let sizes = [
            ("max_message", self.max_message),
            ("max_room", self.max_room),
            ("max_trigger", self.max_trigger),
            ("max_queue", self.max_queue),
        ];
        for (option, size) in sizes {
            if !(1 << 10..=1 << 30).contains(&size) {
                return Err(ConfigError::new(option, "takes 1 KiB to 1 GiB"));
            }
        }
        for (option, count) in [
            ("max_connections", self.max_connections),
            ("max_subscriptions", self.max_subscriptions),
            ("max_trigger_rooms", self.max_trigger_rooms),
        ] {
            if !(1..=1_000_000).contains(&count) {
                return Err(ConfigError::new(option, "takes 1 to 1,000,000"));
            }
        }
        Ok(())
    }
}

/// An option that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The option, as it is called in a configuration file.
    pub option: &'static str,
    /// Why.
    pub reason: String,
}

impl ConfigError {
    pub(crate) fn new(option: &'static str, reason: impl Into<String>) -> Self {
        Self { option, reason: reason.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "option {}: {}", self.option, self.reason)
    }
}

impl std::error::Error for ConfigError {}
