//! Keys and limits.

use std::time::Duration;

use crate::auditor::Auditor;

/// Keys and limits of the Satori RTM server. The keys are fixed, for they guard
/// nothing; of the limits, the history can be set.
///
/// # Examples
///
/// ```
/// let tiny = realtime_sandbox::RtmConfig::default().history(3);
/// ```
#[derive(Clone, Debug)]
pub struct RtmConfig {
    pub(crate) appkey: String,
    pub(crate) role: String,
    pub(crate) role_secret: String,
    pub(crate) restricted_channel: String,
    pub(crate) history: usize,
    pub(crate) max_message: usize,
    pub(crate) max_channels: usize,
    pub(crate) max_subscriptions: usize,
    pub(crate) max_connections: usize,
    pub(crate) handshake: Duration,
    pub(crate) send: Duration,
    pub(crate) auditor: Option<Auditor>,
}

impl Default for RtmConfig {
    fn default() -> Self {
        Self {
            appkey: "sandboxSandboxSandboxSandbox0001".into(),
            role: "tester".into(),
            role_secret: "sandbox-role-secret".into(),
            restricted_channel: "restricted".into(),
            history: 1000,
            max_message: 64 << 10,
            max_channels: 10_000,
            max_subscriptions: 1000,
            max_connections: 1024,
            handshake: Duration::from_secs(10),
            send: Duration::from_secs(300),
            auditor: None,
        }
    }
}

impl RtmConfig {
    /// Sets how many messages a channel keeps, at least 1. Default 1,000. A
    /// small number makes slow subscribers fall out of the history, as on a
    /// busy service.
    #[must_use]
    pub fn history(mut self, messages: usize) -> Self {
        self.history = messages.max(1);
        self
    }

    /// Lets `auditor` see every message that is stored.
    #[must_use]
    pub fn auditor(mut self, auditor: Auditor) -> Self {
        self.auditor = Some(auditor);
        self
    }
}
