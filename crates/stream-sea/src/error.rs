//! What can go wrong, split by who has to act.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use client_core::{Advice, ConnectError, ErrorKind, LinkError};

type Source = Arc<dyn StdError + Send + Sync>;

/// An operation failed.
///
/// [`kind`](Self::kind) says who has to act, [`code`](Self::code) what happened
/// in one word that does not change, [`hint`](Self::hint) what to try next. The
/// text is for people: match on kind and code.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// An option cannot be used.
    Config {
        /// The option, as its method is called.
        option: &'static str,
        /// Why.
        reason: String,
    },
    /// The connection could not be made.
    Connect(ConnectError),
    /// A connection that was open failed, or an HTTP call broke off. Whether the
    /// service may have acted, [`Error::is_in_doubt`] says.
    Transport {
        /// What failed, with the transport's own error below it.
        source: Source,
        /// The service may have carried the call out.
        in_doubt: bool,
    },
    /// The service broke the protocol.
    Protocol(ProtocolError),
    /// The service refused.
    Refused(Refusal),
    /// No answer in time.
    Timeout {
        /// The service may have carried the call out.
        in_doubt: bool,
    },
    /// The client is closed or stopped.
    Closed,
    /// A call that cannot be made here or now.
    Misuse {
        /// The rule, in one word.
        code: &'static str,
        /// What to do instead.
        reason: String,
    },
}

/// A rule of the protocol that the service broke.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProtocolError {
    /// The rule, in one word: `invalid_json`, `no_id`, `unknown_id`, `no_payload`,
    /// `stream_name` (an id that is another stream's), `binary_message`, `answer` (an HTTP body that cannot be read), or
    /// `websocket`.
    pub code: &'static str,
    /// What was received, shortened.
    pub detail: String,
    pub(crate) in_doubt: bool,
}

/// What the service said when it refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// What was refused: `authenticate`, `subscribe`, `upgrade`, or a call such as
    /// `publish`.
    pub action: &'static str,
    /// The HTTP status, if it was a call.
    pub status: Option<u16>,
    /// The service's text for people; may be empty.
    pub message: String,
    /// What is wrong with a payload, one by one.
    pub errors: Vec<String>,
    /// How long the service asks to be left alone, if it said so.
    pub retry_after: Option<Duration>,
    pub(crate) in_doubt: bool,
}

impl Refusal {
    pub(crate) fn new(action: &'static str, message: &str) -> Self {
        // It comes from the network and may end up on a terminal.
        let message = shortened(message);
        let (status, errors, retry_after) = (None, Vec::new(), None);
        Self { action, status, message, errors, retry_after, in_doubt: false }
    }

    /// Whether trying again cannot help.
    fn is_final(&self) -> bool {
        match self.status {
            Some(status) => status < 500 && !matches!(status, 408 | 425 | 429),
            None => true,
        }
    }
}

/// At most 1 KiB.
pub(crate) fn shortened(text: &str) -> String {
    text.chars()
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= 1024).then_some(c)
        })
        .collect()
}

impl ProtocolError {
    /// Keeps at most 200 characters of `detail`, with control characters
    /// escaped: it comes from the network and may end up on a terminal.
    pub(crate) fn new(code: &'static str, detail: &str) -> Self {
        let detail = detail.chars().take(200).flat_map(char::escape_debug).collect();
        Self { code, detail, in_doubt: false }
    }
}

impl Error {
    pub(crate) fn config(option: &'static str, reason: impl Into<String>) -> Self {
        Self::Config { option, reason: reason.into() }
    }

    pub(crate) fn misuse(code: &'static str, reason: impl Into<String>) -> Self {
        Self::Misuse { code, reason: reason.into() }
    }

    pub(crate) fn protocol(code: &'static str, detail: &str) -> Self {
        Self::Protocol(ProtocolError::new(code, detail))
    }

    pub(crate) fn transport(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Transport { source: Arc::new(source), in_doubt: true }
    }

    /// Returns who has to act.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } => ErrorKind::Config,
            Self::Connect(_) => ErrorKind::Connect,
            Self::Transport { .. } => ErrorKind::Transport,
            Self::Protocol(_) => ErrorKind::Protocol,
            Self::Refused(_) => ErrorKind::Refused,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Closed => ErrorKind::Closed,
            Self::Misuse { .. } => ErrorKind::Misuse,
        }
    }

    /// Returns what happened in one word: what was refused, the option for a
    /// configuration error, for a connect error the step or what was wrong with
    /// TLS.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { option, .. } => option,
            Self::Connect(error) => error.code(),
            Self::Transport { .. } => "connection_lost",
            Self::Protocol(error) => error.code,
            Self::Refused(refusal) => refusal.action,
            Self::Timeout { .. } => "timeout",
            Self::Closed => "closed",
            Self::Misuse { code, .. } => code,
        }
    }

    /// Returns whether a call that failed may have been carried out all the same:
    /// its request was sent, and no answer came back, or none that can be read.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        match self {
            Self::Transport { in_doubt, .. } | Self::Timeout { in_doubt } => *in_doubt,
            Self::Protocol(error) => error.in_doubt,
            Self::Refused(refusal) => refusal.in_doubt,
            _ => false,
        }
    }

    /// Returns whether the same call may succeed later without a change. One that
    /// [is in doubt](Self::is_in_doubt) may then be carried out twice.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Transport { .. }
            | Self::Protocol(_)
            | Self::Timeout { .. } => true,
            Self::Refused(refusal) => !refusal.is_final(),
            Self::Config { .. } | Self::Closed | Self::Misuse { .. } => false,
        }
    }

    /// Returns what to try next, for a person in front of a terminal.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Connect(error) => error.hint(),
            Self::Refused(refusal) => match (refusal.action, refusal.status) {
                ("authenticate", _) | (_, Some(401)) => "check client id and secret, or the token",
                ("upgrade" | "subscribe", Some(404)) => "check host and port",
                (_, Some(404)) => "check the name of the stream, client or jail",
                ("define", Some(400)) => "raise the version, or define what is stored",
                ("publish", Some(400)) => "hold the payload against describe_stream's schema",
                _ => return None,
            },
            Self::Timeout { .. } => "check the connection with state() and stats()",
            _ => return None,
        })
    }
}

impl LinkError for Error {
    fn advice(&self) -> Advice {
        match self {
            Self::Connect(ConnectError { is_lasting: true, .. }) => Advice::Longest,
            Self::Connect(ConnectError { retry_after: Some(wait), .. })
            | Self::Refused(Refusal { retry_after: Some(wait), .. }) => Advice::AtLeast(*wait),
            _ => Advice::None,
        }
    }

    /// Credentials: trying again cannot help unless they change.
    fn is_terminal(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_final(),
            Self::Config { .. } | Self::Misuse { .. } | Self::Closed => true,
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { option, reason } => write!(f, "option {option}: {reason}"),
            Self::Connect(error) => error.fmt(f),
            Self::Transport { in_doubt: false, .. } => f.write_str("the call could not be sent"),
            Self::Transport { .. } => f.write_str("the connection was lost"),
            Self::Protocol(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Timeout { .. } => f.write_str("no answer in time"),
            Self::Closed => f.write_str("the client is closed"),
            Self::Misuse { reason, .. } => f.write_str(reason),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service broke the protocol ({}): {}", self.code, self.detail)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused", self.action)?;
        if let Some(status) = self.status {
            write!(f, " with HTTP status {status}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message.escape_debug())?;
        }
        self.errors.iter().try_for_each(|error| write!(f, "; {}", error.escape_debug()))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Transport { source, .. } => Some(source.as_ref()),
            Self::Connect(error) => error.source(),
            _ => None,
        }
    }
}

impl StdError for ProtocolError {}

impl StdError for Refusal {}
