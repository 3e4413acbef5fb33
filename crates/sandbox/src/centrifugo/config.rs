//! Which Centrifugo it is, with which keys, channels and limits.

use std::{collections::BTreeMap, time::Duration};

use crate::auditor::Auditor;

/// What a namespace's channels keep. By default nothing.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use realtime_sandbox::ChannelOptions;
///
/// let chat = ChannelOptions::default().history(100, Duration::from_secs(300)).presence(true);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChannelOptions {
    pub(super) history_size: usize,
    pub(super) history_ttl: Duration,
    pub(super) presence: bool,
}

impl ChannelOptions {
    /// Keeps the last `size` publications for `ttl` after the newest.
    #[must_use]
    pub const fn history(mut self, size: usize, ttl: Duration) -> Self {
        self.history_size = size;
        self.history_ttl = ttl;
        self
    }

    /// Knows who is subscribed.
    #[must_use]
    pub const fn presence(mut self, presence: bool) -> Self {
        self.presence = presence;
        self
    }

    pub(super) fn keeps_history(&self) -> bool {
        self.history_size > 0 && !self.history_ttl.is_zero()
    }
}

/// The doors that a server has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doors {
    pub(super) project: bool,
    pub(super) signed: bool,
    pub(super) stream: bool,
    pub(super) method: bool,
}

/// Version, keys, channels and limits of the Centrifugo server.
///
/// By default it answers like 6.1, and beside that like v1 (and v0) to signed
/// requests, so that every generation of client finds its server at one address;
/// [`version`](Self::version) makes it one of them alone.
///
/// # Examples
///
/// ```
/// use realtime_sandbox::{CentrifugoConfig, ChannelOptions};
///
/// let old = CentrifugoConfig::default().version(3, 2).namespace("news", ChannelOptions::default());
/// ```
#[derive(Clone, Debug)]
pub struct CentrifugoConfig {
    pub(super) doors: Doors,
    /// Major and minor.
    pub(super) release: (u8, u8),
    pub(super) api_key: String,
    pub(super) secret: String,
    pub(super) project: String,
    pub(super) insecure: bool,
    pub(super) prefix: String,
    pub(super) name: String,
    pub(super) transport_errors: bool,
    pub(super) without_namespace: ChannelOptions,
    pub(super) namespaces: BTreeMap<String, ChannelOptions>,
    pub(super) max_body: usize,
    pub(super) max_channels: usize,
    pub(super) max_subscriptions: usize,
    pub(super) max_connections: usize,
    pub(super) max_queue: usize,
    pub(super) max_keys: usize,
    pub(super) handshake: Duration,
    pub(super) send: Duration,
    pub(super) ping: Duration,
    pub(super) pong: Duration,
    pub(super) auditor: Option<Auditor>,
}

impl Default for CentrifugoConfig {
    fn default() -> Self {
        let ordinary =
            ChannelOptions::default().history(1000, Duration::from_secs(300)).presence(true);
        let namespaces = [("public", ordinary.clone()), ("bare", ChannelOptions::default())];
        Self {
            doors: Doors { project: true, signed: true, stream: true, method: true },
            release: (6, 1),
            api_key: "sandbox-api-key".into(),
            secret: "sandbox-secret".into(),
            project: "sandbox".into(),
            insecure: false,
            prefix: "/api".into(),
            name: "sandbox".into(),
            transport_errors: false,
            without_namespace: ordinary,
            namespaces: namespaces.map(|(name, options)| (name.to_owned(), options)).into(),
            max_body: 32 << 20,
            max_channels: 10_000,
            max_subscriptions: 128,
            max_connections: 1024,
            max_queue: 4096,
            max_keys: 10_000,
            handshake: Duration::from_secs(10),
            send: Duration::from_secs(300),
            ping: Duration::from_secs(25),
            pong: Duration::from_secs(10),
            auditor: None,
        }
    }
}

impl CentrifugoConfig {
    /// Answers like that version alone: 0 (the older Python server), 1.6 to 1.8,
    /// 2 to 4, 5.4 or 6.1; of others, the nearest of these.
    #[must_use]
    pub const fn version(mut self, major: u8, minor: u8) -> Self {
        self.release = (major, minor);
        self.doors = Doors {
            project: major == 0,
            signed: major == 1,
            stream: major >= 2,
            method: major >= 5,
        };
        self
    }

    /// Sets the API key of v2 and later. Empty: no key opens. Default
    /// `sandbox-api-key`.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = key.into();
        self
    }

    /// Sets the secret that signs the calls of v1 and the tokens of all. Default
    /// `sandbox-secret`.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = secret.into();
        self
    }

    /// Asks for no key. Default off.
    #[must_use]
    pub const fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Sets where the API is. A slash at its end is dropped. Default `/api`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.trim_end_matches('/').to_owned();
        self
    }

    /// Sets the node's name. Default `sandbox`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Says errors of commands by HTTP statuses as well, as a server in transport
    /// error mode. Default off.
    #[must_use]
    pub const fn transport_errors(mut self, on: bool) -> Self {
        self.transport_errors = on;
        self
    }

    /// Sets what channels without a namespace keep. Default presence, and 1,000
    /// publications for 300 s.
    #[must_use]
    pub fn without_namespace(mut self, options: ChannelOptions) -> Self {
        self.without_namespace = options;
        self
    }

    /// Sets what the channels of a namespace keep. There are `public`, like the
    /// channels without namespace, and `bare`, which keeps nothing.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<String>, options: ChannelOptions) -> Self {
        self.namespaces.insert(name.into(), options);
        self
    }

    /// Removes a namespace.
    #[must_use]
    pub fn no_namespace(mut self, name: &str) -> Self {
        self.namespaces.remove(name);
        self
    }

    /// Lets `auditor` see every publication that is accepted.
    #[must_use]
    pub fn auditor(mut self, auditor: Auditor) -> Self {
        self.auditor = Some(auditor);
        self
    }

    /// What `channel` keeps, if its namespace is known. A `$` at the beginning
    /// does not count.
    pub(super) fn options(&self, channel: &str) -> Option<&ChannelOptions> {
        match channel.trim_start_matches('$').split_once(':') {
            None => Some(&self.without_namespace),
            Some((namespace, _)) => self.namespaces.get(namespace),
        }
    }
}
