//! Keys and limits.

use std::time::Duration;

use crate::auditor::Auditor;

/// Keys and limits of the Stream-sea server.
///
/// # Examples
///
/// ```
/// let config = realtime_sandbox::StreamSeaConfig::default().stream("tides");
/// ```
#[derive(Clone, Debug)]
pub struct StreamSeaConfig {
    pub(super) jail: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) streams: Vec<String>,
    pub(super) max_body: usize,
    pub(super) max_message: usize,
    /// Jails, clients and streams, each.
    pub(super) max_entries: usize,
    pub(super) max_subscriptions: usize,
    pub(super) max_connections: usize,
    pub(super) max_queue: usize,
    pub(super) max_queue_bytes: usize,
    pub(super) handshake: Duration,
    pub(super) authenticate: Duration,
    pub(super) send: Duration,
    pub(super) ping: Duration,
    pub(super) auditor: Option<Auditor>,
}

impl Default for StreamSeaConfig {
    fn default() -> Self {
        Self {
            jail: "sandbox".into(),
            client_id: "app123".into(),
            client_secret: "01234567890123456789".into(),
            streams: Vec::new(),
            max_body: 10 << 20,
            max_message: 64 << 10,
            max_entries: 10_000,
            max_subscriptions: 1000,
            max_connections: 1024,
            max_queue: 1000,
            max_queue_bytes: 8 << 20,
            handshake: Duration::from_secs(10),
            authenticate: Duration::from_secs(10),
            send: Duration::from_secs(300),
            ping: Duration::from_secs(25),
            auditor: None,
        }
    }
}

impl StreamSeaConfig {
    /// Sets the first client. Default `app123` with `01234567890123456789`.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.client_id = id.into();
        self.client_secret = secret.into();
        self
    }

    /// Sets the first client's jail. Default `sandbox`.
    #[must_use]
    pub fn jail(mut self, id: impl Into<String>) -> Self {
        self.jail = id.into();
        self
    }

    /// Has a stream from the start, whose schema is of version 1 and knows no field.
    #[must_use]
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.streams.push(name.into());
        self
    }

    /// Sets how many messages may wait for a subscriber who does not read, and how
    /// many bytes; his connection is closed at more. Default 1,000 and 8 MiB.
    #[must_use]
    pub const fn queue(mut self, messages: usize, bytes: usize) -> Self {
        self.max_queue = messages;
        self.max_queue_bytes = bytes;
        self
    }

    /// Sets how often subscribers are pinged; one that leaves two pings unanswered is
    /// dropped. Default 25 s.
    #[must_use]
    pub const fn ping(mut self, every: Duration) -> Self {
        self.ping = every;
        self
    }

    /// Lets `auditor` see every payload that is published, as it was written.
    #[must_use]
    pub fn auditor(mut self, auditor: Auditor) -> Self {
        self.auditor = Some(auditor);
        self
    }
}
