//! The backend's side: triggers over HTTP. What is sent and what an answer means is
//! here; who sends it, and whether it blocks, is of no concern.

#[cfg(feature = "client")]
mod asynchronous;
#[cfg(feature = "blocking")]
mod blocking;

use std::time::Duration;

use client_core::{
    Secret,
    http::{HttpAnswer, HttpError, HttpOptionError, HttpRequest},
};

#[cfg(feature = "client")]
pub use asynchronous::Publisher;
#[cfg(feature = "blocking")]
pub use blocking::BlockingPublisher;

use crate::error::{Error, Refusal};

/// Most of an answer's body that is read: it is a sentence, or an HTML page.
const MAX_BODY: usize = 64 << 10;

const USER_AGENT: &str = concat!("high-templar-client/", env!("CARGO_PKG_VERSION"));

/// Where triggers go, and how.
///
/// # Examples
///
/// ```
/// let config = high_templar_client::PublisherConfig::new("http://localhost:8002/trigger/");
/// ```
#[derive(Clone, Debug)]
pub struct PublisherConfig {
    url: String,
    token: Option<Secret>,
    timeout: Duration,
    #[cfg(feature = "client")]
    dialer: ws_core::Dialer,
    #[cfg(feature = "tls")]
    tls: client_core::http::Tls,
}

impl PublisherConfig {
    /// Names the server's trigger route: `http://` or `https://` (feature `tls`), host,
    /// port and path, `/trigger/` where there is no other.
    ///
    /// Wire: docs/protocols/high-templar.md, 12.1.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let mut url = url.into();
        let is_origin = url.trim_end_matches('/').matches('/').count() == 2;
        if is_origin {
            url = format!("{}/trigger/", url.trim_end_matches('/'));
        }
        Self {
            url,
            token: None,
            timeout: Duration::from_secs(10),
            #[cfg(feature = "client")]
            dialer: ws_core::Dialer::new(),
            #[cfg(feature = "tls")]
            tls: client_core::http::Tls::default(),
        }
    }

    /// Sends `Authorization: Bearer ..`, for servers that ask for it. The Python servers
    /// ask for nothing.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Secret::new(token.into()));
        self
    }

    /// Sets the deadline of a trigger. Default 10 s; taken as it is.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Takes byte streams from `connector` in the network's place. Blocking publishers
    /// take none.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn connector(mut self, connector: client_core::Connector) -> Self {
        self.dialer = self.dialer.open_with(move |host, port| {
            let connector = connector.clone();
            async move { connector.connect(client_core::Target::new(host, port)).await }
        });
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

    fn validate(&self) -> Result<(), Error> {
        let printable = |b: &u8| (b'!'..=b'~').contains(b);
        match &self.token {
            Some(token) if token.reveal().is_empty() || !token.reveal().iter().all(printable) => {
                Err(Error::config("token", "takes printable ASCII without spaces"))
            }
            _ => Ok(()),
        }
    }

    /// The headers of each request.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let json = ("Content-Type", "application/json".to_owned());
        let token = self.token.as_ref().and_then(|token| std::str::from_utf8(token.reveal()).ok());
        let token = token.map(|token| ("Authorization", format!("Bearer {token}")));
        [Some(json), token].into_iter().flatten().collect()
    }

    fn request<'a>(
        &'a self,
        headers: &'a [(&'static str, String)],
        body: &'a str,
    ) -> HttpRequest<'a> {
        let (body, timeout) = (Some(body.as_bytes()), self.timeout);
        HttpRequest { method: "POST", url: &self.url, headers, body, timeout }
    }
}

/// What came of a trigger.
fn finish(result: Result<HttpAnswer, HttpError>) -> Result<(), Error> {
    match result {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => {
            let body = String::from_utf8_lossy(&answer.body);
            let mut refusal = Refusal::answered("trigger", answer.status, body.trim());
            refusal.retry_after = answer.retry_after;
            Err(Error::Refused(refusal))
        }
        Err(HttpError::Timeout { is_sent }) => Err(Error::Timeout { in_doubt: is_sent }),
        Err(HttpError::Network { is_sent, source, .. }) => {
            Err(Error::Transport { source, in_doubt: is_sent })
        }
        Err(HttpError::TooLong) => Err(Error::protocol("answer", "a body of over 64 KiB")),
    }
}

pub(crate) fn unusable(error: HttpOptionError) -> Error {
    let option = if error.option == "address" { "url" } else { error.option };
    Error::config(option, error.reason)
}
