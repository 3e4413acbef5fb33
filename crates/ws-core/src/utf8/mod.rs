//! UTF-8 validation that follows a text message as it arrives.

#![allow(unsafe_code, reason = "a checked buffer is viewed as str; SAFETY at the block")]

mod text;

use std::fmt;

pub use text::Utf8Bytes;
pub(crate) use text::validated;

/// Validates UTF-8 in pieces, and fails at the first byte that cannot be part
/// of any valid text.
///
/// The verdict does not depend on how the text is cut: fed byte by byte or at
/// once, the same input fails at the same byte. What lies between the borders
/// of a piece is checked by SIMD; only an unfinished character at the end of a
/// piece is followed byte by byte.
///
/// # Examples
///
/// ```
/// let mut check = ws_core::Utf8Stream::new();
/// check.push(&[0xe2, 0x82])?;         // two bytes of the euro sign
/// check.push(&[0xac])?;               // and the third
/// check.finish()?;
/// # Ok::<(), ws_core::Utf8Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    /// What the character in progress still needs.
    open: Open,
    /// Bytes accepted so far.
    seen: usize,
}

/// The continuation bytes that an unfinished character still needs, and the
/// range in which the next one must lie. The range is narrower than
/// `80..=BF` after E0, ED, F0 and F4 (overlong forms, surrogates, past
/// U+10FFFF).
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    missing: u8,
    low: u8,
    high: u8,
}

impl Utf8Stream {
    /// Starts at the beginning of a text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the next piece.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] naming the first impossible byte, counted from the
    /// beginning of the text. After an error the stream must not be fed again.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Utf8Error> {
        let mut rest = piece;
        while self.open.missing > 0 {
            let Some((byte, after)) = rest.split_first() else { return Ok(()) };
            self.step(*byte)?;
            rest = after;
        }
        let (whole, tail) = rest.split_at(rest.len() - unfinished_tail(rest));
        if simdutf8::basic::from_utf8(whole).is_err() {
            return Err(self.first_bad(whole));
        }
        self.seen += whole.len();
        tail.iter().try_for_each(|byte| self.step(*byte))
    }

    /// Ends the text.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] when the text stops inside a character.
    pub fn finish(&self) -> Result<(), Utf8Error> {
        match self.open.missing {
            0 => Ok(()),
            _ => Err(Utf8Error { at: self.seen }),
        }
    }

    fn step(&mut self, byte: u8) -> Result<(), Utf8Error> {
        let next = if self.open.missing == 0 {
            lead(byte)
        } else if (self.open.low..=self.open.high).contains(&byte) {
            Some(Open { missing: self.open.missing - 1, low: 0x80, high: 0xbf })
        } else {
            None
        };
        self.open = next.ok_or(Utf8Error { at: self.seen })?;
        self.seen += 1;
        Ok(())
    }

    /// Finds the byte at which `whole`, known to be invalid, goes wrong. The
    /// fast check does not say, and only a failing message needs to know.
    #[cold]
    fn first_bad(&mut self, whole: &[u8]) -> Utf8Error {
        let valid = std::str::from_utf8(whole).map_or_else(|e| e.valid_up_to(), str::len);
        self.seen += valid;
        let rest = whole.iter().skip(valid);
        rest.copied().find_map(|byte| self.step(byte).err()).unwrap_or(Utf8Error { at: self.seen })
    }
}

/// What must follow a first byte; `None` if no character starts with it.
fn lead(byte: u8) -> Option<Open> {
    let (missing, low, high) = match byte {
        0x00..=0x7f => (0, 0, 0),
        0xc2..=0xdf => (1, 0x80, 0xbf),
        0xe0 => (2, 0xa0, 0xbf),
        0xed => (2, 0x80, 0x9f),
        0xe1..=0xef => (2, 0x80, 0xbf),
        0xf0 => (3, 0x90, 0xbf),
        0xf1..=0xf3 => (3, 0x80, 0xbf),
        0xf4 => (3, 0x80, 0x8f),
        _ => return None,
    };
    Some(Open { missing, low, high })
}

/// How many bytes at the end of `piece` begin a character that needs more than
/// the piece has: 0 to 3.
fn unfinished_tail(piece: &[u8]) -> usize {
    for (back, byte) in piece.iter().rev().take(3).enumerate() {
        let have = back + 1;
        match byte {
            0x80..=0xbf => {}
            0xc0..=0xdf => return if have < 2 { have } else { 0 },
            0xe0..=0xef => return if have < 3 { have } else { 0 },
            0xf0..=0xff => return if have < 4 { have } else { 0 },
            _ => return 0,
        }
    }
    0
}

/// A text is not UTF-8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Utf8Error {
    /// Index of the first impossible byte from the beginning of the text, or
    /// the text's length when it ends inside a character.
    pub at: usize,
}

impl fmt::Display for Utf8Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid UTF-8 at byte {}", self.at)
    }
}

impl std::error::Error for Utf8Error {}

#[cfg(test)]
mod tests;
