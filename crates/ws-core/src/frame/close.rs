//! Why a connection is closed (RFC 6455, sections 5.5.1 and 7.4).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::{error::ProtocolError, frame::MAX_CONTROL, utf8::Utf8Bytes};

/// A close code: a number on the wire, 1000 to 4999.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the peer goes away.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: a rule of the protocol was broken.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: data of a kind that cannot be accepted.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: a text message is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a rule of the application was broken.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: the peer failed unexpectedly.
    pub const INTERNAL: Self = Self(1011);

    /// Takes a code as it stands, allowed or not; see
    /// [`is_allowed_on_wire`](Self::is_allowed_on_wire).
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// Returns the number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Returns whether an endpoint may send the code: 1000 to 1003, 1007 to
    /// 1014 and 3000 to 4999.
    #[must_use]
    pub const fn is_allowed_on_wire(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The content of a close frame.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CloseFrame {
    /// Why, for programs.
    pub code: CloseCode,
    /// Why, for people; at most 123 bytes go on the wire.
    pub reason: Utf8Bytes,
}

impl CloseFrame {
    /// Pairs a code with a reason.
    #[must_use]
    pub fn new(code: CloseCode, reason: impl Into<Utf8Bytes>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// Reads the payload of a close frame; empty means that no code was given.
    pub(crate) fn parse(payload: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return if payload.is_empty() { Ok(None) } else { Err(ProtocolError::CloseTooShort) };
        };
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.is_allowed_on_wire() {
            return Err(ProtocolError::CloseCode(code.0));
        }
        let reason = Utf8Bytes::try_from(Bytes::copy_from_slice(reason))
            .map_err(|e| ProtocolError::InvalidUtf8 { at: e.at })?;
        Ok(Some(Self { code, reason }))
    }

    /// The payload, with a reason that is too long cut at a character.
    pub(crate) fn payload(&self) -> Bytes {
        let mut end = self.reason.len().min(MAX_CONTROL - 2);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        let mut payload = BytesMut::with_capacity(2 + end);
        payload.put_u16(self.code.0);
        payload.put_slice(self.reason.as_bytes().get(..end).unwrap_or_default());
        payload.freeze()
    }
}
