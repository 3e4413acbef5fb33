//! Messages to bytes, in one contiguous block that is written in one go.

use std::io;

use bytes::{Buf, BytesMut};

use crate::{
    frame::{Header, OpCode},
    mask::{Keys, mask_append},
};

/// An emptied block larger than this is given back: one large message must not
/// cost its size for the rest of the connection.
const KEEP: usize = 16 << 10;

/// Bytes of the longest header: 2, a 64-bit length, a mask key.
const MAX_HEADER: usize = 14;

#[derive(Debug)]
pub(crate) struct Encoder {
    /// Present in the client role, which must mask (RFC 6455, section 5.3).
    keys: Option<Keys>,
    out: BytesMut,
    /// The most that `out` has held.
    most: usize,
}

impl Encoder {
    pub(crate) fn new(keys: Option<Keys>) -> Self {
        Self { keys, out: BytesMut::new(), most: 0 }
    }

    /// Appends a message or control frame, in frames of at most `max` bytes of
    /// payload each.
    pub(crate) fn put_message(
        &mut self,
        opcode: OpCode,
        mut payload: &[u8],
        max: usize,
    ) -> io::Result<()> {
        let mut opcode = opcode;
        while payload.len() > max.max(1) && !opcode.is_control() {
            let (now, later) = payload.split_at(max.max(1));
            self.put(opcode, false, now)?;
            (opcode, payload) = (OpCode::Continuation, later);
        }
        self.put(opcode, true, payload)
    }

    /// Appends one frame; copying and masking are a single pass.
    pub(crate) fn put(&mut self, opcode: OpCode, fin: bool, payload: &[u8]) -> io::Result<()> {
        let mask = self.keys.as_mut().map(Keys::next_key).transpose()?;
        let header = Header { fin, opcode, mask, payload_len: payload.len() as u64 };
        self.out.reserve(MAX_HEADER + payload.len());
        header.put(&mut self.out);
        match mask {
            Some(key) => mask_append(&mut self.out, payload, key, 0),
            None => self.out.extend_from_slice(payload),
        }
        self.most = self.most.max(self.out.len());
        Ok(())
    }

    /// The bytes that wait to be written.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.out
    }

    /// Drops `written` bytes from the front.
    pub(crate) fn written(&mut self, written: usize) {
        self.out.advance(written.min(self.out.len()));
        // The capacity does not tell: what was advanced over is not in it.
        if self.out.is_empty() && self.most > KEEP {
            (self.out, self.most) = (BytesMut::new(), 0);
        }
    }
}
