//! A message that does not come in one piece.

use bytes::Bytes;

use crate::{
    frame::{OpCode, ProtocolError},
    mask::mask_append,
    utf8::{Utf8Error, Utf8Stream},
};

/// Most bytes reserved for a message ahead of its arrival. A header alone must
/// not make us allocate what it declares.
const RESERVE_AHEAD: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Assembly {
    data: Vec<u8>,
    /// Follows a text; a binary message has none.
    utf8: Option<Utf8Stream>,
    fragments: u32,
}

impl Assembly {
    /// Begins a message of `kind`.
    pub(crate) fn new(kind: OpCode) -> Self {
        let utf8 = (kind == OpCode::Text).then(Utf8Stream::new);
        Self { data: Vec::new(), utf8, fragments: 0 }
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(crate) fn into_data(self) -> Bytes {
        self.data.into()
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
        piece: &[u8],
        missing: usize,
        mask: Option<[u8; 4]>,
        done: usize,
    ) -> Result<(), ProtocolError> {
        self.reserve(piece.len(), missing);
        let from = self.data.len();
        match mask {
            Some(key) => mask_append(&mut self.data, piece, key, done),
            None => self.data.extend_from_slice(piece),
        }
        match &mut self.utf8 {
            Some(utf8) => utf8.push(self.data.get(from..).unwrap_or_default()).map_err(invalid),
            None => Ok(()),
        }
    }

    /// Checks that a text does not end inside a character.
    pub(crate) fn finish(&self) -> Result<(), ProtocolError> {
        self.utf8.as_ref().map_or(Ok(()), |utf8| utf8.finish().map_err(invalid))
    }

    /// Grows by what the frame declares or by doubling, for many small frames,
    /// but never by more than [`RESERVE_AHEAD`] beyond what is here. A vector
    /// left to itself doubles at any size, and would hold 16 MiB for the 8 that
    /// came.
    fn reserve(&mut self, now: usize, missing: usize) {
        if self.data.capacity() - self.data.len() < now {
            let ahead = missing.max(self.data.len()).min(RESERVE_AHEAD);
            self.data.reserve_exact(ahead.max(now));
        }
    }
}

const fn invalid(error: Utf8Error) -> ProtocolError {
    ProtocolError::InvalidUtf8 { at: error.at }
}
