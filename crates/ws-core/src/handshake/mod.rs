//! The opening handshake (RFC 6455, section 4).
//!
//! `tungstenite` writes the request and parses both heads; what is acceptable
//! is decided here. Nothing is read past the head: what follows it is the
//! first WebSocket frame, and stays in the caller's buffer.

mod client;
mod server;

use std::{fmt, time::Duration};

use bytes::{Buf, BytesMut};
use tungstenite::{
    handshake::machine::TryParse,
    http::{HeaderMap, HeaderValue},
};

pub use client::{ClientHandshake, ClientRequest, Response, connect};
pub use server::{ServerHandshake, ServerRequest, accept};

use crate::limits::Limits;

/// An opening handshake that did not lead to a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// `Sec-WebSocket-Accept` is missing or belongs to another key.
    Accept,
    /// The stream ended before the head was complete.
    Eof,
    /// The server selected an extension that was not offered.
    Extension(String),
    /// The head is longer than [`Limits::max_head`] bytes.
    HeadTooBig,
    /// The answer or request is not HTTP, with the reason.
    Malformed(String),
    /// The request is not one for a WebSocket: the header that says so.
    NotUpgrade(&'static str),
    /// The server answered with a status other than 101.
    Status {
        /// The status, 100 to 999.
        code: u16,
        /// Its standard text, empty if it has none.
        reason: String,
        /// The whole seconds of its `Retry-After`, at most a day; a date there
        /// is not read.
        retry_after: Option<Duration>,
    },
    /// The server selected a subprotocol that was not offered.
    Subprotocol(String),
    /// The head has more than [`Limits::max_headers`] lines.
    TooManyHeaders,
}

impl HandshakeError {
    /// Returns the HTTP status with which the server refused.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("wrong Sec-WebSocket-Accept"),
            Self::Eof => f.write_str("the connection ended during the opening handshake"),
            Self::Extension(name) => write!(f, "extension {name:?} was not offered"),
            Self::HeadTooBig => f.write_str("the HTTP head is over the limit"),
            Self::Malformed(reason) => write!(f, "not an HTTP head: {reason}"),
            Self::NotUpgrade(header) => write!(f, "no WebSocket upgrade: check {header}"),
            Self::Status { code, reason, .. } => write!(f, "HTTP status {code} {reason}"),
            Self::Subprotocol(name) => write!(f, "subprotocol {name:?} was not offered"),
            Self::TooManyHeaders => f.write_str("too many HTTP headers"),
        }
    }
}

impl std::error::Error for HandshakeError {}

/// Takes one HTTP head from the front of `input`, within the limits.
fn take_head<H: TryParse>(
    input: &mut BytesMut,
    limits: &Limits,
    headers: impl Fn(&H) -> usize,
) -> Result<Option<H>, HandshakeError> {
    let window = input.get(..limits.max_head).unwrap_or(input);
    let head = H::try_parse(window).map_err(|e| match e {
        // The parser's own bound is 124 lines.
        tungstenite::Error::Capacity(_) => HandshakeError::TooManyHeaders,
        e => HandshakeError::Malformed(e.to_string()),
    })?;
    match head {
        Some((_, head)) if headers(&head) > limits.max_headers => {
            Err(HandshakeError::TooManyHeaders)
        }
        Some((used, head)) => {
            input.advance(used);
            Ok(Some(head))
        }
        None if input.len() >= limits.max_head => Err(HandshakeError::HeadTooBig),
        None => Ok(None),
    }
}

/// Whether one of the comma-separated tokens of `name` is `token`, in any case.
fn has_token(headers: &HeaderMap<HeaderValue>, name: &str, token: &str) -> bool {
    tokens(headers, name).any(|t| t.eq_ignore_ascii_case(token))
}

/// The comma-separated tokens of all headers called `name`.
fn tokens<'h>(headers: &'h HeaderMap<HeaderValue>, name: &'h str) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests;
