//! What the server has against a command.

use super::json::WrongType;

/// The errors of commands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Code {
    Internal,
    UnknownChannel,
    MethodNotFound,
    AlreadySubscribed,
    LimitExceeded,
    BadRequest,
    NotAvailable,
    TokenExpired,
    UnrecoverablePosition,
}

impl Code {
    pub(super) const fn number(self) -> u16 {
        match self {
            Self::Internal => 100,
            Self::UnknownChannel => 102,
            Self::MethodNotFound => 104,
            Self::AlreadySubscribed => 105,
            Self::LimitExceeded => 106,
            Self::BadRequest => 107,
            Self::NotAvailable => 108,
            Self::TokenExpired => 109,
            Self::UnrecoverablePosition => 112,
        }
    }

    /// The text, which changed with the releases.
    pub(super) const fn text(self, (major, minor): (u8, u8)) -> &'static str {
        match self {
            Self::Internal => "internal server error",
            Self::UnknownChannel if major < 3 => "namespace not found",
            Self::UnknownChannel => "unknown channel",
            Self::MethodNotFound if major < 5 || (major == 5 && minor == 0) => "method not found",
            Self::MethodNotFound => "not found",
            Self::AlreadySubscribed => "already subscribed",
            Self::LimitExceeded => "limit exceeded",
            Self::BadRequest => "bad request",
            Self::NotAvailable => "not available",
            Self::TokenExpired => "token expired",
            Self::UnrecoverablePosition => "unrecoverable position",
        }
    }

    /// The HTTP status in transport error mode.
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::UnknownChannel | Self::MethodNotFound => 404,
            Self::BadRequest | Self::NotAvailable => 400,
            Self::UnrecoverablePosition => 416,
            _ => 500,
        }
    }
}

/// Why a command has no result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    Error(Code),
    /// A parameter is of the wrong kind; what that means depends on the dialect.
    WrongType,
    /// The result holds what is no JSON: the whole request fails.
    Unsayable,
}

impl From<WrongType> for Fault {
    fn from(WrongType: WrongType) -> Self {
        Self::WrongType
    }
}
