//! What can go wrong, split by who has to act.

use std::{fmt, io};

use crate::frame::CloseCode;

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
            Self::Upgrade => "WebSocket upgrade",
            Self::Close => "WebSocket close",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(reason) => f.write_str(reason),
            Self::Connect { step, target, .. } => write!(f, "{step} failed for {target}"),
            #[cfg(feature = "tokio")]
            Self::Handshake(_) => f.write_str("the opening handshake failed"),
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
            Self::Protocol(source) => Some(source),
            _ => None,
        }
    }
}

/// A rule of RFC 6455 that the peer broke, or a limit that it went past.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A close frame carries a code that must not be sent (section 7.4).
    CloseCode(u16),
    /// A close frame has a payload of one byte (section 5.5.1).
    CloseTooShort,
    /// A control frame is longer than 125 bytes (section 5.5).
    ControlTooLong,
    /// A new message begins inside an unfinished one (section 5.4).
    ExpectedContinuation,
    /// A control frame is fragmented (section 5.5).
    FragmentedControl,
    /// A frame is longer than [`Limits::max_frame`](crate::Limits::max_frame).
    FrameTooBig,
    /// A text or a close reason is not UTF-8 (section 8.1).
    InvalidUtf8 {
        /// Index of the first impossible byte in the message.
        at: usize,
    },
    /// A 64-bit length has its top bit set (section 5.2).
    LengthTopBit,
    /// A frame from a server is masked (section 5.1).
    MaskedByServer,
    /// A message is longer than [`Limits::max_message`](crate::Limits::max_message).
    MessageTooBig,
    /// A length is not in its shortest form (section 5.2).
    NonMinimalLength,
    /// A reserved bit is set and no extension gives it a meaning (section 5.2).
    ReservedBits,
    /// A message has more frames than [`Limits::max_fragments`](crate::Limits::max_fragments).
    TooManyFragments,
    /// A continuation comes without a message to continue (section 5.4).
    UnexpectedContinuation,
    /// A reserved opcode (section 5.2).
    UnknownOpCode,
    /// A frame from a client is not masked (section 5.1).
    UnmaskedByClient,
}

impl ProtocolError {
    /// Returns the close code that the peer is sent.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 { .. } => CloseCode::INVALID_DATA,
            Self::FrameTooBig | Self::MessageTooBig => CloseCode::TOO_BIG,
            Self::TooManyFragments => CloseCode::POLICY,
            _ => CloseCode::PROTOCOL,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CloseCode(code) => return write!(f, "close code {code} must not be sent"),
            Self::InvalidUtf8 { at } => return write!(f, "invalid UTF-8 at byte {at}"),
            Self::CloseTooShort => "a close frame of one byte",
            Self::ControlTooLong => "a control frame over 125 bytes",
            Self::ExpectedContinuation => "a new message inside an unfinished one",
            Self::FragmentedControl => "a fragmented control frame",
            Self::FrameTooBig => "a frame over the limit",
            Self::LengthTopBit => "a 64-bit length with its top bit set",
            Self::MaskedByServer => "a masked frame from a server",
            Self::MessageTooBig => "a message over the limit",
            Self::NonMinimalLength => "a length that is not in its shortest form",
            Self::ReservedBits => "a reserved bit is set",
            Self::TooManyFragments => "a message of too many frames",
            Self::UnexpectedContinuation => "a continuation without a message",
            Self::UnknownOpCode => "a reserved opcode",
            Self::UnmaskedByClient => "an unmasked frame from a client",
        })
    }
}

impl std::error::Error for ProtocolError {}
