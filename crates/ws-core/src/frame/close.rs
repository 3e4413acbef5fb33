//! The content of a close frame (RFC 6455, section 5.5.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::{CloseCode, ProtocolError, header::MAX_CONTROL};
use crate::utf8::Utf8Bytes;

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
        let code = CloseCode::new(u16::from_be_bytes(*code));
        if !code.is_allowed_on_wire() {
            return Err(ProtocolError::CloseCode(code.as_u16()));
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
        payload.put_u16(self.code.as_u16());
        payload.put_slice(self.reason.as_bytes().get(..end).unwrap_or_default());
        payload.freeze()
    }
}
