//! A message that does not come in one piece.

use bytes::Bytes;

use crate::{
    frame::{OpCode, ProtocolError},
    mask::mask_append,
    utf8::{Utf8Error, Utf8Stream},
};

/// Most bytes reserved for a message ahead of its arrival: a header alone must
/// not make us allocate what it declares. A longer message is kept in blocks of
/// this size and put together once it is complete, for a single buffer would
/// have to be copied, or to double, each time it grows.
const BLOCK: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Assembly {
    /// Blocks that are full, in order.
    full: Vec<Vec<u8>>,
    /// The block that is being filled; the whole message once it is complete.
    last: Vec<u8>,
    len: usize,
    /// What the message may grow to.
    most: usize,
    /// Follows a text; a binary message has none.
    utf8: Option<Utf8Stream>,
    fragments: u32,
}

impl Assembly {
    /// Begins a message of `kind`, of at most `most` bytes.
    pub(crate) fn new(kind: OpCode, most: usize) -> Self {
        let utf8 = (kind == OpCode::Text).then(Utf8Stream::new);
        Self { full: Vec::new(), last: Vec::new(), len: 0, most, utf8, fragments: 0 }
    }

    /// Bytes that have arrived.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The message, once [`finish`](Self::finish) has put it together.
    pub(crate) fn data(&self) -> &[u8] {
        &self.last
    }

    pub(crate) fn into_data(self) -> Bytes {
        self.last.into()
    }

    pub(crate) const fn fragments(&self) -> u32 {
        self.fragments
    }

    pub(crate) const fn kind(&self) -> OpCode {
        match self.utf8 {
            Some(_) => OpCode::Text,
            None => OpCode::Binary,
        }
    }

    pub(crate) const fn begin_fragment(&mut self) {
        self.fragments += 1;
    }

    /// Appends `piece`, the next of the `missing` bytes of a frame that has had
    /// `done`, and unmasks it with `mask` on the way.
    pub(crate) fn append(
        &mut self,
        mut piece: &[u8],
        missing: usize,
        mask: Option<[u8; 4]>,
        mut done: usize,
    ) -> Result<(), ProtocolError> {
        while !piece.is_empty() {
            self.make_room(missing.max(piece.len()));
            let from = self.last.len();
            let (now, later) = piece.split_at(piece.len().min(self.last.capacity() - from));
            match mask {
                Some(key) => mask_append(&mut self.last, now, key, done),
                None => self.last.extend_from_slice(now),
            }
            if let Some(utf8) = &mut self.utf8 {
                utf8.push(self.last.get(from..).unwrap_or_default()).map_err(invalid)?;
            }
            self.len += now.len();
            done += now.len();
            piece = later;
        }
        Ok(())
    }

    /// Puts the message together, and checks that a text does not end inside a
    /// character.
    pub(crate) fn finish(&mut self) -> Result<(), ProtocolError> {
        if let Some(utf8) = &self.utf8 {
            utf8.finish().map_err(invalid)?;
        }
        if !self.full.is_empty() {
            let mut whole = Vec::with_capacity(self.len);
            // Each block is let go as soon as it is copied.
            for block in self.full.drain(..) {
                whole.extend_from_slice(&block);
            }
            whole.extend_from_slice(&self.last);
            self.last = whole;
        }
        Ok(())
    }

    /// Makes room for at least one byte: for what the frame declares, or as much
    /// again as there is when many small frames come, but for one block at most.
    fn make_room(&mut self, missing: usize) {
        if self.last.len() < self.last.capacity() {
            return;
        }
        let bound = self.most.saturating_sub(self.len).clamp(1, BLOCK);
        let ahead = missing.max(self.len).min(bound);
        if self.len + ahead <= BLOCK {
            self.last.reserve_exact(ahead);
        } else {
            self.full
                .extend(Some(std::mem::take(&mut self.last)).filter(|block| !block.is_empty()));
            self.last = Vec::with_capacity(ahead);
        }
    }
}

const fn invalid(error: Utf8Error) -> ProtocolError {
    ProtocolError::InvalidUtf8 { at: error.at }
}
