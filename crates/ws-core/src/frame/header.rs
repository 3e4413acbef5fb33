//! Frame headers (RFC 6455, section 5.2), strict in both directions.

use bytes::{BufMut, BytesMut};

use super::ProtocolError;

/// The largest payload of a control frame (RFC 6455, section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// What a frame carries.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 closes the set; reserved codes are errors")]
pub enum OpCode {
    /// The next piece of a fragmented message.
    Continuation,
    /// A text message, or its first piece.
    Text,
    /// A binary message, or its first piece.
    Binary,
    /// The closing handshake.
    Close,
    /// A ping.
    Ping,
    /// A pong.
    Pong,
}

impl OpCode {
    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn parse(bits: u8) -> Result<Self, ProtocolError> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(ProtocolError::UnknownOpCode),
        })
    }

    /// Returns whether the frame controls the connection and carries no message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The header of one frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Header {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// What the frame carries.
    pub opcode: OpCode,
    /// The mask key, present exactly when the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// Payload length in bytes, 0 to 2^63-1.
    pub payload_len: u64,
}

impl Header {
    /// A header for a frame that is a whole message.
    #[must_use]
    pub const fn new(opcode: OpCode, payload_len: u64) -> Self {
        Self { fin: true, opcode, mask: None, payload_len }
    }

    /// Reads a header from the front of `input`: the header and the number of
    /// bytes it took (2 to 14), or `None` while more are needed.
    ///
    /// # Errors
    ///
    /// A [`ProtocolError`] for reserved bits, reserved opcodes, control frames
    /// that are fragmented or longer than 125 bytes, a length in a longer form
    /// than needed, and a 64-bit length with its top bit set.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((&[first, second], rest)) = input.split_first_chunk::<2>() else {
            // One byte is enough to refuse a frame that can never be right.
            return input.first().map_or(Ok(None), |first| parse_first(*first).map(|_| None));
        };
        let (fin, opcode) = parse_first(first)?;
        if opcode.is_control() && second & 0x7f > MAX_CONTROL as u8 {
            return Err(ProtocolError::ControlTooLong);
        }
        let Some((payload_len, taken)) = parse_len(second & 0x7f, rest)? else { return Ok(None) };
        let mut used = 2 + taken;
        let mut mask = None;
        if second & 0x80 != 0 {
            let Some(key) = input.get(used..).and_then(<[u8]>::first_chunk::<4>) else {
                return Ok(None);
            };
            mask = Some(*key);
            used += 4;
        }
        Ok(Some((Self { fin, opcode, mask, payload_len }, used)))
    }

    /// Appends the header to `out`, with the length in its shortest form: 2 to
    /// 14 bytes.
    pub fn put(&self, out: &mut BytesMut) {
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        out.put_u8(if self.fin { 0x80 } else { 0 } | self.opcode.bits());
        match self.payload_len {
            len @ 0..=125 => out.put_u8(masked | len as u8),
            len @ 126..=0xffff => {
                out.put_u8(masked | 126);
                out.put_u16(len as u16);
            }
            len => {
                out.put_u8(masked | 127);
                out.put_u64(len);
            }
        }
        if let Some(key) = self.mask {
            out.put_slice(&key);
        }
    }
}

fn parse_first(byte: u8) -> Result<(bool, OpCode), ProtocolError> {
    if byte & 0x70 != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    let (fin, opcode) = (byte & 0x80 != 0, OpCode::parse(byte & 0x0f)?);
    if opcode.is_control() && !fin {
        return Err(ProtocolError::FragmentedControl);
    }
    Ok((fin, opcode))
}

/// Reads the extended length; the second value is how many bytes it took.
fn parse_len(short: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, ProtocolError> {
    let (len, taken, least) = match short {
        126 => match rest.first_chunk::<2>() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2, 126),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 8, 0x1_0000),
            None => return Ok(None),
        },
        short => (u64::from(short), 0, 0),
    };
    if len >> 63 != 0 {
        return Err(ProtocolError::LengthTopBit);
    }
    if len < least {
        return Err(ProtocolError::NonMinimalLength);
    }
    Ok(Some((len, taken)))
}

#[cfg(test)]
mod tests;
