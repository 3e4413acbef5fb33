//! The kinds of error, the same in every client.

use std::fmt;

/// Who has to act when something fails. Every client's error has a kind.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option cannot be used.
    Config,
    /// The connection could not be made.
    Connect,
    /// A connection that was open failed.
    Transport,
    /// The peer broke the protocol.
    Protocol,
    /// The service refused, and said why.
    Refused,
    /// An answer did not come in time.
    Timeout,
    /// A bound of this client is reached; try again later.
    Full,
    /// The client is closed.
    Closed,
    /// A call that cannot be made here or now.
    Misuse,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "config",
            Self::Connect => "connect",
            Self::Transport => "transport",
            Self::Protocol => "protocol",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Full => "full",
            Self::Closed => "closed",
            Self::Misuse => "misuse",
        })
    }
}
