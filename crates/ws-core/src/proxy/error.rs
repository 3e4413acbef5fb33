//! Why a proxy did not help.

use std::fmt;

use crate::handshake::HandshakeError;

/// A proxy that did not open a tunnel.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyError {
    /// It wants credentials, or others than it was given (status 407).
    Credentials,
    /// It ended the connection before it had answered.
    Eof,
    /// It sent bytes after its answer, before anyone had spoken to the target.
    ExtraBytes,
    /// Its answer is not an HTTP head, or over the limits.
    Head(HandshakeError),
    /// It refused with this HTTP status.
    Status(u16),
}

impl ProxyError {
    /// Returns the HTTP status with which the proxy refused.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Credentials => Some(407),
            Self::Status(status) => Some(*status),
            _ => None,
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials => f.write_str("the proxy wants other credentials (HTTP 407)"),
            Self::Eof => f.write_str("the proxy ended the connection without an answer"),
            Self::ExtraBytes => f.write_str("the proxy sent bytes after its answer"),
            Self::Head(_) => f.write_str("the proxy's answer cannot be used"),
            Self::Status(status) => write!(f, "the proxy refused with HTTP status {status}"),
        }
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Head(source) => Some(source),
            _ => None,
        }
    }
}
