//! Options, their defaults and their ranges.

mod credentials;
mod subscribe;

use std::time::Duration;

use client_core::{Backoff, LinkSettings, Rng};

pub(crate) use self::credentials::Giver;
pub use self::{credentials::Credentials, subscribe::Subscribe};

use crate::error::Error;

/// Which line of the protocol a server speaks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Protocol {
    /// Told by the first frame.
    #[default]
    Auto,
    /// 2.x: replies name their request; there is no status.
    V2,
    /// 3.x: replies come in the order of the requests.
    V3,
}

/// What a client needs to know.
///
/// # Examples
///
/// ```
/// use high_templar_client::{Config, Credentials};
///
/// let config = Config::new("ws://localhost:8000/ws/")
///     .credentials(Credentials::new().token("t0k3n"));
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) url: String,
    pub(crate) credentials: Giver,
    pub(crate) user_agent: String,
    pub(crate) protocol: Protocol,
    pub(crate) retry_refused: bool,
    pub(crate) backoff: Backoff,
    pub(crate) retry_first_connect: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) ping_after: Duration,
    pub(crate) pong_within: Duration,
    #[cfg(feature = "client")]
    pub(crate) close_timeout: Duration,
    pub(crate) max_message_bytes: usize,
    pub(crate) seed: Option<u64>,
    /// How a connection is opened; its TLS and its deadline are set when it is.
    #[cfg(feature = "client")]
    pub(crate) dialer: ws_core::Dialer,
    #[cfg(feature = "tls")]
    pub(crate) tls: client_core::http::Tls,
}

impl Config {
    /// Names the server: `ws://` or `wss://` (feature `tls`), host, port, and a path
    /// that is made to end in `/ws/` if it does not.
    ///
    /// Wire: docs/protocols/high-templar.md, 3.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: Giver::Fixed(Credentials::new()),
            user_agent: concat!("high-templar-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            protocol: Protocol::Auto,
            retry_refused: false,
            backoff: Backoff::default(),
            retry_first_connect: false,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            ping_after: Duration::from_secs(20),
            pong_within: Duration::from_secs(10),
            #[cfg(feature = "client")]
            close_timeout: Duration::from_secs(3),
            max_message_bytes: 16 << 20,
            seed: None,
            #[cfg(feature = "client")]
            dialer: ws_core::Dialer::new(),
            #[cfg(feature = "tls")]
            tls: client_core::http::Tls::default(),
        }
    }

    /// Says who the user is. Default: nobody.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Giver::Fixed(credentials);
        self
    }

    /// Asks `callback` who the user is, before each attempt to connect and within its
    /// deadline. If it fails or panics, so does the attempt, and the next one asks
    /// again. It runs in a task of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # use high_templar_client::{Config, Credentials};
    /// # async fn fetch() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let config = Config::new("ws://localhost:8000/ws/")
    ///     .credentials_from(|| async { Ok::<_, std::io::Error>(Credentials::new().token(fetch().await?)) });
    /// ```
    #[cfg(feature = "client")]
    #[must_use]
    pub fn credentials_from<F, R, E>(mut self, callback: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.credentials = Giver::callback(callback);
        self
    }

    /// Sets the `User-Agent`, which the server hands on to the backend. Always sent:
    /// 2.x servers fail without it.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Sets the line of the protocol. Default: told by the server's first frame. With
    /// [`Protocol::V2`] a `Cookie` is sent in any case, which those servers cannot do
    /// without.
    #[must_use]
    pub const fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Treats a user that is not let in like a lost connection: tried again, for
    /// backends that refuse for a while. By default it stops the client.
    #[must_use]
    pub const fn retry_refused(mut self) -> Self {
        self.retry_refused = true;
        self
    }

    /// Sets when to connect again. Default: see [`Backoff`]. The browser client waits
    /// 2 s each time: `Backoff::default().first(2 s).max(2 s)` comes close, with
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

    /// Sets the deadline over all steps of one attempt to connect, the callback of
    /// credentials and the server's question to its backend included: a server answers
    /// when its backend has. Default 10 s; 1 ms to 1 h.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the deadline of a call until its answer. A reply that has not come in this
    /// time ends the connection, since no later one could be matched. Default 10 s;
    /// 1 ms to 1 h.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sends the text `ping` when nothing was sent, or nothing was heard, for `idle`,
    /// and gives the connection up if it is not answered within `patience`. Default
    /// 20 s and 10 s; 1 ms to 150 s and 1 ms to 1 h: a 3.x server closes after 300 s
    /// without a message, and does not count pings of WebSocket.
    #[must_use]
    pub const fn heartbeat(mut self, idle: Duration, patience: Duration) -> Self {
        self.ping_after = idle;
        self.pong_within = patience;
        self
    }

    /// Sets how long the server has to answer a close; then the connection is
    /// dropped. Default 3 s; taken as it is.
    #[cfg(feature = "client")]
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Sets the largest message that is accepted from the server, in bytes. At
    /// most this much is held for a message that is still arriving. Default
    /// 16 MiB; 1 KiB to 64 MiB.
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

    /// Reaches the server through a tunnel of the HTTP proxy at `host` and
    /// `port` (`CONNECT`). Nothing of this is read from the environment.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn proxy(mut self, host: impl Into<String>, port: u16) -> Self {
        self.dialer = self.dialer.proxy(ws_core::Proxy::new(host, port));
        self
    }

    /// Reaches the server through a proxy that wants Basic credentials, which
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

    /// Reaches the server through the proxy that the environment names, if it
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

    /// The URL with the path that servers have.
    pub(crate) fn address(&self) -> String {
        let (base, query) = match self.url.split_once('?') {
            Some((base, query)) => (base, format!("?{query}")),
            None => (self.url.as_str(), String::new()),
        };
        let base = base.trim_end_matches('/');
        let base = base.strip_suffix("/ws").unwrap_or(base);
        format!("{base}/ws/{query}")
    }

    /// The URL as it may be shown: without its query, which may hold a key.
    pub(crate) fn shown(&self) -> String {
        self.address().split('?').next().unwrap_or_default().to_owned()
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
        if self.ping_after > Duration::from_secs(150) {
            return Err(Error::config("heartbeat", "pings at least every 150 s"));
        }
        let scheme = self.url.split("://").next().unwrap_or_default();
        if !self.url.contains("://") || !matches!(scheme, "ws" | "wss") {
            return Err(Error::config("url", "begins with ws:// or wss://"));
        }
        if scheme == "wss" && !cfg!(feature = "tls") {
            return Err(Error::config("url", "wss:// needs the feature tls"));
        }
        if self.user_agent.is_empty()
            || !self.user_agent.bytes().all(|b| (b' '..=b'~').contains(&b))
        {
            return Err(Error::config("user_agent", "takes printable ASCII"));
        }
        self.credentials.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_ends_as_servers_want_it() {
        for url in ["ws://h:1", "ws://h:1/", "ws://h:1/ws", "ws://h:1/ws/"] {
            assert_eq!(Config::new(url).address(), "ws://h:1/ws/", "{url}");
        }
        assert_eq!(Config::new("ws://h/live?a=b").address(), "ws://h/live/ws/?a=b");
        assert_eq!(Config::new("ws://h/live?token=b").shown(), "ws://h/live/ws/");
    }

    #[test]
    fn names_the_option_that_cannot_be_used() {
        let config = || Config::new("ws://h/");
        for (config, option) in [
            (Config::new("http://h/"), "url"),
            (Config::new("h"), "url"),
            (config().connect_timeout(Duration::ZERO), "connect_timeout"),
            (config().request_timeout(Duration::MAX), "request_timeout"),
            (config().heartbeat(Duration::from_secs(151), Duration::from_secs(1)), "heartbeat"),
            (config().backoff(Backoff::default().max(Duration::ZERO)), "backoff"),
            (config().max_message_bytes(1), "max_message_bytes"),
            (config().user_agent(""), "user_agent"),
            (config().credentials(Credentials::new().cookie("a", "b\nc")), "cookie"),
            (config().credentials(Credentials::new().cookie("a", "1; admin=1")), "cookie"),
            (config().credentials(Credentials::new().header("Cookie", "x")), "header"),
            (config().credentials(Credentials::new().header("Content-Length", "0")), "header"),
            (config().credentials(Credentials::new().header("X-A", "\u{e9}")), "header"),
        ] {
            assert_eq!(config.validate().unwrap_err().code(), option);
        }
        config().validate().unwrap();
    }

    #[test]
    fn never_shows_a_secret() {
        let user =
            Credentials::new().token("s3cr3t").cookie("sessionid", "s3cr3t").header("X", "s3cr3t");
        let shown = format!("{:?}", Config::new("ws://h").credentials(user));
        assert!(shown.contains("token") && !shown.contains("s3cr3t"), "{shown}");
    }

    #[cfg(feature = "client")]
    #[test]
    fn tokens_are_escaped_and_cookies_joined() {
        let user = Credentials::new().token("x y+&é").cookie("a", "1").cookie("b", "2");
        assert_eq!(user.query().unwrap(), "token=x%20y%2B%26%C3%A9");
        assert_eq!(user.cookies(), Some("a=1; b=2"));
        assert_eq!(Credentials::new().token("").query(), None);
    }
}
