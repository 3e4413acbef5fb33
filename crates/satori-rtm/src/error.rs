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
    /// The service broke the protocol; the connection was given up.
    Protocol(ProtocolError),
    /// The service refused.
    Refused(Refusal),
    /// The connection could not be given its role.
    Auth(AuthError),
    /// No answer in time. Whether the service acted is not known.
    Timeout,
    /// The outbox is full: more was accepted than the connection carries.
    Full,
    /// The request made room in the outbox for a newer one, and was not sent; see
    /// [`Config::outbox_overflow`](crate::Config::outbox_overflow).
    Dropped,
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
    /// The rule, in one word: `invalid_json`, `invalid_cbor`, `no_action`, `no_body`,
    /// `no_id`, `general_error`, `unexpected_action`, `binary_message`, `text_message`,
    /// or `websocket`.
    pub code: &'static str,
    /// What was received, shortened.
    pub detail: String,
}

/// What the service said when it refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// What was refused: an action such as `rtm/publish`, or `upgrade`.
    pub action: String,
    /// The service's code for programs: `authorization_denied`, or `403`.
    pub code: String,
    /// The service's text for people; may be empty.
    pub reason: String,
    /// How long the service asks to be left alone, if it said so.
    pub retry_after: Option<Duration>,
}

/// An exchange of authentication that failed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AuthError {
    /// The service's code, e.g. `authentication_failed`; `auth_delegate` if the delegate
    /// gave up by itself.
    pub code: String,
    /// What the delegate says, most often the service's reason.
    pub message: String,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authentication failed: {} ({})", self.code, self.message.escape_debug())
    }
}

impl StdError for AuthError {}

impl Refusal {
    pub(crate) fn new(action: &str, code: &str, reason: &str) -> Self {
        Self { action: action.into(), code: code.into(), reason: reason.into(), retry_after: None }
    }

    /// Whether trying again cannot help: credentials and permissions.
    fn is_final(&self) -> bool {
        !matches!(self.code.as_str(), "408" | "425" | "429")
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
            Self::Refused(_) | Self::Auth(_) => ErrorKind::Refused,
            Self::Timeout => ErrorKind::Timeout,
            Self::Full | Self::Dropped => ErrorKind::Full,
            Self::Closed => ErrorKind::Closed,
            Self::Misuse { .. } => ErrorKind::Misuse,
        }
    }

    /// Returns what happened in one word: the service's code for a refusal,
    /// the option for a configuration error, for a connect error the step or
    /// what was wrong with TLS.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Config { option, .. } => option,
            Self::Connect(error) => error.code(),
            Self::Transport { .. } => "connection_lost",
            Self::Protocol(error) => error.code,
            Self::Refused(refusal) => &refusal.code,
            Self::Auth(error) => &error.code,
            Self::Timeout => "timeout",
            Self::Full => "outbox_full",
            Self::Dropped => "outbox_dropped",
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
            | Self::Full
            | Self::Dropped => true,
            Self::Refused(refusal) => !refusal.is_final(),
            Self::Auth(_) | Self::Config { .. } | Self::Closed | Self::Misuse { .. } => false,
        }
    }

    /// Returns what to try next, for a person in front of a terminal.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Connect(error) => error.hint(),
            Self::Refused(refusal) => match refusal.code.as_str() {
                "401" | "403" | "404" => "check the appkey",
                "authorization_denied" => "check what the role may do on this channel",
                _ => return None,
            },
            Self::Auth(_) => "check role and role secret",
            Self::Timeout => "check the connection with state() and stats()",
            Self::Full | Self::Dropped => "wait for acknowledgements, or raise Config::outbox",
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
            Self::Auth(error) => error.fmt(f),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Full => f.write_str("the outbox is full"),
            Self::Dropped => f.write_str("the request made room in the outbox for a newer one"),
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
        write!(f, "{} refused: {}", self.action, self.code)?;
        match self.reason.as_str() {
            "" => Ok(()),
            reason => write!(f, " ({})", reason.escape_debug()),
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
