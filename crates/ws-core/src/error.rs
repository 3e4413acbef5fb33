//! What can go wrong, split by who has to act.

use std::{fmt, io};

use crate::frame::ProtocolError;

/// An operation on a connection failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An argument cannot be used, with the reason.
    Config(String),
    /// The connection could not be made.
    Connect {
        /// The step that failed.
        step: Step,
        /// What the step was trying to reach.
        target: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The opening handshake was refused or is not one.
    #[cfg(feature = "tokio")]
    Handshake(crate::handshake::HandshakeError),
    /// The proxy did not open a tunnel.
    #[cfg(feature = "tokio")]
    Proxy(crate::proxy::ProxyError),
    /// TLS could not be opened.
    #[cfg(feature = "tls")]
    Tls(crate::tls::TlsError),
    /// The peer broke a rule of the protocol; it was told so by a close frame.
    Protocol(ProtocolError),
    /// The byte stream failed.
    Io(io::Error),
    /// The byte stream ended without a closing handshake.
    UnexpectedEof,
    /// The connection is closing or closed: nothing more can be sent.
    Closed,
    /// The step did not end within its deadline.
    Timeout(Step),
}

/// The steps of making a connection, in their order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Looking the host name up.
    Dns,
    /// Opening the TCP connection.
    Tcp,
    /// Asking a proxy for a tunnel.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The opening handshake.
    Upgrade,
    /// The closing handshake.
    Close,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Proxy => "proxy CONNECT",
            Self::Tls => "TLS",
            Self::Upgrade => "WebSocket upgrade",
            Self::Close => "WebSocket close",
        })
    }
}

impl Error {
    /// Returns the step of making or ending a connection that failed, if it was
    /// one.
    #[must_use]
    pub const fn step(&self) -> Option<Step> {
        match self {
            Self::Connect { step, .. } | Self::Timeout(step) => Some(*step),
            #[cfg(feature = "tokio")]
            Self::Handshake(_) => Some(Step::Upgrade),
            #[cfg(feature = "tokio")]
            Self::Proxy(_) => Some(Step::Proxy),
            #[cfg(feature = "tls")]
            Self::Tls(_) => Some(Step::Tls),
            _ => None,
        }
    }

    /// Returns the HTTP status with which a server or a proxy refused.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Handshake(error) => error.status(),
            Self::Proxy(error) => error.status(),
            _ => None,
        }
    }

    /// Returns how long the server asks to be left alone, if it said so.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub const fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Handshake(crate::handshake::HandshakeError::Status { retry_after, .. }) => {
                *retry_after
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(reason) => f.write_str(reason),
            Self::Connect { step, target, .. } => write!(f, "{step} failed for {target}"),
            #[cfg(feature = "tokio")]
            Self::Handshake(_) => f.write_str("the opening handshake failed"),
            #[cfg(feature = "tokio")]
            Self::Proxy(_) => f.write_str("the proxy opened no tunnel"),
            #[cfg(feature = "tls")]
            Self::Tls(_) => f.write_str("TLS could not be opened"),
            Self::Protocol(_) => f.write_str("the peer broke the WebSocket protocol"),
            Self::Io(_) => f.write_str("the connection failed"),
            Self::UnexpectedEof => f.write_str("the connection ended without a closing handshake"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::Timeout(step) => write!(f, "{step} did not end in time"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect { source, .. } | Self::Io(source) => Some(source),
            #[cfg(feature = "tokio")]
            Self::Handshake(source) => Some(source),
            #[cfg(feature = "tokio")]
            Self::Proxy(source) => Some(source),
            #[cfg(feature = "tls")]
            Self::Tls(source) => Some(source),
            Self::Protocol(source) => Some(source),
            _ => None,
        }
    }
}
