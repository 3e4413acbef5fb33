//! Which Centrifugo: generations, versions, and what a version speaks.

use std::fmt;

/// A version of Centrifugo.
///
/// # Examples
///
/// ```
/// use cent::Version;
/// assert!(Version::new(5, 2, 0) < Version::newest(5));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version {
    major: u8,
    minor: u8,
    patch: u8,
}

impl Version {
    /// Names a version.
    #[must_use]
    pub const fn new(major: u8, minor: u8, patch: u8) -> Self {
        Self { major, minor, patch }
    }

    /// The newest version of a generation: what has come to it by any of its
    /// releases is there.
    #[must_use]
    pub const fn newest(major: u8) -> Self {
        Self { major, minor: u8::MAX, patch: u8::MAX }
    }

    /// Returns the generation, 0 to 6.
    #[must_use]
    pub const fn major(self) -> u8 {
        self.major
    }

    /// Returns how this version is spoken to.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self.major {
            0 => Dialect::Project,
            1 => Dialect::Signed,
            2..=4 => Dialect::Stream,
            _ => Dialect::Method,
        }
    }
}

impl fmt::Display for Version {
    /// `5.2.0`, or `5` for the newest of a generation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { major, minor: u8::MAX, .. } => write!(f, "{major}"),
            Self { major, minor, patch } => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

/// How commands and replies travel (docs/protocols/cent.md, 1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Dialect {
    /// One endpoint a method, and one for batches: v5 and v6.
    Method,
    /// A signed array, the project's key in path and signature: v0.
    Project,
    /// A signed array: v1.
    Signed,
    /// A stream of objects on one endpoint: v2 to v4.
    Stream,
}
