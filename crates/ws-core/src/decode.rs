//! Bytes to messages. All state is in the struct: the input may be cut at any
//! byte, and a caller that stops between two calls loses nothing.

use bytes::{Buf, Bytes, BytesMut};

use crate::{
    assembly::Assembly,
    frame::{Header, OpCode, ProtocolError},
    limits::Limits,
    mask::mask_in_place,
    role::Role,
    utf8::Utf8Stream,
};

/// Payloads up to this length are copied out of the read block; longer ones
/// share it. A copy this short costs what splitting costs, and a small message
/// that is kept does not keep the whole block alive.
const COPY_OUT: usize = 1024;

/// A whole message, or a control frame: what it is, and where its payload lies.
///
/// It stays there, unmasked and checked, until the next call of
/// [`Decoder::find`] or [`Decoder::release`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Found {
    /// Text, binary or one of the control frames.
    pub(crate) kind: OpCode,
    place: Place,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// The first bytes of the input.
    Input(usize),
    /// The message that was put together.
    Assembly,
}

#[derive(Debug)]
pub(crate) struct Decoder {
    /// Our own role: what the peer must mask follows from it.
    role: Role,
    limits: Limits,
    frame: Option<Frame>,
    message: Option<Assembly>,
    /// What was found last and is still where it was.
    lent: Option<Place>,
}

/// The data frame whose payload is arriving.
#[derive(Debug)]
struct Frame {
    header: Header,
    /// Payload bytes already moved into the assembly.
    done: usize,
}

impl Decoder {
    pub(crate) const fn new(role: Role, limits: Limits) -> Self {
        Self { role, limits, frame: None, message: None, lent: None }
    }

    /// Finds the next message or control frame at the front of `input`; `None`
    /// means that more bytes are needed.
    pub(crate) fn find(&mut self, input: &mut BytesMut) -> Result<Option<Found>, ProtocolError> {
        self.release(input);
        let found = self.next(input)?;
        self.lent = found.map(|found| found.place);
        Ok(found)
    }

    /// Lets go of what was found last.
    pub(crate) fn release(&mut self, input: &mut BytesMut) {
        match self.lent.take() {
            Some(Place::Input(len)) => input.advance(len),
            Some(Place::Assembly) => self.message = None,
            None => {}
        }
    }

    /// The payload of what was found last.
    pub(crate) fn view<'a>(&'a self, found: Found, input: &'a BytesMut) -> &'a [u8] {
        match found.place {
            Place::Input(len) => input.get(..len).unwrap_or_default(),
            Place::Assembly => self.message.as_ref().map(Assembly::data).unwrap_or_default(),
        }
    }

    /// Takes the payload of what was found last out of its place.
    pub(crate) fn take(&mut self, found: Found, input: &mut BytesMut) -> Bytes {
        self.lent = None;
        match found.place {
            Place::Input(len) if len <= COPY_OUT => {
                let copy = Bytes::copy_from_slice(input.get(..len).unwrap_or_default());
                input.advance(len);
                copy
            }
            Place::Input(len) => input.split_to(len).freeze(),
            Place::Assembly => self.message.take().map(Assembly::into_data).unwrap_or_default(),
        }
    }

    fn next(&mut self, input: &mut BytesMut) -> Result<Option<Found>, ProtocolError> {
        loop {
            if self.frame.is_some() {
                match self.take_payload(input)? {
                    Taken::Message(kind) => {
                        return Ok(Some(Found { kind, place: Place::Assembly }));
                    }
                    Taken::Fragment => continue,
                    Taken::Incomplete => return Ok(None),
                }
            }
            let Some((header, used)) = Header::parse(input)? else { return Ok(None) };
            self.check(&header)?;
            let len = header.payload_len as usize;
            let whole = input.len() - used >= len;
            if header.opcode.is_control() && !whole {
                return Ok(None);
            }
            input.advance(used);
            // A message that is here in one piece needs no assembly.
            let single = whole && header.fin && self.message.is_none();
            if single || header.opcode.is_control() {
                return in_place(header, input, len).map(Some);
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
        let held = self.message.as_ref().map_or(0, Assembly::len);
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
        if self.message.as_ref().is_some_and(|m| m.fragments() >= self.limits.max_fragments) {
            return Err(ProtocolError::TooManyFragments);
        }
        Ok(())
    }

    fn begin(&mut self, header: Header) {
        let (kind, most) = (header.opcode, self.limits.max_message);
        self.message.get_or_insert_with(|| Assembly::new(kind, most)).begin_fragment();
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
        let piece = input.get(..now).unwrap_or_default();
        message.append(piece, missing, frame.header.mask, frame.done)?;
        input.advance(now);
        frame.done += now;
        if now < missing {
            return Ok(Taken::Incomplete);
        }
        let fin = frame.header.fin;
        self.frame = None;
        if !fin {
            return Ok(Taken::Fragment);
        }
        message.finish()?;
        Ok(Taken::Message(message.kind()))
    }
}

enum Taken {
    Message(OpCode),
    Fragment,
    Incomplete,
}

/// Unmasks and checks a frame whose payload is the first `len` bytes of `input`.
fn in_place(header: Header, input: &mut BytesMut, len: usize) -> Result<Found, ProtocolError> {
    let payload = input.get_mut(..len).unwrap_or_default();
    if let Some(key) = header.mask {
        mask_in_place(payload, key, 0);
    }
    if header.opcode == OpCode::Text && simdutf8::basic::from_utf8(payload).is_err() {
        return Err(find_bad_byte(payload));
    }
    Ok(Found { kind: header.opcode, place: Place::Input(len) })
}

#[cold]
fn find_bad_byte(text: &[u8]) -> ProtocolError {
    let mut check = Utf8Stream::new();
    let verdict = check.push(text).and_then(|()| check.finish());
    ProtocolError::InvalidUtf8 { at: verdict.map_or_else(|error| error.at, |()| text.len()) }
}
