//! Bytes to messages. All state is in the struct: the input may be cut at any
//! byte, and a caller that stops between two calls loses nothing.

use bytes::{Buf, Bytes, BytesMut};

use crate::{
    frame::{CloseFrame, Header, OpCode, ProtocolError},
    limits::Limits,
    mask::{mask_append, mask_in_place},
    role::Role,
    utf8::{Utf8Bytes, Utf8Stream},
};

/// Payloads up to this length are copied out of the read block; longer ones
/// share it. A copy this short costs what splitting costs, and a small message
/// that is kept does not keep the whole block alive.
const COPY_OUT: usize = 1024;

/// Most bytes reserved for a message ahead of its arrival. A header alone must
/// not make us allocate what it declares.
const RESERVE_AHEAD: usize = 256 << 10;

/// What the peer sent, put together.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Incoming {
    Text(Utf8Bytes),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    Close(Option<CloseFrame>),
}

#[derive(Debug)]
pub(crate) struct Decoder {
    /// Our own role: what the peer must mask follows from it.
    role: Role,
    limits: Limits,
    frame: Option<Frame>,
    message: Option<Assembly>,
}

/// The data frame whose payload is arriving.
#[derive(Debug)]
struct Frame {
    header: Header,
    /// Payload bytes already moved into the assembly.
    done: usize,
}

/// A message that did not come in one piece.
#[derive(Debug)]
struct Assembly {
    data: BytesMut,
    /// Follows a text; a binary message has none.
    utf8: Option<Utf8Stream>,
    fragments: u32,
}

impl Decoder {
    pub(crate) const fn new(role: Role, limits: Limits) -> Self {
        Self { role, limits, frame: None, message: None }
    }

    /// Takes the next message or control frame from the front of `input`;
    /// `None` means that more bytes are needed.
    pub(crate) fn decode(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<Incoming>, ProtocolError> {
        loop {
            if self.frame.is_some() {
                match self.take_payload(input)? {
                    Taken::Message(message) => return Ok(Some(message)),
                    Taken::Fragment => continue,
                    Taken::Incomplete => return Ok(None),
                }
            }
            let Some((header, used)) = Header::parse(input)? else { return Ok(None) };
            self.check(&header)?;
            let len = header.payload_len as usize;
            let whole = input.len() - used >= len;
            if header.opcode.is_control() {
                if !whole {
                    return Ok(None);
                }
                input.advance(used);
                return control(header, input.split_to(len)).map(Some);
            }
            input.advance(used);
            // A message that is here in one piece needs no assembly.
            if whole && header.fin && self.message.is_none() {
                return single(header, input, len).map(Some);
            }
            self.begin(header);
        }
    }

    fn check(&self, header: &Header) -> Result<(), ProtocolError> {
        match (self.role, header.mask) {
            (Role::Client, Some(_)) => return Err(ProtocolError::MaskedByServer),
            (Role::Server, None) => return Err(ProtocolError::UnmaskedByClient),
            _ => {}
        }
        let held = self.message.as_ref().map_or(0, |m| m.data.len());
        match (header.opcode, &self.message) {
            (OpCode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (OpCode::Text | OpCode::Binary, Some(_)) => {
                return Err(ProtocolError::ExpectedContinuation);
            }
            _ => {}
        }
        if header.opcode.is_control() {
            return Ok(());
        }
        if header.payload_len > self.limits.max_frame as u64 {
            return Err(ProtocolError::FrameTooBig);
        }
        // Checked against what the header declares, before a byte is kept.
        if header.payload_len > self.limits.max_message.saturating_sub(held) as u64 {
            return Err(ProtocolError::MessageTooBig);
        }
        if self.message.as_ref().is_some_and(|m| m.fragments >= self.limits.max_fragments) {
            return Err(ProtocolError::TooManyFragments);
        }
        Ok(())
    }

    fn begin(&mut self, header: Header) {
        let message = self.message.get_or_insert_with(|| Assembly {
            data: BytesMut::new(),
            utf8: (header.opcode == OpCode::Text).then(Utf8Stream::new),
            fragments: 0,
        });
        message.fragments += 1;
        self.frame = Some(Frame { header, done: 0 });
    }

    /// Moves what has arrived of the current frame into the assembly, checking
    /// text as it comes: a bad byte fails the message at once, not at its end.
    fn take_payload(&mut self, input: &mut BytesMut) -> Result<Taken, ProtocolError> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else {
            return Ok(Taken::Incomplete);
        };
        let missing = frame.header.payload_len as usize - frame.done;
        let now = missing.min(input.len());
        let Some(piece) = input.get(..now) else { return Ok(Taken::Incomplete) };
        if message.data.capacity() - message.data.len() < now {
            message.data.reserve(missing.min(RESERVE_AHEAD).max(now));
        }
        let from = message.data.len();
        match frame.header.mask {
            Some(key) => mask_append(&mut message.data, piece, key, frame.done),
            None => message.data.extend_from_slice(piece),
        }
        input.advance(now);
        frame.done += now;
        if let Some(utf8) = &mut message.utf8 {
            utf8.push(message.data.get(from..).unwrap_or_default()).map_err(invalid_utf8)?;
        }
        if now < missing {
            return Ok(Taken::Incomplete);
        }
        let fin = frame.header.fin;
        self.frame = None;
        if !fin {
            return Ok(Taken::Fragment);
        }
        self.message.take().map_or(Ok(Taken::Incomplete), |m| m.finish().map(Taken::Message))
    }
}

enum Taken {
    Message(Incoming),
    Fragment,
    Incomplete,
}

impl Assembly {
    fn finish(self) -> Result<Incoming, ProtocolError> {
        let Some(utf8) = self.utf8 else { return Ok(Incoming::Binary(self.data.freeze())) };
        utf8.finish().map_err(invalid_utf8)?;
        Ok(Incoming::Text(Utf8Bytes::from_validated(self.data.freeze())))
    }
}

fn single(header: Header, input: &mut BytesMut, len: usize) -> Result<Incoming, ProtocolError> {
    if let (Some(key), Some(payload)) = (header.mask, input.get_mut(..len)) {
        mask_in_place(payload, key, 0);
    }
    let text = header.opcode == OpCode::Text;
    if text && simdutf8::basic::from_utf8(input.get(..len).unwrap_or_default()).is_err() {
        return Err(find_bad_byte(input.get(..len).unwrap_or_default()));
    }
    let payload = if len <= COPY_OUT {
        let copy = Bytes::copy_from_slice(input.get(..len).unwrap_or_default());
        input.advance(len);
        copy
    } else {
        input.split_to(len).freeze()
    };
    Ok(if text {
        Incoming::Text(Utf8Bytes::from_validated(payload))
    } else {
        Incoming::Binary(payload)
    })
}

fn control(header: Header, mut payload: BytesMut) -> Result<Incoming, ProtocolError> {
    if let Some(key) = header.mask {
        mask_in_place(&mut payload, key, 0);
    }
    Ok(match header.opcode {
        OpCode::Ping => Incoming::Ping(Bytes::copy_from_slice(&payload)),
        OpCode::Pong => Incoming::Pong(Bytes::copy_from_slice(&payload)),
        _ => Incoming::Close(CloseFrame::parse(&payload)?),
    })
}

#[cold]
fn find_bad_byte(text: &[u8]) -> ProtocolError {
    let mut check = Utf8Stream::new();
    let verdict = check.push(text).and_then(|()| check.finish());
    verdict.map_or_else(invalid_utf8, |()| ProtocolError::InvalidUtf8 { at: text.len() })
}

const fn invalid_utf8(error: crate::utf8::Utf8Error) -> ProtocolError {
    ProtocolError::InvalidUtf8 { at: error.at }
}
