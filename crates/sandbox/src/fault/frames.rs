//! Follows WebSocket frames in one direction of a byte stream.

use ws_core::Header;

/// Finds where frames lie in what passes.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// The last bytes of the HTTP head, until it is over.
    head: [u8; 4],
    over: bool,
    /// Bytes of a header that is not complete.
    header: Vec<u8>,
    /// Payload bytes that still belong to the current frame.
    payload: u64,
    /// The number of the frame in which we are or that comes next.
    number: u64,
}

impl Frames {
    /// Takes what passed.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if !self.over {
                self.pass_head(*first);
                bytes = rest;
            } else if self.payload > 0 {
                let skip = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                self.payload -= skip as u64;
                bytes = bytes.get(skip..).unwrap_or_default();
                if self.payload == 0 {
                    self.number += 1;
                }
            } else {
                self.pass_header(*first);
                bytes = rest;
            }
        }
    }

    /// Returns how many of `bytes` pass before the middle of the payload of
    /// frame `number`, if that lies within them.
    pub(super) fn until_middle(&self, number: u64, bytes: &[u8]) -> Option<usize> {
        let mut ahead = self.clone();
        for at in 0..=bytes.len() {
            if ahead.number == number && ahead.payload > 0 {
                // Half of what is still to come: a payload that comes in parts
                // is struck in its last one at the latest.
                let half = usize::try_from(ahead.payload / 2).unwrap_or(usize::MAX);
                return Some(at.saturating_add(half)).filter(|at| *at <= bytes.len());
            }
            ahead.pass(bytes.get(at..at + 1)?);
        }
        None
    }

    fn pass_head(&mut self, byte: u8) {
        let [_, a, b, c] = self.head;
        self.head = [a, b, c, byte];
        self.over = self.head == *b"\r\n\r\n";
    }

    fn pass_header(&mut self, byte: u8) {
        self.header.push(byte);
        // What is no frame is left to the two ends to judge.
        match Header::parse(&self.header) {
            Ok(None) => {}
            Ok(Some((header, _))) => {
                self.header.clear();
                self.payload = header.payload_len;
                if self.payload == 0 {
                    self.number += 1;
                }
            }
            Err(_) => self.header.clear(),
        }
    }
}
