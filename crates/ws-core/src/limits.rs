//! What a peer may make us hold.

/// Bounds on what a connection accepts and keeps. Every bound has a default;
/// none can be switched off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest payload of one incoming frame in bytes. Default 16 MiB. A longer
    /// declared length is refused before anything is reserved.
    pub max_frame: usize,
    /// Largest incoming message in bytes, all fragments together. Default
    /// 16 MiB; at most this much is held for a message that is not complete.
    pub max_message: usize,
    /// Most frames in one incoming message, empty ones included. Default 65,536.
    pub max_fragments: u32,
    /// Bytes that may wait to be written before a sender has to wait. Default
    /// 1 MiB, at least 1; a single message may exceed it by its own length.
    pub max_out: usize,
    /// Largest payload of one outgoing frame in bytes, at least 1; a longer
    /// message is sent in several. Default: no limit, one message is one frame.
    pub max_frame_out: usize,
    /// Largest head of the opening handshake in bytes. Default 16 KiB.
    pub max_head: usize,
    /// Most header lines in the opening handshake, 1 to 124. Default 64.
    pub max_headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 16 << 20,
            max_message: 16 << 20,
            max_fragments: 65_536,
            max_out: 1 << 20,
            max_frame_out: usize::MAX,
            max_head: 16 << 10,
            max_headers: 64,
        }
    }
}

impl Limits {
    /// Sets the largest incoming message, and the largest frame with it.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self.max_frame = bytes;
        self
    }

    /// Sets the largest payload of one incoming frame.
    #[must_use]
    pub const fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Sets the most frames in one incoming message.
    #[must_use]
    pub const fn max_fragments(mut self, frames: u32) -> Self {
        self.max_fragments = frames;
        self
    }

    /// Sets how many bytes may wait to be written.
    #[must_use]
    pub const fn max_out(mut self, bytes: usize) -> Self {
        self.max_out = bytes;
        self
    }

    /// Sets the largest payload of one outgoing frame.
    #[must_use]
    pub const fn max_frame_out(mut self, bytes: usize) -> Self {
        self.max_frame_out = bytes;
        self
    }
}
