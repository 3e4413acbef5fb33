//! Where mask keys come from.

use std::{fmt, io};

/// Keys handed out per call to the source: one call for 64 frames.
const BLOCK: usize = 256;

type Source = Box<dyn FnMut(&mut [u8]) -> io::Result<()> + Send + Sync>;

/// A stream of mask keys.
///
/// A client must mask each frame with a fresh key that nobody can predict
/// (RFC 6455, section 10.3). The source is asked for 256 bytes at a time, which
/// are then handed out four by four.
pub struct Keys {
    source: Source,
    block: Vec<u8>,
}

impl Keys {
    /// Keys from the operating system's random source.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn system() -> Self {
        Self::from_source(|block| getrandom::fill(block).map_err(io::Error::other))
    }

    /// Keys from `source`, which fills the slice it is given.
    ///
    /// For tests that need the same bytes on every run. On a real network a
    /// predictable source lets a page's script choose the bytes on the wire.
    #[must_use]
    pub fn from_source(
        source: impl FnMut(&mut [u8]) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { source: Box::new(source), block: Vec::new() }
    }

    /// Returns the next key.
    pub(crate) fn next_key(&mut self) -> io::Result<[u8; 4]> {
        if self.block.len() < 4 {
            self.block.resize(BLOCK, 0);
            if let Err(error) = (self.source)(&mut self.block) {
                // What may be half filled must never be used as a key.
                self.block.clear();
                return Err(error);
            }
        }
        let at = self.block.len() - 4;
        let key = self.block.last_chunk().copied().unwrap_or_default();
        self.block.truncate(at);
        Ok(key)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}
