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
    /// A connection that was open failed, or a trigger broke off. Whether the server
    /// may have acted, [`Error::is_in_doubt`] says.
    Transport {
        /// What failed, with the transport's own error below it.
        source: Source,
        /// The server may have carried the request out.
        in_doubt: bool,
    },
    /// The server broke the protocol.
    Protocol(ProtocolError),
    /// The server refused.
    Refused(Refusal),
    /// No answer in time.
    Timeout {
        /// The server may have carried the request out.
        in_doubt: bool,
    },
    /// The client is closed or stopped, or the subscription has ended.
    Closed,
    /// A call that cannot be made here or now.
    Misuse {
        /// The rule, in one word.
        code: &'static str,
        /// What to do instead.
        reason: String,
    },
}

/// A rule of the protocol that the server broke.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProtocolError {
    /// The rule, in one word: `first_frame` (what comes first is none), `invalid_json`,
    /// `unknown_frame`, `reply` (one that nobody waits for, or of another kind than what
    /// was asked), `binary_message`, `answer` (an HTTP body that cannot be read), or
    /// `websocket`.
    pub code: &'static str,
    /// What was received, shortened.
    pub detail: String,
}

/// Why a server refused.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The user is not let in: `is_authorized` is false, or a 2.x server closed at once.
    NotAuthorized,
    /// `room-not-found`: the room does not exist, or the user may not enter.
    RoomNotFound,
    /// `no-request-id`.
    NoRequestId,
    /// `not-subscribed`.
    NotSubscribed,
    /// `message-type-not-allowed`.
    MessageTypeNotAllowed,
    /// `non-json-message`.
    NonJsonMessage,
    /// An HTTP status, of the upgrade or of a trigger.
    Status(u16),
    /// Any other text.
    Other(String),
}

/// What the server said when it refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// What was refused: `connect`, `subscribe`, `unsubscribe`, `status`, `upgrade` or
    /// `trigger`.
    pub action: &'static str,
    /// Why.
    pub reason: Reason,
    /// The server's text for people; may be empty.
    pub message: String,
    /// How long the server asks to be left alone, if it said so.
    pub retry_after: Option<Duration>,
    /// The client was told to try all the same.
    pub(crate) may_retry: bool,
}

impl Refusal {
    pub(crate) fn new(action: &'static str, reason: Reason) -> Self {
        Self { action, reason, message: String::new(), retry_after: None, may_retry: false }
    }

    /// With the text of a reply's `message`.
    pub(crate) fn told(action: &'static str, message: &str) -> Self {
        let reason = match message {
            "room-not-found" => Reason::RoomNotFound,
            "no-request-id" => Reason::NoRequestId,
            "not-subscribed" => Reason::NotSubscribed,
            "message-type-not-allowed" => Reason::MessageTypeNotAllowed,
            "non-json-message" => Reason::NonJsonMessage,
            other => Reason::Other(shortened(other)),
        };
        Self { message: shortened(message), ..Self::new(action, reason) }
    }

    /// With the status and the body of an HTTP answer.
    #[cfg(any(feature = "client", feature = "blocking"))]
    pub(crate) fn answered(action: &'static str, status: u16, body: &str) -> Self {
        Self { message: shortened(body), ..Self::new(action, Reason::Status(status)) }
    }

    /// Whether trying again cannot help.
    const fn is_final(&self) -> bool {
        match self.reason {
            Reason::Status(status) => status < 500 && !matches!(status, 408 | 425 | 429),
            _ => true,
        }
    }
}

/// At most 1 KiB.
fn shortened(text: &str) -> String {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= 1024);
    text.get(..end.last().unwrap_or_default()).unwrap_or_default().to_owned()
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

    /// Returns whether a request that failed may have been carried out all the same:
    /// it was sent, and no answer came back.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        match self {
            Self::Transport { in_doubt, .. } | Self::Timeout { in_doubt } => *in_doubt,
            _ => false,
        }
    }

    /// Returns whether the same call may succeed later without a change. A trigger that
    /// [is in doubt](Self::is_in_doubt) may then be delivered twice.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Transport { .. }
            | Self::Protocol(_)
            | Self::Timeout { .. } => true,
            Self::Refused(refusal) => !refusal.is_final(),
            Self::Config { .. } | Self::Closed | Self::Misuse { .. } => false,
        }
    }

    /// Returns why the server refused, if it did.
    #[must_use]
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Refused(refusal) => Some(&refusal.reason),
            _ => None,
        }
    }

    /// Returns what to try next, for a person in front of a terminal.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Connect(error) => error.hint(),
            Self::Refused(refusal) => match refusal.reason {
                Reason::NotAuthorized => {
                    "check token and cookies; a 2.x server also wants Cookie and User-Agent"
                }
                Reason::RoomNotFound => "hold the room against allowed_rooms()",
                Reason::MessageTypeNotAllowed => "a 2.x server has no status",
                Reason::Status(404) => "check the URL: servers from 3.0 on take no HTTP trigger",
                Reason::Status(_) => "check host, port and path",
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
            // The way to the server, not the user: it may be mended meanwhile.
            Self::Refused(Refusal { reason: Reason::Status(_), .. })
            | Self::Refused(Refusal { may_retry: true, .. }) => false,
            Self::Refused(_) | Self::Config { .. } | Self::Misuse { .. } | Self::Closed => true,
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { option, reason } => write!(f, "option {option}: {reason}"),
            Self::Connect(error) => error.fmt(f),
            Self::Transport { in_doubt: false, .. } => f.write_str("the trigger could not be sent"),
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
        write!(f, "the server broke the protocol ({}): {}", self.code, self.detail)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused", self.action)?;
        match &self.reason {
            Reason::NotAuthorized => f.write_str(": the user is not authorized")?,
            Reason::Status(status) => write!(f, " with HTTP status {status}")?,
            _ => {}
        }
        match self.message.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.message.escape_debug()),
        }
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
