//! Options, their defaults and their ranges.

mod credentials;
mod subscribe;

use std::time::Duration;

use client_core::{Backoff, LinkSettings, Rng};

pub use self::{credentials::Credentials, subscribe::Subscribe};
pub(crate) use self::{credentials::Given, subscribe::Group};

use crate::error::Error;

/// What a client needs to know.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stream_sea::{Config, Credentials};
///
/// let config = Config::new("localhost", 3104, Credentials::basic("app123", "secret"))
///     .request_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) secure: bool,
    pub(crate) credentials: Credentials,
    pub(crate) backoff: Backoff,
    pub(crate) retry_first_connect: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) ping_after: Duration,
    pub(crate) pong_within: Duration,
    #[cfg(feature = "client")]
    pub(crate) close_timeout: Duration,
    pub(crate) max_message_bytes: usize,
    #[cfg(feature = "gzip")]
    pub(crate) gzip: bool,
    pub(crate) seed: Option<u64>,
    /// How a connection is opened; its TLS and its deadline are set when it is.
    #[cfg(feature = "client")]
    pub(crate) dialer: ws_core::Dialer,
    #[cfg(feature = "tls")]
    pub(crate) tls: client_core::http::Tls,
}

impl Config {
    /// Names the service: its host, without scheme or path, and its port, `None`
    /// for that of HTTP or HTTPS.
    ///
    /// Wire: docs/protocols/stream-sea.md, 2.
    #[must_use]
    pub fn new(
        host: impl Into<String>,
        port: impl Into<Option<u16>>,
        credentials: Credentials,
    ) -> Self {
        Self {
            host: host.into(),
            port: port.into(),
            secure: false,
            credentials,
            backoff: Backoff::default(),
            retry_first_connect: false,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            ping_after: Duration::from_secs(30),
            pong_within: Duration::from_secs(10),
            #[cfg(feature = "client")]
            close_timeout: Duration::from_secs(3),
            max_message_bytes: 1 << 20,
            #[cfg(feature = "gzip")]
            gzip: true,
            seed: None,
            #[cfg(feature = "client")]
            dialer: ws_core::Dialer::new(),
            #[cfg(feature = "tls")]
            tls: client_core::http::Tls::default(),
        }
    }

    /// Speaks TLS (feature `tls`). Off by default, as in the original.
    #[must_use]
    pub const fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// Sets when to connect again. Default: see [`Backoff`]. The original waits
    /// 3 s each time: `Backoff::default().first(3 s).max(3 s)` comes close, with
    /// jitter.
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

    /// Sets the deadline over all steps of one attempt to connect, a token's
    /// callback and authentication included. Default 10 s; 1 ms to 1 h.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the deadline of one HTTP call, and of a subscription from the call to
    /// its answer. Default 10 s; 1 ms to 1 h.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Gives the connection up after `idle` of silence and a ping that is not
    /// answered within `patience`. Default 30 s and 10 s, each 1 ms to 1 h: the
    /// service pings every 30 s.
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

    /// Sets the largest message that is accepted from the service, in bytes. At
    /// most this much is held for a message that is still arriving. Default
    /// 1 MiB; 1 KiB to 64 MiB.
    #[must_use]
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Sends bodies as they are. By default, with the feature `gzip`, those over
    /// 1 KiB are compressed.
    #[cfg(feature = "gzip")]
    #[must_use]
    pub const fn without_gzip(mut self) -> Self {
        self.gzip = false;
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
    /// `port` (`CONNECT`). Nothing of this is read from the environment. Blocking
    /// clients take no proxy.
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
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_root(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.tls.add_root(der);
        self
    }

    /// Takes the cryptography of TLS from `provider`. By default it is the one
    /// installed in the process, or that of the feature `ring` or `aws-lc-rs`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_provider(
        mut self,
        provider: std::sync::Arc<rustls::crypto::CryptoProvider>,
    ) -> Self {
        self.tls.set_provider(provider);
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

    /// `http://host:port/api/v1`, or `https://`.
    #[cfg(any(feature = "client", feature = "blocking"))]
    pub(crate) fn base(&self) -> String {
        format!("{}/api/v1", self.origin("http"))
    }

    /// `ws://host:port`, or `wss://`; `scheme` is `ws` or `http`.
    pub(crate) fn origin(&self, scheme: &str) -> String {
        let s = if self.secure { "s" } else { "" };
        // An IPv6 address has colons of its own.
        let host = match self.host.contains(':') && !self.host.starts_with('[') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}{s}://{host}{port}")
    }

    /// Checks every option once.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        for (option, value) in [
            ("connect_timeout", self.connect_timeout),
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
        if !self.backoff.is_patient() {
            return Err(Error::config("backoff", "waits at least 1 ms"));
        }
        if self.secure && !cfg!(feature = "tls") {
            return Err(Error::config("secure", "it needs the feature tls"));
        }
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-_.:[]".contains(&b);
        if self.host.is_empty() || !self.host.bytes().all(is_host) {
            return Err(Error::config("host", "takes a host name or address alone"));
        }
        if self.port == Some(0) {
            return Err(Error::config("port", "takes 1 to 65535"));
        }
        self.credentials.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(host: &str, port: impl Into<Option<u16>>) -> Config {
        Config::new(host, port, Credentials::basic("app123", "s3cr3t"))
    }

    #[test]
    fn names_origins() {
        assert_eq!(config("sea", 3104).origin("ws"), "ws://sea:3104");
        assert_eq!(config("sea", None).secure().origin("http"), "https://sea");
        assert_eq!(config("::1", 80).origin("ws"), "ws://[::1]:80");
        assert_eq!(config("[::1]", 80).origin("ws"), "ws://[::1]:80");
    }

    #[test]
    fn names_the_option_that_cannot_be_used() {
        for host in ["", "http://sea", "sea/x", "a b", "sea?x", "é"] {
            assert_eq!(config(host, 1).validate().unwrap_err().code(), "host", "{host}");
        }
        for (config, option) in [
            (config("sea", 0), "port"),
            (config("sea", 1).connect_timeout(Duration::ZERO), "connect_timeout"),
            (config("sea", 1).request_timeout(Duration::MAX), "request_timeout"),
            (config("sea", 1).heartbeat(Duration::ZERO, Duration::from_secs(1)), "heartbeat"),
            (config("sea", 1).backoff(Backoff::default().max(Duration::ZERO)), "backoff"),
            (config("sea", 1).max_message_bytes(1), "max_message_bytes"),
            (Config::new("sea", 1, Credentials::basic("", "s")), "client_id"),
            (Config::new("sea", 1, Credentials::basic("a:b", "s")), "client_id"),
            (Config::new("sea", 1, Credentials::basic("a", "")), "client_secret"),
            (Config::new("sea", 1, Credentials::jwt("a", "")), "jwt"),
        ] {
            assert_eq!(config.validate().unwrap_err().code(), option);
        }
        config("sea", None).validate().unwrap();
    }

    #[test]
    fn never_shows_a_secret() {
        let jwt = Config::new("sea", 1, Credentials::jwt("app123", "t0k3n"));
        let shown = format!("{:?} {jwt:?}", config("sea", 1));
        assert!(shown.contains("app123"), "{shown}");
        assert!(!shown.contains("s3cr3t") && !shown.contains("t0k3n"), "{shown}");
    }
}
