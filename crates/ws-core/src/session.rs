//! One end of a WebSocket after the opening handshake: who masks, what may
//! follow what, pongs, and the closing handshake. No I/O and no clock.
//!
//! ```text
//!            close()                    peer's close
//!   Open ---------------> Closing ---------------------> Ended
//!    |  \___ peer's close: echoed ____________________/    ^
//!    |______ a broken rule: close frame with its code _____|
//! ```

use bytes::{Bytes, BytesMut};

use crate::{
    decode::{Decoder, Found},
    encode::Encoder,
    error::Error,
    frame::{CloseFrame, MAX_CONTROL, OpCode, ProtocolError},
    limits::Limits,
    mask::Keys,
    message::{Message, MessageRef},
    role::Role,
    utf8::{Utf8Bytes, validated},
};

/// The input block of a connection on which little is said: thousands may wait at a time.
const READ_ROOM: usize = 4 << 10;

/// That of one whose reads fill it.
const MAX_READ_ROOM: usize = 4 * READ_ROOM;

/// The protocol core of one connection.
///
/// Drive it in this loop; calls that are not needed are harmless:
///
/// 1. put what the peer sent into [`input`](Self::input);
/// 2. call [`poll_event`](Self::poll_event) until it returns `None`;
/// 3. write [`poll_transmit`](Self::poll_transmit), and report it with
///    [`transmitted`](Self::transmitted), until it returns `None`.
///
/// # Examples
///
/// ```
/// use ws_core::{Limits, Message, Session};
///
/// let mut server = Session::server(Limits::default());
/// server.input().extend_from_slice(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]);
/// server.input().extend_from_slice(&[0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// assert_eq!(server.poll_event()?, Some(Message::text("Hello")));
/// # Ok::<(), ws_core::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Session {
    decoder: Decoder,
    encoder: Encoder,
    input: BytesMut,
    /// What the input block has at least when it is made; half of it is room for a read.
    read_room: usize,
    max_out: usize,
    max_frame_out: usize,
    /// The newest ping that is not answered yet. A pong may answer only the
    /// latest ping (RFC 6455, section 5.5.3), so one is all we ever hold.
    pong: Option<Bytes>,
    state: State,
    close_frame: Option<CloseFrame>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Open,
    /// Our close frame is out, the peer's is not here.
    Closing,
    /// Close frames were exchanged, or the peer broke a rule.
    Ended,
}

impl Session {
    /// The client's end; `keys` mask what is sent.
    #[must_use]
    pub fn client(limits: Limits, keys: Keys) -> Self {
        Self::new(Role::Client, limits, Some(keys))
    }

    /// The server's end.
    #[must_use]
    pub fn server(limits: Limits) -> Self {
        Self::new(Role::Server, limits, None)
    }

    fn new(role: Role, limits: Limits, keys: Option<Keys>) -> Self {
        Self {
            decoder: Decoder::new(role, limits),
            encoder: Encoder::new(keys),
            input: BytesMut::new(),
            read_room: READ_ROOM,
            // With none, nobody could ever send.
            max_out: limits.max_out.max(1),
            max_frame_out: limits.max_frame_out,
            pong: None,
            state: State::Open,
            close_frame: None,
        }
    }

    /// Returns the block into which received bytes go, with room for more.
    pub fn input(&mut self) -> &mut BytesMut {
        self.decoder.release(&mut self.input);
        if self.input.capacity() - self.input.len() < self.read_room / 2 {
            self.input.reserve(self.read_room);
        }
        &mut self.input
    }

    /// Returns the next message; `None` means that more input is needed or
    /// that the connection has ended.
    ///
    /// # Errors
    ///
    /// A [`ProtocolError`], once: the peer's close frame is queued, and nothing
    /// it sends afterwards is looked at.
    pub fn poll_event(&mut self) -> Result<Option<Message>, ProtocolError> {
        Ok(self.find()?.map(|found| self.take(found)))
    }

    /// [`poll_event`](Self::poll_event) without a copy: the message is lent, and
    /// gone with the next call.
    ///
    /// # Errors
    ///
    /// As [`poll_event`](Self::poll_event).
    pub fn poll_event_ref(&mut self) -> Result<Option<MessageRef<'_>>, ProtocolError> {
        Ok(self.find()?.map(|found| self.view(found)))
    }

    /// Finds the next message; [`take`](Self::take) or [`view`](Self::view) then
    /// gives it.
    pub(crate) fn find(&mut self) -> Result<Option<Found>, ProtocolError> {
        if self.input.len() >= READ_ROOM / 2 && self.input.len() == self.input.capacity() {
            self.read_room = MAX_READ_ROOM;
        }
        while self.state != State::Ended {
            let found = match self.decoder.find(&mut self.input) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.fail(error)),
            };
            let payload = self.decoder.view(found, &self.input);
            match found.kind {
                OpCode::Close => match CloseFrame::parse(payload) {
                    Ok(frame) => self.handle_close(frame),
                    Err(error) => return Err(self.fail(error)),
                },
                OpCode::Ping => {
                    self.pong = Some(Bytes::copy_from_slice(payload));
                    return Ok(Some(found));
                }
                _ => return Ok(Some(found)),
            }
        }
        Ok(None)
    }

    /// Takes what was found last; short messages are copied out of the block.
    pub(crate) fn take(&mut self, found: Found) -> Message {
        let payload = self.decoder.take(found, &mut self.input);
        match found.kind {
            OpCode::Text => Message::Text(Utf8Bytes::from_validated(payload)),
            OpCode::Ping => Message::Ping(payload),
            OpCode::Pong => Message::Pong(payload),
            _ => Message::Binary(payload),
        }
    }

    /// Lends what was found last.
    pub(crate) fn view(&self, found: Found) -> MessageRef<'_> {
        let payload = self.decoder.view(found, &self.input);
        match found.kind {
            OpCode::Text => MessageRef::Text(validated(payload)),
            OpCode::Ping => MessageRef::Ping(payload),
            OpCode::Pong => MessageRef::Pong(payload),
            _ => MessageRef::Binary(payload),
        }
    }

    /// Queues a message; see [`has_room`](Self::has_room).
    ///
    /// # Errors
    ///
    /// - [`Error::Closed`] once a close frame was sent or received.
    /// - [`Error::Config`] for a ping or pong over 125 bytes.
    /// - [`Error::Io`] if there is no mask key to be had.
    pub fn send(&mut self, message: &Message) -> Result<(), Error> {
        if self.state != State::Open {
            return Err(Error::Closed);
        }
        let (opcode, payload): (_, &[u8]) = match message {
            Message::Text(text) => (OpCode::Text, text.as_ref()),
            Message::Binary(bytes) => (OpCode::Binary, bytes),
            Message::Ping(bytes) => (OpCode::Ping, bytes),
            Message::Pong(bytes) => (OpCode::Pong, bytes),
        };
        if opcode.is_control() && payload.len() > MAX_CONTROL {
            return Err(Error::Config("a ping or pong takes at most 125 bytes".into()));
        }
        // A busy sender may never come to an empty block; its peer must not take
        // it for dead. One pong a message of our own stays bounded.
        self.put_pong().map_err(Error::Io)?;
        self.encoder.put_message(opcode, payload, self.max_frame_out).map_err(Error::Io)
    }

    /// Begins the closing handshake; a second call changes nothing.
    ///
    /// # Errors
    ///
    /// - [`Error::Config`] if `frame` has a code that must not be sent.
    /// - [`Error::Io`] if there is no mask key to be had.
    pub fn close(&mut self, frame: Option<&CloseFrame>) -> Result<(), Error> {
        if let Some(frame) = frame
            && !frame.code.is_allowed_on_wire()
        {
            return Err(Error::Config(format!("close code {} must not be sent", frame.code)));
        }
        if self.state == State::Open {
            self.state = State::Closing;
            self.put_close(frame).map_err(Error::Io)?;
        }
        Ok(())
    }

    /// Returns the next bytes for the peer.
    pub fn poll_transmit(&mut self) -> Option<&[u8]> {
        // The pong waits until what is queued is written: the peer that reads
        // nothing gets one pong, however many pings it sends.
        if self.encoder.pending().is_empty() && self.state == State::Open {
            self.put_pong().ok()?;
        }
        Some(self.encoder.pending()).filter(|bytes| !bytes.is_empty())
    }

    /// Reports that the first `written` bytes of
    /// [`poll_transmit`](Self::poll_transmit) are on their way.
    pub fn transmitted(&mut self, written: usize) {
        self.encoder.written(written);
    }

    /// Returns whether fewer than [`Limits::max_out`] bytes wait to be written.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.encoder.pending().len() < self.max_out
    }

    /// Returns whether anything waits to be written.
    #[must_use]
    pub fn has_transmit(&self) -> bool {
        !self.encoder.pending().is_empty() || (self.pong.is_some() && self.state == State::Open)
    }

    /// Returns whether the closing handshake is complete or the peer broke a
    /// rule: no more events will come.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Returns whether messages may be sent: no close was sent or received.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Returns the close frame that the peer sent, if it gave a code.
    #[must_use]
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.close_frame.as_ref()
    }

    /// Echoes only the code (RFC 6455, section 5.5.1): the reason is the
    /// peer's own.
    fn handle_close(&mut self, frame: Option<CloseFrame>) {
        if self.state == State::Open {
            let echo = frame.as_ref().map(|f| CloseFrame::new(f.code, ""));
            // Without a mask key the close frame is left out; the end is the same.
            let _unsent = self.put_close(echo.as_ref());
        }
        self.close_frame = frame;
        self.state = State::Ended;
    }

    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        if self.state == State::Open {
            let _unsent = self.put_close(Some(&CloseFrame::new(error.close_code(), "")));
        }
        self.state = State::Ended;
        error
    }

    fn put_pong(&mut self) -> std::io::Result<()> {
        match self.pong.take() {
            Some(pong) => self.encoder.put(OpCode::Pong, true, &pong),
            None => Ok(()),
        }
    }

    fn put_close(&mut self, frame: Option<&CloseFrame>) -> std::io::Result<()> {
        let payload = frame.map(CloseFrame::payload).unwrap_or_default();
        self.encoder.put(OpCode::Close, true, &payload)
    }
}

#[cfg(test)]
mod tests;
