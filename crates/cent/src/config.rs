//! Which server, which version of it, and how it is called.

use std::{fmt, time::Duration};

use client_core::Backoff;

use crate::{
    error::Error,
    proto::{Credential, Key},
    version::{Dialect, Version},
};

/// How to reach a Centrifugo. The generation is named, never guessed: the same
/// request means different things to different ones.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// let config = cent::Config::v6("http://127.0.0.1:8000", "my-api-key")
///     .timeout(Duration::from_secs(3));
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) address: String,
    exact: bool,
    pub(crate) version: Version,
    pub(crate) credential: Credential,
    pub(crate) timeout: Duration,
    pub(crate) relaxed: bool,
    combine: bool,
    pub(crate) retry: Option<(u32, Backoff)>,
    #[cfg(feature = "tls")]
    pub(crate) tls: client_core::http::Tls,
}

impl Config {
    fn new(address: impl Into<String>, major: u8, credential: Credential) -> Self {
        // The original waits a second.
        let timeout = Duration::from_secs(if major <= 1 { 1 } else { 10 });
        let version = Version::newest(major);
        let address = address.into();
        Self {
            address,
            exact: false,
            version,
            credential,
            timeout,
            relaxed: false,
            combine: true,
            retry: None,
            #[cfg(feature = "tls")]
            tls: client_core::http::Tls::default(),
        }
    }

    /// Centrifugo 0.x and its Python predecessor: the project's key and secret.
    #[must_use]
    pub fn v0(
        address: impl Into<String>,
        project: impl Into<String>,
        secret: impl Into<String>,
    ) -> Self {
        let (key, secret) = (project.into(), Key::new(secret));
        Self::new(address, 0, Credential::Project { key, secret })
    }

    /// Centrifugo 1: requests are signed with the server's secret.
    #[must_use]
    pub fn v1(address: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::new(address, 1, Credential::Secret(Key::new(secret)))
    }

    /// Centrifugo 2: requests carry the server's API key.
    #[must_use]
    pub fn v2(address: impl Into<String>, key: impl Into<String>) -> Self {
        Self::new(address, 2, Credential::Key(Key::new(key)))
    }

    /// Centrifugo 3.
    #[must_use]
    pub fn v3(address: impl Into<String>, key: impl Into<String>) -> Self {
        Self::new(address, 3, Credential::Key(Key::new(key)))
    }

    /// Centrifugo 4.
    #[must_use]
    pub fn v4(address: impl Into<String>, key: impl Into<String>) -> Self {
        Self::new(address, 4, Credential::Key(Key::new(key)))
    }

    /// Centrifugo 5.
    #[must_use]
    pub fn v5(address: impl Into<String>, key: impl Into<String>) -> Self {
        Self::new(address, 5, Credential::Key(Key::new(key)))
    }

    /// Centrifugo 6.
    #[must_use]
    pub fn v6(address: impl Into<String>, key: impl Into<String>) -> Self {
        Self::new(address, 6, Credential::Key(Key::new(key)))
    }

    /// Sets the server's release within its generation, so that what came later
    /// is refused. Default: the newest.
    #[must_use]
    pub const fn release(mut self, minor: u8, patch: u8) -> Self {
        self.version = Version::new(self.version.major(), minor, patch);
        self
    }

    /// Sets the deadline of a whole call. Default 1 s for v1 and older, 10 s
    /// otherwise; 1 ms to 1 h.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends no key and no signature, to a server that wants none.
    #[must_use]
    pub fn insecure_api(mut self) -> Self {
        self.credential = match self.credential {
            // The project stands in the path, too.
            Credential::Project { key, .. } => Credential::OpenProject { key },
            _ => Credential::Insecure,
        };
        self
    }

    /// Leaves out, without a word, fields that the server's version would drop.
    /// By default they are an error.
    #[must_use]
    pub const fn relaxed(mut self) -> Self {
        self.relaxed = true;
        self
    }

    /// Sends each call in a request of its own. By default, while one request is
    /// on its way, further calls wait and go together with the next one, 512 of
    /// them and 512 KiB at most. So travel publications, broadcasts, what is done to
    /// users and their subscriptions, [`HistoryRemove`](crate::HistoryRemove) and
    /// [`PresenceStats`](crate::PresenceStats). What reads much, map channels and
    /// the methods of the commercial server go alone. On v4 and older all go alone,
    /// for there one call that is refused would refuse the others.
    #[must_use]
    pub const fn without_combining(mut self) -> Self {
        self.combine = false;
        self
    }

    /// Makes up to `attempts` of a call, waiting between them as `backoff` says,
    /// all within the call's deadline. Only calls that ask and change nothing, a
    /// publication with an idempotency key, and what was certainly not carried out
    /// are made again. By default nothing is; batches and the buffer's `send` never
    /// are.
    #[must_use]
    pub const fn retry(mut self, attempts: u32, backoff: Backoff) -> Self {
        self.retry = Some((attempts, backoff));
        self
    }

    /// Takes the address as it is: nothing is added to it but the name of a
    /// method, for servers with a prefix of their own.
    #[must_use]
    pub const fn exact_address(mut self) -> Self {
        self.exact = true;
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

    /// What should not be done in production.
    #[cfg(feature = "tls")]
    pub const fn dangerous(self) -> Dangerous {
        Dangerous(self)
    }

    pub(crate) fn combines(&self) -> bool {
        self.combine && self.dialect() == Dialect::Method
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        self.version.dialect()
    }

    /// Checks every option once, and returns the address to which paths are
    /// added.
    pub(crate) fn validate(&self) -> Result<String, Error> {
        if !(Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&self.timeout) {
            return Err(Error::config("timeout", "takes 1 ms to 1 h"));
        }
        if self.retry.is_some_and(|(attempts, backoff)| attempts == 0 || !backoff.is_patient()) {
            return Err(Error::config("retry", "takes at least one attempt, and waits of 1 ms"));
        }
        match &self.credential {
            Credential::Key(key)
                if key.text().is_empty() || !key.text().bytes().all(|b| b.is_ascii_graphic()) =>
            {
                Err(Error::config("key", "takes visible ASCII characters, and no spaces"))
            }
            Credential::Secret(secret) | Credential::Project { secret, .. }
                if secret.text().is_empty() =>
            {
                Err(Error::config("secret", "is empty: insecure_api() signs nothing"))
            }
            Credential::Project { key, .. } | Credential::OpenProject { key }
                if key.is_empty() || !key.bytes().all(is_plain) =>
            {
                Err(Error::config("project", "takes letters, digits and -._~: it is in the path"))
            }
            _ => self.base(),
        }
    }

    /// All slashes at the end go, and `/api` is added unless it is there.
    fn base(&self) -> Result<String, Error> {
        let wrong = |reason| Err(Error::config("address", reason));
        let rest = ["http://", "https://"].iter().find_map(|s| self.address.strip_prefix(s));
        let Some(rest) = rest else { return wrong("it must begin with http:// or https://") };
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.is_empty() {
            return wrong("it names no host");
        }
        if authority.contains('@') || rest.contains(['?', '#', '\\']) {
            return wrong("it holds credentials, a query, a fragment or a backslash");
        }
        if !rest.bytes().all(|b| b.is_ascii_graphic()) {
            return wrong("it takes visible ASCII characters, and no spaces");
        }
        let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        if port.is_some_and(|(_, port)| !matches!(port.parse(), Ok(1..=u16::MAX))) {
            return wrong("the port is no number from 1 to 65535");
        }
        let address = self.address.trim_end_matches('/');
        Ok(match self.exact || address.ends_with("/api") {
            true => address.to_owned(),
            false => format!("{address}/api"),
        })
    }
}

/// What stands in a path without an escape.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Options that give up protection.
#[cfg(feature = "tls")]
#[derive(Debug)]
#[must_use = "an option is taken by calling it"]
pub struct Dangerous(Config);

#[cfg(feature = "tls")]
impl Dangerous {
    /// Takes any certificate of anybody: `verify=False` of the original. Whoever is
    /// in between reads the key and all that is published.
    #[must_use]
    pub fn skip_verification(mut self) -> Config {
        self.0.tls.dangerously_trust_anybody();
        self.0
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("address", &self.address)
            .field("version", &self.version)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
