//! Keys and limits.

use std::time::Duration;

use crate::auditor::Auditor;

/// Keys and limits of the emitter broker.
///
/// # Examples
///
/// ```
/// let config = realtime_sandbox::EmitterConfig::default().key("k3y", "rooms/#/", "rwlsp");
/// ```
#[derive(Clone, Debug)]
pub struct EmitterConfig {
    pub(super) secret_key: String,
    pub(super) channel: String,
    pub(super) channel_key: String,
    /// Key, target, permissions.
    pub(super) keys: Vec<(String, String, String)>,
    pub(super) mqtt_matcher: bool,
    pub(super) max_packet: usize,
    pub(super) max_connections: usize,
    pub(super) max_subscriptions: usize,
    pub(super) max_queue_bytes: usize,
    pub(super) handshake: Duration,
    pub(super) idle: Duration,
    pub(super) send: Duration,
    pub(super) auditor: Option<Auditor>,
}

impl Default for EmitterConfig {
    fn default() -> Self {
        Self {
            secret_key: "sandbox-secret-key-of-32-letters".into(),
            channel: "demo/".into(),
            channel_key: "sandbox-demo-key-rwslp-32-letter".into(),
            keys: Vec::new(),
            mqtt_matcher: false,
            max_packet: 65_536,
            max_connections: 1100,
            max_subscriptions: 10_000,
            max_queue_bytes: 4 << 20,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            send: Duration::from_secs(300),
            auditor: None,
        }
    }
}

impl EmitterConfig {
    /// Sets the master key, which makes and bans keys.
    #[must_use]
    pub fn secret_key(mut self, key: impl Into<String>) -> Self {
        self.secret_key = key.into();
        self
    }

    /// Adds a channel key with a name of your own, `target` with its slash at the end.
    #[must_use]
    pub fn key(
        mut self,
        key: impl Into<String>,
        target: impl Into<String>,
        permissions: impl Into<String>,
    ) -> Self {
        self.keys.push((key.into(), target.into(), permissions.into()));
        self
    }

    /// Matches as MQTT does, as a broker can be configured to: exact depth, and `#` at
    /// the end. By default a filter matches everything below it.
    #[must_use]
    pub const fn mqtt_matcher(mut self) -> Self {
        self.mqtt_matcher = true;
        self
    }

    /// Sets how many connections are served at a time. Default 1,100.
    #[must_use]
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets after how long without a packet a client is dropped. Default 120 s.
    #[must_use]
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Writes every message that is published into the books of `auditor`: what is
    /// accepted from a publisher, under the channel's name.
    #[must_use]
    pub fn auditor(mut self, auditor: Auditor) -> Self {
        self.auditor = Some(auditor);
        self
    }
}
