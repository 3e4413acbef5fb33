//! One HTTP/1.1 request and its answer, over connections that are kept alive:
//! async by hyper, blocking by ureq. No redirect is followed and no environment is
//! asked, so that credentials never leave their origin.

#[cfg(feature = "http")]
mod asynchronous;
#[cfg(feature = "http-blocking")]
mod blocking;
#[cfg(feature = "tls")]
mod tls;
#[cfg(all(feature = "tls", feature = "http"))]
mod unverified;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

#[cfg(feature = "http")]
pub use asynchronous::Http;
#[cfg(feature = "http-blocking")]
pub use blocking::BlockingHttp;
#[cfg(feature = "tls")]
pub use tls::Tls;

/// Connections at a time of an async client, and those that a blocking one keeps.
pub const MAX_CONNECTIONS: usize = 64;

/// A request. Its `Debug` hides what the headers hold: one of them may be a key.
#[derive(Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "what a request is made of")]
pub struct HttpRequest<'a> {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'a str,
    /// The whole URL; its origin is that of the client.
    pub url: &'a str,
    /// Headers besides `Host` and `Content-Length`; a `User-Agent` takes the place of the
    /// client's own.
    pub headers: &'a [(&'a str, String)],
    /// The body, if there is one.
    pub body: Option<&'a [u8]>,
    /// The deadline of everything.
    pub timeout: Duration,
}

impl fmt::Debug for HttpRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what an answer is made of")]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The seconds of `Retry-After`, at most a day.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

/// A request without an answer.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the ways to fail below HTTP")]
pub enum HttpError {
    /// It took too long.
    Timeout {
        /// The server may have the request.
        is_sent: bool,
    },
    /// There was no connection, or it was lost.
    Network {
        /// The server may have the request.
        is_sent: bool,
        /// Why.
        source: Arc<dyn StdError + Send + Sync>,
        /// What to try next, where that is clear.
        hint: Option<&'static str>,
    },
    /// The answer is longer than what is read.
    TooLong,
}

/// An option that cannot be used.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a name and a reason")]
pub struct HttpOptionError {
    /// The option.
    pub option: &'static str,
    /// Why.
    pub reason: String,
}

#[cfg(any(feature = "http", feature = "http-blocking"))]
impl HttpError {
    fn lost(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Network { is_sent: true, source: Arc::new(source), hint: None }
    }

    fn never_sent(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Network { is_sent: false, source: Arc::new(source), hint: None }
    }

    #[cfg(feature = "tls")]
    fn refused(source: impl StdError + Send + Sync + 'static) -> Self {
        let hint = Some("check the server's certificate and whom we trust");
        Self::Network { is_sent: false, source: Arc::new(source), hint }
    }
}

/// Whether `base` is reached by TLS.
#[cfg(any(feature = "http", feature = "http-blocking"))]
fn is_secure(base: &str) -> Result<bool, HttpOptionError> {
    let scheme = base.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http") => Ok(false),
        Some("https") => Ok(true),
        _ => Err(HttpOptionError::new("address", "takes http:// or https://")),
    }
}

impl HttpOptionError {
    /// Pairs an option with what is wrong with it.
    #[must_use]
    pub fn new(option: &'static str, reason: impl Into<String>) -> Self {
        Self { option, reason: reason.into() }
    }
}

/// The seconds of a `Retry-After` header.
#[cfg(any(feature = "http", feature = "http-blocking"))]
fn retry_after(seconds: &str) -> Option<Duration> {
    // A day is longer than any server remembers.
    seconds.trim().parse().ok().map(|seconds: u64| Duration::from_secs(seconds.min(86_400)))
}
