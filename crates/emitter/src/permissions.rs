//! What a channel key allows.

use std::{fmt, ops::BitOr, str::FromStr};

use crate::error::Error;

/// A set of permissions, written as letters in the order `rwslpex`.
///
/// Wire: `type` of a keygen request (docs/protocols/emitter.md, 4).
///
/// # Examples
///
/// ```
/// use emitter::Permissions;
///
/// let both = Permissions::READ | Permissions::WRITE;
/// assert_eq!(both.to_string(), "rw");
/// assert_eq!("wr".parse::<Permissions>().unwrap(), both);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Permissions(u8);

impl Permissions {
    /// No permission at all.
    pub const NONE: Self = Self(0);
    /// `r`: subscribe.
    pub const READ: Self = Self(2);
    /// `w`: publish.
    pub const WRITE: Self = Self(4);
    /// `s`: have published messages stored. Without it a message with a ttl is
    /// delivered, and silently not stored.
    pub const STORE: Self = Self(8);
    /// `l`: load stored messages. Without it a subscription is accepted, and nothing
    /// is loaded.
    pub const LOAD: Self = Self(16);
    /// `p`: presence.
    pub const PRESENCE: Self = Self(32);
    /// `e`: create private channels. Such a key cannot be used itself.
    pub const EXTEND: Self = Self(64);
    /// `x`: reserved by the broker.
    pub const EXECUTE: Self = Self(128);

    const LETTERS: [(char, Self); 7] = [
        ('r', Self::READ),
        ('w', Self::WRITE),
        ('s', Self::STORE),
        ('l', Self::LOAD),
        ('p', Self::PRESENCE),
        ('e', Self::EXTEND),
        ('x', Self::EXECUTE),
    ];

    /// Returns whether all of `other` is in here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut held = Self::LETTERS.iter().filter(|(_, one)| self.contains(*one));
        held.try_for_each(|(letter, _)| write!(f, "{letter}"))
    }
}

impl FromStr for Permissions {
    type Err = Error;

    fn from_str(letters: &str) -> Result<Self, Error> {
        letters.chars().try_fold(Self::NONE, |all, letter| {
            let known = Self::LETTERS.iter().find(|(known, _)| *known == letter);
            known.map(|(_, one)| all | *one).ok_or_else(|| {
                // The broker would ignore it, and make a key that allows less.
                let reason = format!("{letter:?} is no permission: take letters of rwslpex");
                Error::misuse("permissions", reason)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_letters() {
        for (text, shown) in [("", ""), ("rw", "rw"), ("xeplswr", "rwslpex"), ("rr", "r")] {
            assert_eq!(text.parse::<Permissions>().unwrap().to_string(), shown);
        }
        assert_eq!("rz".parse::<Permissions>().unwrap_err().code(), "permissions");
        assert!((Permissions::READ | Permissions::LOAD).contains(Permissions::LOAD));
        assert!(!Permissions::READ.contains(Permissions::READ | Permissions::LOAD));
    }
}
