//! Options, their defaults and their ranges.

mod subscribe;

use std::{fmt, sync::Arc, time::Duration};

use client_core::{Backoff, LinkSettings, OutboxLimits, Overflow, Rng};

pub(crate) use self::subscribe::add_own;
pub use self::subscribe::{Mode, Subscribe};
use crate::{
    auth::{AuthDelegate, RoleSecret},
    codec::Protocol,
    error::Error,
};

/// What a client needs to know.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use satori_rtm::Config;
///
/// let config = Config::new("ws://127.0.0.1:8080", "appkey")
///     .role("driver", "role secret")
///     .request_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) endpoint: String,
    pub(crate) appkey: String,
    pub(crate) protocol: Protocol,
    pub(crate) delegates: Vec<Delegate>,
    pub(crate) backoff: Backoff,
    pub(crate) retry_first_connect: bool,
    pub(crate) max_failures: Option<u32>,
    pub(crate) connect_timeout: Duration,
    pub(crate) first_connect_timeout: Duration,
    pub(crate) auth_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) ping_after: Duration,
    pub(crate) pong_within: Duration,
    #[cfg(feature = "client")]
    pub(crate) close_timeout: Duration,
    pub(crate) outbox: OutboxLimits,
    pub(crate) outbox_overflow: Overflow,
    pub(crate) max_publish_bytes: usize,
    pub(crate) max_message_bytes: usize,
    pub(crate) seed: Option<u64>,
    /// How a connection is opened; its TLS and its deadline are set when it is.
    #[cfg(feature = "client")]
    pub(crate) dialer: ws_core::Dialer,
    #[cfg(feature = "tls")]
    pub(crate) tls: ws_core::Tls,
}

impl Config {
    /// Names the service: `endpoint` is `ws://host[:port][/path]`, or `wss://` for
    /// TLS (feature `tls`), to which
    /// `/v2?appkey=` is added; `appkey` is the application's key.
    ///
    /// Wire: docs/protocols/satori-rtm.md, 1.1.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, appkey: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            appkey: appkey.into(),
            protocol: Protocol::Json,
            delegates: Vec::new(),
            backoff: Backoff::default(),
            retry_first_connect: false,
            max_failures: None,
            connect_timeout: Duration::from_secs(10),
            first_connect_timeout: Duration::from_secs(70),
            auth_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(10),
            ping_after: Duration::from_secs(20),
            pong_within: Duration::from_secs(10),
            #[cfg(feature = "client")]
            close_timeout: Duration::from_secs(3),
            outbox: OutboxLimits::default(),
            outbox_overflow: Overflow::Error,
            max_publish_bytes: 64 << 10,
            max_message_bytes: 2 << 20,
            seed: None,
            #[cfg(feature = "client")]
            dialer: ws_core::Dialer::new(),
            #[cfg(feature = "tls")]
            tls: ws_core::Tls::new(),
        }
    }

    /// Takes the numbers of the original, the Python SDK 1.5.0, in the place of ours:
    ///
    /// | | original | ours |
    /// |---|---|---|
    /// | waits between attempts | 1, 2, 4 .. 300 s, counted from the attempt's start, no jitter | 1 s and up to 10 s, jittered |
    /// | one attempt to connect | 300 s | 10 s |
    /// | ping after silence, and patience | 60 s and 60 s | 20 s and 10 s |
    /// | a request | 60 s | 10 s |
    /// | outbox | 1,000 requests, drops the oldest that was not sent | 1,024 and 8 MiB, refuses |
    ///
    /// A request that is dropped is told all the same, which the original does not do.
    /// Where it slows down at 20,000 requests without an answer, this refuses at 1,000.
    /// Its 10 s for a role on later connections are 20 s here.
    ///
    /// Wire: docs/protocols/satori-rtm.md, 10, 13 and 14.
    ///
    /// # Examples
    ///
    /// ```
    /// let config = satori_rtm::Config::reference("ws://127.0.0.1:8080", "appkey");
    /// ```
    #[must_use]
    pub fn reference(endpoint: impl Into<String>, appkey: impl Into<String>) -> Self {
        let backoff = Backoff::default()
            .max(Duration::from_secs(300))
            .factor(2.0)
            .reset_after(Duration::ZERO)
            .without_jitter()
            .from_attempt();
        let minute = Duration::from_secs(60);
        Self::new(endpoint, appkey)
            .backoff(backoff)
            .connect_timeout(Duration::from_secs(300))
            .heartbeat(minute, minute)
            .request_timeout(minute)
            .outbox(OutboxLimits::default().max_messages(1000).max_bytes(64 << 20).window(1000))
            .outbox_overflow(Overflow::DropOldest)
    }

    /// Sets how messages are written. Default [`Protocol::Json`].
    #[must_use]
    pub const fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Authenticates as `role` on every connection. Without it the connection
    /// has the application's default role.
    #[must_use]
    pub fn role(self, role: impl Into<String>, secret: impl Into<Vec<u8>>) -> Self {
        self.auth_delegate(RoleSecret::new(role, secret))
    }

    /// Authenticates by `delegate` on every connection, after those that were given
    /// before it.
    #[must_use]
    pub fn auth_delegate(mut self, delegate: impl AuthDelegate) -> Self {
        self.delegates.push(Delegate(Arc::new(delegate)));
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

    /// Sets the deadline over all steps of one attempt to connect, name lookup
    /// to authentication. Default 10 s; 1 ms to 1 h.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Gives up after so many attempts in a row that failed, the one that follows a lost
    /// connection not counted. Default: never.
    #[must_use]
    pub const fn max_failures(mut self, attempts: u32) -> Self {
        self.max_failures = Some(attempts);
        self
    }

    /// Sets how long [`Client::connect`](crate::Client::connect) waits for the first
    /// connection, over all attempts if they are
    /// [repeated](Self::retry_first_connect). Default 70 s; 1 ms to 1 h.
    #[must_use]
    pub const fn first_connect_timeout(mut self, timeout: Duration) -> Self {
        self.first_connect_timeout = timeout;
        self
    }

    /// Sets the deadline of one exchange of authentication. On a new connection that of
    /// the attempt to connect counts as well, and the earlier one ends it. Default 20 s;
    /// 1 ms to 1 h.
    #[must_use]
    pub const fn auth_timeout(mut self, timeout: Duration) -> Self {
        self.auth_timeout = timeout;
        self
    }

    /// Sets the deadline of one request, from the call to its answer, lost
    /// connections included. Default 10 s; 1 ms to 1 h.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Pings after `idle` of silence and gives the connection up when nothing
    /// is heard within `patience` after that. Default 20 s and 10 s; each 1 ms
    /// to 1 h. A dead peer is found after at most their sum.
    #[must_use]
    pub const fn heartbeat(mut self, idle: Duration, patience: Duration) -> Self {
        self.ping_after = idle;
        self.pong_within = patience;
        self
    }

    /// Sets how long the service has to answer a close; then the connection is
    /// dropped. Default 3 s; taken as it is.
    #[cfg(feature = "client")]
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Bounds what is accepted and not settled. Default 1,024 requests and
    /// 8 MiB, 128 in flight.
    #[must_use]
    pub const fn outbox(mut self, limits: OutboxLimits) -> Self {
        self.outbox = limits;
        self
    }

    /// Sets what happens to a request for which the outbox has no room. Default
    /// [`Overflow::Error`]: the call fails with [`Error::Full`]. [`Overflow::Block`]: the
    /// call waits for room, at most [`request_timeout`](Self::request_timeout), and then
    /// as long for its answer.
    /// [`Overflow::DropOldest`]: the request that has waited longest and was not sent
    /// makes room, and fails with [`Error::Dropped`].
    #[must_use]
    pub const fn outbox_overflow(mut self, overflow: Overflow) -> Self {
        self.outbox_overflow = overflow;
        self
    }

    /// Sets the largest message that is accepted for sending, in bytes as it is written.
    /// Default 65,536, the service's own limit; 1 B to 16 MiB.
    #[must_use]
    pub const fn max_publish_bytes(mut self, bytes: usize) -> Self {
        self.max_publish_bytes = bytes;
        self
    }

    /// Sets the largest PDU that is accepted from the service, in bytes. At
    /// most this much is held for a message that is still arriving. Default
    /// 2 MiB; 1 KiB to 64 MiB.
    #[must_use]
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
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

    /// Reaches the service through a tunnel of the HTTP proxy at `host` and
    /// `port` (`CONNECT`). Nothing of this is read from the environment.
    ///
    /// Wire: docs/protocols/satori-rtm.md, 15.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn proxy(mut self, host: impl Into<String>, port: u16) -> Self {
        self.dialer = self.dialer.proxy(ws_core::Proxy::new(host, port));
        self
    }

    /// Reaches the service through a proxy that wants Basic credentials, which
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

    /// Reaches the service through the proxy that the environment names, if it
    /// does: `https_proxy` for `wss://`, `http_proxy` for `ws://`, except for what
    /// `no_proxy` lists. Asked at each attempt to connect.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn proxy_from_env(mut self) -> Self {
        self.dialer = self.dialer.proxy_from_env();
        self
    }

    /// Trusts this certificate authority (one certificate in DER form), and no
    /// longer the default ones; may be called for several.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_root(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.tls = self.tls.root(der);
        self
    }

    /// Takes the cryptography of TLS from `provider`. By default it is the one
    /// installed in the process, or that of the feature `ring` or `aws-lc-rs`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_provider(mut self, provider: Arc<rustls::crypto::CryptoProvider>) -> Self {
        self.tls = self.tls.provider(provider);
        self
    }

    /// Takes TLS as `config` has it; roots and provider given here do not count
    /// then.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_config(mut self, config: Arc<rustls::ClientConfig>) -> Self {
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
            max_failures: self.max_failures,
        }
    }

    pub(crate) fn rng(&self) -> Rng {
        self.seed.map_or_else(Rng::from_entropy, Rng::seeded)
    }

    /// Checks every option once, and returns the URL to connect to.
    pub(crate) fn validate(&self) -> Result<String, Error> {
        for (option, value) in [
            ("connect_timeout", self.connect_timeout),
            ("first_connect_timeout", self.first_connect_timeout),
            ("auth_timeout", self.auth_timeout),
            ("request_timeout", self.request_timeout),
            ("heartbeat", self.ping_after),
            ("heartbeat", self.pong_within),
        ] {
            if value < Duration::from_millis(1) || value > Duration::from_secs(3600) {
                return Err(Error::config(option, "takes 1 ms to 1 h"));
            }
        }
        if !(1 << 10..=64 << 20).contains(&self.max_message_bytes) {
            return Err(Error::config("max_message_bytes", "takes 1 KiB to 64 MiB"));
        }
        if !(1..=16 << 20).contains(&self.max_publish_bytes) {
            return Err(Error::config("max_publish_bytes", "takes 1 B to 16 MiB"));
        }
        if !self.backoff.is_patient() {
            return Err(Error::config("backoff", "waits at least 1 ms"));
        }
        if self.outbox.window == 0 || self.outbox.max_messages == 0 {
            return Err(Error::config("outbox", "takes at least one message"));
        }
        if self.outbox.max_messages.max(self.outbox.max_bytes) > 1 << 30 {
            return Err(Error::config("outbox", "takes at most 1 GiB"));
        }
        check_appkey(&self.appkey)?;
        Ok(format!("{}/v2?appkey={}", base(&self.endpoint)?, self.appkey))
    }
}

/// What can stand in a URL as it is.
pub(crate) fn check_appkey(appkey: &str) -> Result<(), Error> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    match !appkey.is_empty() && appkey.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(Error::config("appkey", "takes letters, digits and -_.~")),
    }
}

/// Checks an endpoint and returns it without the slash at its end: exactly one comes
/// before `v2`. A version that it already ends with is replaced.
pub(crate) fn base(endpoint: &str) -> Result<&str, Error> {
    if endpoint.starts_with("wss://") && !cfg!(feature = "tls") {
        return Err(Error::config("endpoint", "wss:// needs the feature tls"));
    }
    let rest = endpoint.strip_prefix("ws://").or_else(|| endpoint.strip_prefix("wss://"));
    let rest = rest.unwrap_or_default();
    if rest.is_empty() || rest.starts_with('/') || rest.contains(['?', '#']) {
        // Not the endpoint itself: it may hold a key or a password.
        return Err(Error::config("endpoint", "it is not ws:// or wss://host[:port][/path]"));
    }
    let base = endpoint.strip_suffix('/').unwrap_or(endpoint);
    match base.rsplit_once("/v") {
        Some((without, version))
            if !version.is_empty()
                && version.bytes().all(|b| b.is_ascii_digit())
                && !without.ends_with(":/") =>
        {
            Ok(without)
        }
        _ => Ok(base),
    }
}

/// A delegate that can be shown.
#[derive(Clone)]
pub(crate) struct Delegate(pub(crate) Arc<dyn AuthDelegate>);

impl fmt::Debug for Delegate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthDelegate")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(endpoint: &str) -> Result<String, Error> {
        Config::new(endpoint, "K").validate()
    }

    #[test]
    fn builds_the_url_from_every_shape_of_endpoint() {
        for endpoint in ["ws://rtm:80", "ws://rtm:80/", "ws://rtm:80/v2", "ws://rtm:80/v17/"] {
            assert_eq!(url(endpoint).unwrap(), "ws://rtm:80/v2?appkey=K", "{endpoint}");
        }
        assert_eq!(url("ws://rtm/foo/bar").unwrap(), "ws://rtm/foo/bar/v2?appkey=K");
        assert_eq!(url("ws://v2").unwrap(), "ws://v2/v2?appkey=K");
        #[cfg(feature = "tls")]
        assert_eq!(url("wss://v2/").unwrap(), "wss://v2/v2?appkey=K");
        assert_eq!(url("ws://rtm/vv").unwrap(), "ws://rtm/vv/v2?appkey=K");
    }

    #[test]
    fn names_the_option_that_cannot_be_used() {
        for endpoint in ["", "rtm", "http://rtm", "ws://rtm?x=1", "wss://", "wss:///x"] {
            assert_eq!(url(endpoint).unwrap_err().code(), "endpoint");
        }
        for appkey in ["", "a b", "a&b", "ключ"] {
            let config = Config::new("ws://rtm", appkey);
            assert_eq!(config.validate().unwrap_err().code(), "appkey");
        }
        let config = || Config::new("ws://rtm", "K");
        for (config, option) in [
            (config().connect_timeout(Duration::ZERO), "connect_timeout"),
            (config().request_timeout(Duration::MAX), "request_timeout"),
            (config().heartbeat(Duration::ZERO, Duration::from_secs(1)), "heartbeat"),
            (config().backoff(Backoff::default().max(Duration::ZERO)), "backoff"),
            (config().max_message_bytes(1), "max_message_bytes"),
            (config().max_publish_bytes(0), "max_publish_bytes"),
            (config().outbox(OutboxLimits::default().window(0)), "outbox"),
        ] {
            assert_eq!(config.validate().unwrap_err().code(), option);
        }
    }

    #[test]
    fn never_shows_a_secret() {
        let shown = format!("{:?}", Config::new("ws://rtm", "K").role("driver", "s3cr3t"));
        assert!(!shown.contains("s3cr3t"), "{shown}");
        for endpoint in ["ws://user:s3cr3t@rtm", "http://user:s3cr3t@rtm"] {
            let error = Config::new(endpoint, "K").validate().map(|url| url.len());
            assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
        }
    }
}
