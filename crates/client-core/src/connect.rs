//! Connections that could not be made.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

/// A connection that could not be made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectError {
    /// The step that failed.
    pub step: ConnectStep,
    /// What was to be reached, without any key.
    pub url: String,
    /// The HTTP status, if the server answered the upgrade, or the proxy the
    /// request for a tunnel, with one.
    pub status: Option<u16>,
    /// What was wrong with TLS, in one word, e.g. `certificate_expired`.
    pub tls: Option<&'static str>,
    /// How long the server asks to be left alone, if it said so.
    pub retry_after: Option<Duration>,
    /// The next attempt will meet the same, unless somebody acts.
    pub is_lasting: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The steps of making a connection, in their order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ConnectStep {
    /// Looking the host name up.
    Dns,
    /// Opening the TCP connection, to the proxy if there is one.
    Tcp,
    /// Asking the proxy for a tunnel.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The WebSocket upgrade.
    Upgrade,
    /// Authentication.
    Auth,
}

impl ConnectError {
    /// A failure of `step` on the way to `url`.
    #[must_use]
    pub fn new(step: ConnectStep, url: &str) -> Self {
        Self {
            step,
            url: url.to_owned(),
            status: None,
            tls: None,
            retry_after: None,
            is_lasting: false,
            source: None,
        }
    }

    /// Says that the step took too long.
    #[must_use]
    pub fn timed_out(self) -> Self {
        self.because(std::io::Error::from(std::io::ErrorKind::TimedOut))
    }

    /// Says why.
    #[must_use]
    pub fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Returns what happened in one word: what was wrong with TLS, or the step.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.tls.unwrap_or(match self.step {
            ConnectStep::Dns => "dns",
            ConnectStep::Tcp => "tcp",
            ConnectStep::Proxy => "proxy",
            ConnectStep::Tls => "tls",
            ConnectStep::Upgrade => "upgrade",
            ConnectStep::Auth => "auth",
        })
    }

    /// Returns what to try next, for a person in front of a terminal.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match (self.step, self.status) {
            (ConnectStep::Dns, _) => "check the host name and the network",
            (ConnectStep::Tcp, _) => "check that the server runs, and its host and port",
            (ConnectStep::Proxy, Some(407)) => "check the proxy's user and password",
            (ConnectStep::Proxy, _) => "check the proxy's host and port, and what it allows",
            (ConnectStep::Tls, _) => {
                "check the host name, the certificate, and whom this client trusts"
            }
            (ConnectStep::Upgrade, Some(_)) => {
                "something answers HTTP there, but not this service: check the port and the path"
            }
            (ConnectStep::Upgrade, None) => "check that the server speaks WebSocket there",
            (ConnectStep::Auth, _) => "check whoever gives credentials, and the server's load",
        }
    }
}

impl fmt::Display for ConnectStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "DNS lookup",
            Self::Tcp => "TCP connection",
            Self::Proxy => "tunnel through the proxy",
            Self::Tls => "TLS handshake",
            Self::Upgrade => "WebSocket upgrade",
            Self::Auth => "authentication",
        })
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} failed", self.step, self.url)?;
        self.status.map_or(Ok(()), |status| write!(f, " with HTTP status {status}"))
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
