//! What travels over a WebSocket.

use bytes::Bytes;

use crate::utf8::Utf8Bytes;

/// A message, or a control frame that an application may want to see.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Message {
    /// Text, already known to be UTF-8.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// A ping of at most 125 bytes. A received one has been answered already.
    Ping(Bytes),
    /// A pong of at most 125 bytes.
    Pong(Bytes),
}

impl Message {
    /// A text message.
    #[must_use]
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Returns the payload's length in bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes.len(),
        }
    }
}

/// A message that lies in the connection's own buffers until the next call:
/// nothing was copied or allocated for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MessageRef<'a> {
    /// Text, already known to be UTF-8.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// A ping of at most 125 bytes. A received one has been answered already.
    Ping(&'a [u8]),
    /// A pong of at most 125 bytes.
    Pong(&'a [u8]),
}

impl MessageRef<'_> {
    /// Returns the payload's length in bytes.
    #[must_use]
    pub const fn payload_len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes.len(),
        }
    }
}

impl From<MessageRef<'_>> for Message {
    /// Copies the payload.
    fn from(message: MessageRef<'_>) -> Self {
        match message {
            MessageRef::Text(text) => Self::text(text),
            MessageRef::Binary(bytes) => Self::Binary(Bytes::copy_from_slice(bytes)),
            MessageRef::Ping(bytes) => Self::Ping(Bytes::copy_from_slice(bytes)),
            MessageRef::Pong(bytes) => Self::Pong(Bytes::copy_from_slice(bytes)),
        }
    }
}
