//! Keys, roles and limits.

use std::{collections::BTreeMap, time::Duration};

use crate::auditor::Auditor;

/// Keys, roles and limits of the Satori RTM server. The keys guard nothing: they are
/// the same in every sandbox.
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
    pub(crate) restricted_channel: String,
    /// Roles and their secrets.
    pub(crate) roles: BTreeMap<String, String>,
    /// Channels that only some roles may use, and how.
    pub(crate) restricted: BTreeMap<String, BTreeMap<String, RtmRights>>,
    pub(crate) text_frames: bool,
    pub(crate) cbor: bool,
    pub(crate) history: usize,
    pub(crate) max_message: usize,
    pub(crate) max_channels: usize,
    pub(crate) max_subscriptions: usize,
    pub(crate) max_connections: usize,
    pub(crate) handshake: Duration,
    pub(crate) send: Duration,
    pub(crate) auditor: Option<Auditor>,
}

/// What a role may do on a channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RtmRights {
    /// Subscribe and read.
    Subscribe,
    /// Publish, write and delete.
    Publish,
    /// Both.
    All,
}

impl Default for RtmConfig {
    fn default() -> Self {
        let config = Self {
            appkey: "sandboxSandboxSandboxSandbox0001".into(),
            role: "tester".into(),
            restricted_channel: "restricted".into(),
            roles: BTreeMap::new(),
            restricted: BTreeMap::new(),
            text_frames: false,
            cbor: true,
            history: 1000,
            max_message: 64 << 10,
            max_channels: 10_000,
            max_subscriptions: 1000,
            max_connections: 1024,
            handshake: Duration::from_secs(10),
            send: Duration::from_secs(300),
            auditor: None,
        };
        config.role("tester", "sandbox-role-secret").restrict(
            "restricted",
            "tester",
            RtmRights::All,
        )
    }
}

impl RtmConfig {
    /// Adds a role. There is one already: `tester`, who may use the channel
    /// `restricted`.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>, secret: impl Into<String>) -> Self {
        self.roles.insert(role.into(), secret.into());
        self
    }

    /// Restricts a channel to those roles for which this is called, each to its rights.
    #[must_use]
    pub fn restrict(
        mut self,
        channel: impl Into<String>,
        role: impl Into<String>,
        rights: RtmRights,
    ) -> Self {
        self.restricted.entry(channel.into()).or_default().insert(role.into(), rights);
        self
    }

    /// Takes CBOR in text frames, too, as the original's Python client sends it: RFC
    /// 6455 forbids that.
    #[must_use]
    pub const fn text_frames(mut self) -> Self {
        self.text_frames = true;
        self
    }

    /// Speaks JSON alone, whatever a client offers, as some compatible servers do.
    #[must_use]
    pub const fn without_cbor(mut self) -> Self {
        self.cbor = false;
        self
    }

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

    /// Whether one who has `roles` may do on `channel` what `needed` says.
    pub(super) fn allows<'a>(
        &self,
        channel: &str,
        mut roles: impl Iterator<Item = &'a String>,
        needed: RtmRights,
    ) -> bool {
        let Some(allowed) = self.restricted.get(channel) else { return true };
        roles.any(|role| {
            allowed.get(role).is_some_and(|rights| *rights == RtmRights::All || *rights == needed)
        })
    }
}
