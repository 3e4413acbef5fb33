//! A shared text: `Bytes` known to be UTF-8.

use std::{fmt, ops::Deref};

use bytes::Bytes;

use super::{Utf8Error, Utf8Stream};

/// Returns bytes that a [`Utf8Stream`] has followed to their end as text.
///
/// Only the decoder calls this: it finds texts, and finds none unchecked.
pub(crate) fn validated(bytes: &[u8]) -> &str {
    debug_assert!(std::str::from_utf8(bytes).is_ok());
    // SAFETY: the decoder has validated every text that it hands out, to its end.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

/// UTF-8 text in a shared buffer; cloning it copies no text.
///
/// # Examples
///
/// ```
/// let text = ws_core::Utf8Bytes::from("zebra");
/// assert_eq!(text.as_str(), "zebra");
/// ```
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Utf8Bytes(Bytes);

impl Utf8Bytes {
    /// Wraps bytes that a [`Utf8Stream`] has followed to their end. Callers
    /// other than the decoder go through `TryFrom`.
    pub(crate) fn from_validated(bytes: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&bytes).is_ok());
        Self(bytes)
    }

    /// Wraps text that lives for ever; nothing is copied.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // SAFETY: every constructor takes a `str`, or bytes that were validated
        // to their end, and `Bytes` cannot change afterwards.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// Returns the buffer under the text.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Utf8Bytes {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for Utf8Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        let mut check = Utf8Stream::new();
        check.push(&bytes)?;
        check.finish()?;
        Ok(Self::from_validated(bytes))
    }
}

impl fmt::Debug for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
