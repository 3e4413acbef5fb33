//! The rules that a peer can break.

use std::fmt;

use super::code::CloseCode;

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
