//! What can go wrong, split by who has to act.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use client_core::ErrorKind;

use crate::version::Version;

type Source = Arc<dyn StdError + Send + Sync>;

/// A call failed.
///
/// [`Request`](Self::Request) and [`Response`](Self::Response) are what the
/// original calls `RequestException` and `ResponseError`; the others are told
/// before anything is sent.
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
    /// A call that cannot be made here or now.
    Misuse {
        /// The rule, in one word.
        code: &'static str,
        /// What to do instead.
        reason: String,
    },
    /// The HTTP request failed.
    Request(RequestError),
    /// Centrifugo processed the request and returned an error.
    Response(ApiError),
    /// The configured version would not know the method, or drop the field
    /// without a word.
    Unsupported(Unsupported),
}

/// A method or field that the configured version does not have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Unsupported {
    /// The version that is configured.
    pub version: Version,
    /// The method.
    pub method: &'static str,
    /// The field, empty for the method itself.
    pub field: &'static str,
    /// The first version that has it, and the first that has it no more.
    pub span: Option<(Version, Option<Version>)>,
}

/// What Centrifugo says about one command.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ApiError {
    /// The code of v2 and later. For the texts of v1 it is the code that later
    /// versions give; 0 for a text that has none.
    pub code: u32,
    /// The server's text.
    pub message: String,
    /// The server says that the same command may succeed later.
    pub temporary: bool,
    /// How long the server, or a proxy before it, asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// A request that did not get its answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestError {
    /// What failed.
    pub failure: Failure,
    /// How many commands of the request the server may have carried out: 0 if
    /// certainly none.
    pub in_doubt: usize,
    /// The beginning of the answer's body as text, at most 1 KiB.
    pub body: String,
    /// What is likely wrong, for a person.
    pub hint: Option<&'static str>,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
    pub(crate) source: Option<Source>,
}

/// How a request failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// The answer is not what Centrifugo sends.
    Decode,
    /// The connection could not be made or was lost.
    Network,
    /// Any HTTP status but 200 and 401.
    Status(u16),
    /// No answer within the deadline.
    Timeout,
    /// HTTP 401: the key or signature is wrong.
    Unauthorized,
}

impl RequestError {
    pub(crate) fn new(failure: Failure, in_doubt: usize) -> Self {
        let body = String::new();
        Self { failure, in_doubt, body, hint: None, retry_after: None, source: None }
    }

    pub(crate) fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

impl ApiError {
    pub(crate) fn new(code: u32, message: impl Into<String>) -> Self {
        let temporary = matches!(code, 100 | 111);
        Self { code, message: message.into(), temporary, retry_after: None }
    }
}

impl Error {
    pub(crate) fn config(option: &'static str, reason: impl Into<String>) -> Self {
        Self::Config { option, reason: reason.into() }
    }

    pub(crate) fn misuse(code: &'static str, reason: impl Into<String>) -> Self {
        Self::Misuse { code, reason: reason.into() }
    }

    /// A request whose connection failed, for transports. Every command counts as
    /// in doubt.
    pub fn network(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Request(RequestError::new(Failure::Network, 1).because(source))
    }

    /// A request that was not answered in time, for transports. Every command
    /// counts as in doubt.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::Request(RequestError::new(Failure::Timeout, 1))
    }

    /// A request that never left, for transports: no command is in doubt.
    pub fn never_sent(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Request(RequestError::new(Failure::Network, 0).because(source))
    }

    /// A call whose time was over before its request could leave.
    pub(crate) fn never_sent_in_time() -> Self {
        Self::Request(RequestError::new(Failure::Timeout, 0))
    }

    /// An answer of which more came than is read: another one would be as long.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn too_long() -> Self {
        let source = std::io::Error::other("the answer is over 64 MiB");
        Self::Request(RequestError::new(Failure::Decode, 1).because(source))
    }

    /// What a request that failed as a whole means for each of its commands.
    pub(crate) fn each(mut self) -> Self {
        if let Self::Request(error) = &mut self {
            error.in_doubt = error.in_doubt.min(1);
        }
        self
    }

    /// Counts the commands of a request that was in doubt as a whole.
    pub(crate) fn with_doubt(mut self, commands: usize) -> Self {
        if let Self::Request(error) = &mut self
            && error.in_doubt > 0
        {
            error.in_doubt = commands;
        }
        self
    }

    /// Returns who has to act.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } => ErrorKind::Config,
            Self::Misuse { .. } | Self::Unsupported(_) => ErrorKind::Misuse,
            Self::Response(_) => ErrorKind::Refused,
            Self::Request(error) => match error.failure {
                Failure::Decode => ErrorKind::Protocol,
                Failure::Network => ErrorKind::Connect,
                Failure::Status(_) | Failure::Unauthorized => ErrorKind::Refused,
                Failure::Timeout => ErrorKind::Timeout,
            },
        }
    }

    /// Returns what happened in one word or number that does not change.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::Config { option, .. } => (*option).to_owned(),
            Self::Misuse { code, .. } => (*code).to_owned(),
            Self::Unsupported(_) => "unsupported".to_owned(),
            Self::Response(error) => error.code.to_string(),
            Self::Request(error) => match error.failure {
                Failure::Decode => "decode".to_owned(),
                Failure::Network => "network".to_owned(),
                Failure::Status(status) => status.to_string(),
                Failure::Timeout => "timeout".to_owned(),
                Failure::Unauthorized => "unauthorized".to_owned(),
            },
        }
    }

    /// Returns whether the same call may succeed later without a change. It may
    /// then be carried out twice, if [`RequestError::in_doubt`] is not 0.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Response(error) => error.temporary,
            Self::Request(error) => match error.failure {
                Failure::Network | Failure::Timeout => true,
                Failure::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
                Failure::Decode | Failure::Unauthorized => false,
            },
            Self::Config { .. } | Self::Misuse { .. } | Self::Unsupported(_) => false,
        }
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self::Response(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { option, reason } => write!(f, "option {option}: {reason}"),
            Self::Misuse { reason, .. } => f.write_str(reason),
            Self::Request(error) => error.fmt(f),
            Self::Response(error) => error.fmt(f),
            Self::Unsupported(what) => what.fmt(f),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Centrifugo {} has no {}", self.version, self.method)?;
        if !self.field.is_empty() {
            write!(f, ".{}", self.field)?;
        }
        match self.span {
            Some((from, None)) => write!(f, ": it came with {from}"),
            Some((from, Some(until))) => write!(f, ": it came with {from} and went with {until}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Centrifugo returned error {}: {}", self.code, self.message.escape_debug())
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure {
            Failure::Decode => f.write_str("the answer is not one of Centrifugo")?,
            Failure::Network => f.write_str("the connection to Centrifugo failed")?,
            Failure::Status(status) => write!(f, "wrong status code: {status}")?,
            Failure::Timeout => f.write_str("no answer in time")?,
            Failure::Unauthorized => f.write_str("wrong status code: 401")?,
        }
        if self.in_doubt > 0 {
            write!(f, "; up to {} commands may have been carried out", self.in_doubt)?;
        }
        self.hint.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Request(error) => error.source(),
            _ => None,
        }
    }
}

impl StdError for RequestError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl StdError for ApiError {}

impl StdError for Unsupported {}
