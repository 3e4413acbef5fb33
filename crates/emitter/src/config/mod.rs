//! Options, their defaults and their ranges.

mod address;
mod will;

use std::time::Duration;

use client_core::{Backoff, InboxLimits, OutboxLimits, Overflow, Secret};
use client_core::{LinkSettings, Rng};

pub use self::{address::Address, will::LastWill};
use crate::{channel, error::Error, matcher::Matcher};

/// What a client needs to know. The default is the original's: `api.emitter.io` over
/// TLS.
///
/// # Examples
///
/// ```
/// use emitter::{Address, Config};
///
/// let local = Config::new(Address::new("127.0.0.1").port(8080).insecure())
///     .username("alice");
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) addresses: Vec<Address>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) client_id: Option<String>,
    pub(crate) default_key: Option<Secret>,
    pub(crate) last_will: Option<LastWill>,
    pub(crate) matcher: Matcher,
    pub(crate) keepalive: Duration,
    pub(crate) ping_after: Duration,
    pub(crate) pong_within: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) retry_first_connect: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) outbox: OutboxLimits,
    pub(crate) handlers: (InboxLimits, Overflow),
    pub(crate) max_packet_bytes: usize,
    pub(crate) seed: Option<u64>,
    #[cfg(feature = "client")]
    pub(crate) close_timeout: Duration,
    /// How a connection is opened; its TLS and its deadline are set when it is.
    #[cfg(feature = "client")]
    pub(crate) dialer: ws_core::Dialer,
    #[cfg(all(feature = "client", feature = "tls"))]
    pub(crate) tls: ws_core::Tls,
}

impl Default for Config {
    fn default() -> Self {
        Self::new(Address::new("api.emitter.io"))
    }
}

impl Config {
    /// Names the broker.
    ///
    /// Wire: docs/protocols/emitter.md, 2.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            addresses: vec![address],
            username: None,
            password: None,
            client_id: None,
            default_key: None,
            last_will: None,
            matcher: Matcher::default(),
            keepalive: Duration::from_secs(30),
            ping_after: Duration::from_secs(20),
            pong_within: Duration::from_secs(10),
            backoff: Backoff::default(),
            retry_first_connect: false,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            outbox: OutboxLimits::default(),
            handlers: (InboxLimits::default(), Overflow::default()),
            max_packet_bytes: 256 << 10,
            seed: None,
            #[cfg(feature = "client")]
            close_timeout: Duration::from_secs(3),
            #[cfg(feature = "client")]
            dialer: ws_core::Dialer::new(),
            #[cfg(all(feature = "client", feature = "tls"))]
            tls: ws_core::Tls::new(),
        }
    }

    /// Adds another broker of the same cluster. An attempt to connect tries all addresses
    /// in their order, each in its share of the time, and the next attempt begins with
    /// the next one. At most 16.
    #[must_use]
    pub fn or(mut self, address: Address) -> Self {
        self.addresses.push(address);
        self
    }

    /// Sets the name that others see in presence. Nobody checks it.
    #[must_use]
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.username = Some(name.into());
        self
    }

    /// Sets the password of MQTT, which an emitter broker ignores. It needs a
    /// [`username`](Self::username).
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Secret::new(password.into()));
        self
    }

    /// Sets the client id of MQTT, which an emitter broker ignores. Default a random
    /// one for each client.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Sets the channel key for calls that are made with an empty one.
    #[must_use]
    pub fn default_key(mut self, key: impl Into<String>) -> Self {
        self.default_key = Some(Secret::new(key.into()));
        self
    }

    /// Sets what the broker publishes when a connection of this client ends.
    #[must_use]
    pub fn last_will(mut self, will: LastWill) -> Self {
        self.last_will = Some(will);
        self
    }

    /// Sets how messages find their subscriptions. It must be the broker's matcher.
    #[must_use]
    pub const fn matcher(mut self, matcher: Matcher) -> Self {
        self.matcher = matcher;
        self
    }

    /// Sets after how long without anything sent a ping is sent. Default 30 s, as in
    /// the originals; whole seconds, 1 s to 100 s: the broker drops who is silent for
    /// 120 s.
    #[must_use]
    pub const fn keepalive(mut self, keepalive: Duration) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// Gives the connection up after `idle` of silence and a ping that is not
    /// answered within `patience`. Default 20 s and 10 s, each 1 ms to 1 h.
    #[must_use]
    pub const fn heartbeat(mut self, idle: Duration, patience: Duration) -> Self {
        self.ping_after = idle;
        self.pong_within = patience;
        self
    }

    /// Sets when to connect again. Default: see [`Backoff`].
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Treats a first connection that fails like a lost one: retried, with an
    /// event for each attempt. By default it is an error and the client stops.
    #[must_use]
    pub const fn retry_first_connect(mut self) -> Self {
        self.retry_first_connect = true;
        self
    }

    /// Sets the deadline over all steps of one attempt to connect, up to the broker's
    /// CONNACK. Default 10 s; 1 ms to 1 h.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the deadline of a call, from the call to its answer; of a publish that
    /// is to be acknowledged, until it is. Default 10 s; 3 s to 1 h: a cluster takes
    /// two for some answers.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets how much is kept that the broker has not acknowledged. Default 1,024
    /// messages, 8 MiB, and 128 in flight; at most 10,000 in flight. More in flight
    /// is faster: an emitter broker holds its acknowledgements back to save writes.
    #[must_use]
    pub const fn outbox(mut self, limits: OutboxLimits) -> Self {
        self.outbox = limits;
        self
    }

    /// Sets how much waits for handlers that are slow, and what happens then. Default
    /// 1,024 messages, 4 MiB, and [`Overflow::Block`].
    #[must_use]
    pub const fn handler_inbox(mut self, limits: InboxLimits, overflow: Overflow) -> Self {
        self.handlers = (limits, overflow);
        self
    }

    /// Sets the largest packet that is accepted, in bytes after its fixed header.
    /// Default 256 KiB; 64 KiB and 5 bytes to 16 MiB. An emitter broker sends at most
    /// 64 KiB.
    #[must_use]
    pub const fn max_packet_bytes(mut self, bytes: usize) -> Self {
        self.max_packet_bytes = bytes;
        self
    }

    /// Sets how long the rest of what is written may take when a client closes.
    /// Default 3 s; taken as it is.
    #[cfg(feature = "client")]
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Fixes the random waits, for tests that need the same schedule each time.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Takes byte streams from `connector` in the network's place.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn connector(mut self, connector: client_core::Connector) -> Self {
        self.dialer = self.dialer.open_with(move |host, port| {
            let connector = connector.clone();
            async move { connector.connect(client_core::Target::new(host, port)).await }
        });
        self
    }

    /// Reaches the broker through a tunnel of the HTTP proxy at `host` and
    /// `port` (`CONNECT`). Nothing of this is read from the environment.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn proxy(mut self, host: impl Into<String>, port: u16) -> Self {
        self.dialer = self.dialer.proxy(ws_core::Proxy::new(host, port));
        self
    }

    /// Reaches the broker through a proxy that wants Basic credentials, which
    /// it is sent in plain text.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn proxy_with_credentials(
        mut self,
        host: impl Into<String>,
        port: u16,
        user: &str,
        password: &str,
    ) -> Self {
        self.dialer = self.dialer.proxy(ws_core::Proxy::new(host, port).basic(user, password));
        self
    }

    /// Reaches the broker through the proxy that the environment names, if it
    /// does: `https_proxy` with TLS, `http_proxy` without, except for what
    /// `no_proxy` lists. Asked at each attempt to connect.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn proxy_from_env(mut self) -> Self {
        self.dialer = self.dialer.proxy_from_env();
        self
    }

    /// Trusts this certificate authority (one certificate in DER form), and no
    /// longer the default ones; may be called for several.
    #[cfg(all(feature = "client", feature = "tls"))]
    #[must_use]
    pub fn tls_root(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.tls = self.tls.root(der);
        self
    }

    /// Takes the cryptography of TLS from `provider`. By default it is the one
    /// installed in the process, or that of the feature `ring` or `aws-lc-rs`.
    #[cfg(all(feature = "client", feature = "tls"))]
    #[must_use]
    pub fn tls_provider(
        mut self,
        provider: std::sync::Arc<rustls::crypto::CryptoProvider>,
    ) -> Self {
        self.tls = self.tls.provider(provider);
        self
    }

    /// Takes TLS as `config` has it; roots and provider given here do not count
    /// then.
    #[cfg(all(feature = "client", feature = "tls"))]
    #[must_use]
    pub fn tls_config(mut self, config: std::sync::Arc<rustls::ClientConfig>) -> Self {
        self.tls = ws_core::Tls::with_rustls(config);
        self
    }

    pub(crate) const fn link_settings(&self) -> LinkSettings {
        LinkSettings {
            backoff: self.backoff,
            connect_timeout: self.connect_timeout,
            ping_after: self.ping_after,
            pong_within: self.pong_within,
            retry_first_connect: self.retry_first_connect,
            max_failures: None,
        }
    }

    pub(crate) fn rng(&self) -> Rng {
        self.seed.map_or_else(Rng::from_entropy, Rng::seeded)
    }

    /// Checks every option once.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if !(1..=16).contains(&self.addresses.len()) {
            return Err(Error::config("or", "takes 15 addresses more"));
        }
        self.addresses.iter().try_for_each(Address::validate)?;
        self.validate_times()?;
        for (option, text) in [
            ("username", self.username.as_deref()),
            ("client_id", self.client_id.as_deref()),
            ("password", self.password.as_ref().map(text)),
        ] {
            if text.is_some_and(|text| text.len() > 8 << 10 || text.contains('\0')) {
                return Err(Error::config(option, "takes 8 KiB of text without NUL"));
            }
        }
        if self.password.is_some() && self.username.is_none() {
            return Err(Error::config("password", "MQTT takes none without a username"));
        }
        if self.default_key.as_ref().is_some_and(|key| channel::key(text(key)).is_err()) {
            return Err(Error::config("default_key", "takes a channel key"));
        }
        self.last_will.as_ref().map_or(Ok(()), LastWill::validate)
    }

    fn validate_times(&self) -> Result<(), Error> {
        let hour = Duration::from_secs(3600);
        for (option, value) in [
            ("connect_timeout", self.connect_timeout),
            ("heartbeat", self.ping_after),
            ("heartbeat", self.pong_within),
        ] {
            if value < Duration::from_millis(1) || value > hour {
                return Err(Error::config(option, "takes 1 ms to 1 h"));
            }
        }
        if self.request_timeout < Duration::from_secs(3) || self.request_timeout > hour {
            return Err(Error::config("request_timeout", "takes 3 s to 1 h"));
        }
        let keepalive = self.keepalive;
        if !(1..=100).contains(&keepalive.as_secs()) || keepalive.subsec_nanos() > 0 {
            return Err(Error::config("keepalive", "takes whole seconds, 1 s to 100 s"));
        }
        if !self.backoff.is_patient() {
            return Err(Error::config("backoff", "waits at least 1 ms"));
        }
        if !(1..=10_000).contains(&self.outbox.window) {
            return Err(Error::config("outbox", "takes 1 to 10000 in flight"));
        }
        if !(channel::MAX_PACKET + 5..=16 << 20).contains(&self.max_packet_bytes) {
            return Err(Error::config("max_packet_bytes", "takes 65541 bytes to 16 MiB"));
        }
        Ok(())
    }

    /// The key of a call: its own, or the default one for an empty one.
    pub(crate) fn key_or_default<'a>(&'a self, key: &'a str) -> Result<&'a str, Error> {
        match &self.default_key {
            Some(default) if key.is_empty() => channel::key(text(default)),
            _ => channel::key(key),
        }
    }
}

/// A secret that was text.
fn text(secret: &Secret) -> &str {
    std::str::from_utf8(secret.reveal()).unwrap_or_default()
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn names_the_option_that_cannot_be_used() {
        let config = Config::default;
        let many = (0..16).fold(config(), |config, _| config.or(Address::new("b")));
        for (config, option) in [
            (Config::new(Address::new("")), "host"),
            (Config::new(Address::new("a").port(0)), "port"),
            (many, "or"),
            (config().connect_timeout(Duration::ZERO), "connect_timeout"),
            (config().request_timeout(Duration::from_secs(2)), "request_timeout"),
            (config().heartbeat(Duration::ZERO, Duration::from_secs(1)), "heartbeat"),
            (config().keepalive(Duration::from_millis(1500)), "keepalive"),
            (config().keepalive(Duration::from_secs(101)), "keepalive"),
            (config().backoff(Backoff::default().max(Duration::ZERO)), "backoff"),
            (config().outbox(OutboxLimits::default().window(10_001)), "outbox"),
            (config().max_packet_bytes(65_540), "max_packet_bytes"),
            (config().username("a\0"), "username"),
            (config().password("p4ss"), "password"),
            (config().client_id("x".repeat(9000)), "client_id"),
            (config().default_key("a/b"), "default_key"),
            (config().last_will(LastWill::new("K", "a/+", "x")), "last_will"),
            (config().last_will(LastWill::new("K", "a", vec![0; 40_000])), "last_will"),
        ] {
            assert_eq!(config.validate().unwrap_err().code(), option);
        }
        config().validate().unwrap();
    }

    #[test]
    fn never_shows_a_key() {
        let will = LastWill::new("w1ll-k3y", "gone", "x");
        let config = Config::default().default_key("k3y").password("p4ss").last_will(will);
        let shown = format!("{config:?}");
        assert!(shown.contains("gone"), "{shown}");
        for secret in ["k3y", "p4ss"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
