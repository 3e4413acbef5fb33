//! Names of groups.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::error::Error;

/// The name of a group of subscriptions that share one copy of a stream: a UUID.
///
/// Wire: `groupId` (docs/protocols/stream-sea.md, 8).
///
/// # Examples
///
/// ```
/// let group: stream_sea::GroupId = "6c2f3f0e-8c0f-4a4b-9a55-3f0d3f5a1c11".parse()?;
/// assert_eq!(group.to_string(), "6c2f3f0e-8c0f-4a4b-9a55-3f0d3f5a1c11");
/// # Ok::<(), stream_sea::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct GroupId(Uuid);

impl GroupId {
    /// Makes up a name that nobody else has.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl FromStr for GroupId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::misuse("group", "a group is named by a UUID in 8-4-4-4-12 form");
        // The parser takes other forms, too.
        match text.len() {
            36 => text.parse().map(Self).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}
