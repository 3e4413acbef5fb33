//! How requests travel; an application may bring a way of its own.

use std::{fmt, time::Duration};

use crate::error::Error;

/// A POST request, ready to be sent.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Outgoing<'a> {
    /// The whole URL.
    pub url: &'a str,
    /// Headers beside `Host` and `Content-Length`; one of them may hold the key.
    pub headers: &'a [(&'static str, String)],
    /// The body, JSON as UTF-8.
    pub body: &'a str,
    /// What is left of the call's time.
    pub timeout: Duration,
}

impl fmt::Debug for Outgoing<'_> {
    /// Without what the headers hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Outgoing")
            .field("url", &self.url)
            .field("headers", &names)
            .field("body", &self.body)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// What the server has answered.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// The HTTP status.
    pub status: u16,
    /// The seconds of a `Retry-After` header, if there is one.
    pub retry_after: Option<Duration>,
    /// The body as it came, at most as long as the transport takes.
    pub body: Vec<u8>,
}

/// Sends a request and returns the answer, whatever its status: in the place of
/// the original's `send_func`.
///
/// It must not follow redirects, which would carry the key to another place, and
/// must end within [`Outgoing::timeout`].
pub trait Transport: Send + Sync {
    /// Sends `request`.
    ///
    /// # Errors
    ///
    /// [`Error::Request`], best made by [`Error::network`] or
    /// [`Error::timed_out`].
    fn send(&self, request: Outgoing<'_>) -> Result<Incoming, Error>;
}
