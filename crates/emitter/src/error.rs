//! What can go wrong, split by who has to act.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use client_core::{Advice, ConnectError, ErrorKind};

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
    /// A connection that was open failed.
    Transport {
        /// What failed, with the transport's own error below it.
        source: Source,
    },
    /// The broker broke the protocol; the connection was given up.
    Protocol(ProtocolError),
    /// The broker refused.
    Refused(Refusal),
    /// The broker has carried the request out, and thrown its answer away: it was
    /// over the 64 KiB of a packet. Ask for less.
    AnswerTooLarge,
    /// No answer in time. Whether the broker acted is not known.
    Timeout,
    /// The outbox is full: more was accepted than the connection carries.
    Full,
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

/// A rule of the protocol that the broker broke.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProtocolError {
    /// The rule, in one word: `packet` for what is no MQTT, `unexpected_packet`,
    /// `packet_too_big`, `topic`, `connack`, `flood`, `text_message` or `websocket`.
    pub code: &'static str,
    /// What was received, shortened.
    pub detail: String,
}

/// What the broker said when it refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// What was refused: `publish`, `subscribe`, `unsubscribe`, `keygen`, `keyban`,
    /// `link`, `presence`, `me`, `history`, `connect` or `upgrade`. Empty if the
    /// broker does not say what it speaks of: a publish that asked for no
    /// acknowledgement.
    pub operation: &'static str,
    /// The broker's number: 400 malformed, 401 the key does not allow it, 403 a
    /// wildcard, 404 unknown, 500 its own fault. For `connect` the return code of
    /// MQTT, 1 to 5; for `upgrade` the HTTP status.
    pub status: u16,
    /// The broker's text for people; may be empty.
    pub message: String,
    /// How long the broker asks to be left alone, if it said so.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(operation: &'static str, status: u16, message: &str) -> Self {
        // It comes from the network and may end up on a terminal.
        let message = message.chars().take(200).flat_map(char::escape_debug).collect();
        Self { operation, status, message, retry_after: None }
    }

    /// Whether trying again cannot help: keys, channels, credentials.
    fn is_final(&self) -> bool {
        match self.operation {
            "connect" => self.status != 3,
            _ => self.status < 500 && !matches!(self.status, 408 | 425 | 429),
        }
    }

    fn code(&self) -> &'static str {
        match (self.operation, self.status) {
            ("connect", _) => "connection_refused",
            (_, 400) => "bad_request",
            (_, 401) => "unauthorized",
            (_, 402) => "payment_required",
            (_, 403) => "forbidden",
            (_, 404) => "not_found",
            (_, 501) => "not_implemented",
            (_, 500..) => "server_error",
            _ => "refused",
        }
    }
}

impl ProtocolError {
    /// Keeps at most 200 characters of `detail`, with control characters
    /// escaped: it comes from the network and may end up on a terminal.
    pub(crate) fn new(code: &'static str, detail: &str) -> Self {
        let detail = detail.chars().take(200).flat_map(char::escape_debug).collect();
        Self { code, detail }
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
        Self::Transport { source: Arc::new(source) }
    }

    /// Returns who has to act.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } => ErrorKind::Config,
            Self::Connect(_) => ErrorKind::Connect,
            Self::Transport { .. } => ErrorKind::Transport,
            Self::Protocol(_) => ErrorKind::Protocol,
            Self::Refused(_) | Self::AnswerTooLarge => ErrorKind::Refused,
            Self::Timeout => ErrorKind::Timeout,
            Self::Full => ErrorKind::Full,
            Self::Closed => ErrorKind::Closed,
            Self::Misuse { .. } => ErrorKind::Misuse,
        }
    }

    /// Returns what happened in one word: a word for the broker's number of a refusal,
    /// the option for a configuration error, for a connect error the step or
    /// what was wrong with TLS.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Config { option, .. } => option,
            Self::Connect(error) => error.code(),
            Self::Transport { .. } => "connection_lost",
            Self::Protocol(error) => error.code,
            Self::Refused(refusal) => refusal.code(),
            Self::AnswerTooLarge => "answer_too_large",
            Self::Timeout => "timeout",
            Self::Full => "outbox_full",
            Self::Closed => "closed",
            Self::Misuse { code, .. } => code,
        }
    }

    /// Returns what this failure says about the next attempt to connect.
    pub(crate) const fn advice(&self) -> Advice {
        match self {
            Self::Connect(ConnectError { is_lasting: true, .. }) => Advice::Longest,
            Self::Connect(ConnectError { retry_after: Some(wait), .. })
            | Self::Refused(Refusal { retry_after: Some(wait), .. }) => Advice::AtLeast(*wait),
            _ => Advice::None,
        }
    }

    /// Returns whether the same call may succeed later without a change.
    ///
    /// A retried request may be carried out twice if the first one's answer was
    /// lost ([`Timeout`](Self::Timeout), [`Transport`](Self::Transport)).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Transport { .. }
            | Self::Protocol(_)
            | Self::Timeout
            | Self::Full => true,
            Self::Refused(refusal) => !refusal.is_final(),
            Self::Config { .. } | Self::AnswerTooLarge | Self::Closed | Self::Misuse { .. } => {
                false
            }
        }
    }

    /// Returns what to try next, for a person in front of a terminal.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Connect(error) => error.hint(),
            Self::Refused(refusal) => match refusal.code() {
                "bad_request" => "check the channel, and its key if that was made for a link",
                "unauthorized" => "check the key: its channel, permissions, end and ban",
                "forbidden" => "publish to a channel without wildcards",
                _ => return None,
            },
            Self::AnswerTooLarge => "ask for fewer messages, or a channel with fewer subscribers",
            Self::Timeout => "check the connection with state() and stats()",
            Self::Full => "wait for acknowledgements, or raise Config::outbox",
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { option, reason } => write!(f, "option {option}: {reason}"),
            Self::Connect(error) => error.fmt(f),
            Self::Transport { .. } => f.write_str("the connection was lost"),
            Self::Protocol(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::AnswerTooLarge => f.write_str("the answer is too large for the broker to send"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Full => f.write_str("the outbox is full"),
            Self::Closed => f.write_str("the client is closed"),
            Self::Misuse { reason, .. } => f.write_str(reason),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the broker broke the protocol ({}): {}", self.code, self.detail)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = if self.operation.is_empty() { "something" } else { self.operation };
        write!(f, "{operation} refused with status {}", self.status)?;
        match self.message.as_str() {
            "" => Ok(()),
            message => write!(f, " ({message})"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Transport { source } => Some(source.as_ref()),
            Self::Connect(error) => error.source(),
            _ => None,
        }
    }
}

impl StdError for ProtocolError {}

impl StdError for Refusal {}
