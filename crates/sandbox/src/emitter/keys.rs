//! Channel keys: what each allows, and for how long (docs/protocols/emitter.md, 4).
//! A real broker writes that into the key itself; here the key is a name.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    refusal::Refusal,
    topic::{is_channel, segments},
};

/// Keys that can be made.
const MAX_KEYS: usize = 10_000;

pub(super) const READ: u8 = 2;
pub(super) const WRITE: u8 = 4;
pub(super) const STORE: u8 = 8;
pub(super) const LOAD: u8 = 16;
pub(super) const PRESENCE: u8 = 32;
const EXTEND: u8 = 64;
const LETTERS: [(char, u8); 7] = [
    ('r', READ),
    ('w', WRITE),
    ('s', STORE),
    ('l', LOAD),
    ('p', PRESENCE),
    ('e', EXTEND),
    ('x', 128),
];

/// What a key allows.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    target: String,
    permissions: u8,
    /// In seconds since 1970; `None` never.
    expires: Option<u64>,
}

/// All keys of a broker.
#[derive(Debug)]
pub(super) struct Keys {
    secret: String,
    grants: BTreeMap<String, Grant>,
    banned: BTreeSet<String>,
}

impl Keys {
    pub(super) fn new(secret: String) -> Self {
        Self { secret, grants: BTreeMap::new(), banned: BTreeSet::new() }
    }

    /// Makes a key. Its target was checked.
    pub(super) fn make(
        &mut self,
        target: &str,
        permissions: u8,
        expires: Option<u64>,
    ) -> Result<String, Refusal> {
        if self.grants.len() >= MAX_KEYS {
            return Err(Refusal::FULL);
        }
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).map_err(|_| Refusal::FULL)?;
        let key = URL_SAFE_NO_PAD.encode(bytes);
        self.insert(&key, target, permissions, expires);
        Ok(key)
    }

    pub(super) fn insert(
        &mut self,
        key: &str,
        target: &str,
        permissions: u8,
        expires: Option<u64>,
    ) {
        let grant = Grant { target: target.to_owned(), permissions, expires };
        self.grants.insert(key.to_owned(), grant);
    }

    /// Makes a key for who shows the master key; for who shows one that extends, the
    /// key to a private channel of the connection `id`. Returns it with its channel.
    pub(super) fn generate(
        &mut self,
        by: &str,
        channel: &str,
        letters: &str,
        expires: Option<u64>,
        now: u64,
        id: &str,
    ) -> Result<(String, String), Refusal> {
        let is_target = is_channel(channel) && segments(channel).count() <= 23;
        if !is_target {
            return Err(Refusal::BAD_REQUEST);
        }
        let asked = permissions(letters);
        if by == self.secret {
            return Ok((self.make(channel, asked, expires)?, channel.to_owned()));
        }
        let (base, deeper) = match channel.strip_suffix("#/") {
            Some(base) => (base, "#/"),
            None => (channel, ""),
        };
        let parent = self.valid(by, now)?;
        if parent.permissions & EXTEND == 0 || !covers(&parent.target, base) {
            return Err(Refusal::UNAUTHORIZED);
        }
        let granted = asked & parent.permissions & !EXTEND;
        let channel = format!("{base}{id}/{deeper}");
        Ok((self.make(&channel, granted, expires)?, channel))
    }

    /// Checks that a key allows something on a channel; returns all that it allows.
    pub(super) fn authorize(
        &self,
        key: &str,
        channel: &str,
        permission: u8,
        now: u64,
    ) -> Result<u8, Refusal> {
        let grant = self.valid(key, now)?;
        let allowed = grant.permissions & permission == permission
            && grant.permissions & EXTEND == 0
            && covers(&grant.target, channel);
        allowed.then_some(grant.permissions).ok_or(Refusal::UNAUTHORIZED)
    }

    /// Bans a key, or lifts its ban.
    pub(super) fn ban(&mut self, secret: &str, target: &str, banned: bool) -> Result<(), Refusal> {
        if secret != self.secret || !self.grants.contains_key(target) {
            return Err(Refusal::UNAUTHORIZED);
        }
        match banned {
            true => drop(self.banned.insert(target.to_owned())),
            false => drop(self.banned.remove(target)),
        }
        Ok(())
    }

    fn valid(&self, key: &str, now: u64) -> Result<&Grant, Refusal> {
        let grant = self.grants.get(key).filter(|_| !self.banned.contains(key));
        let in_time = grant.filter(|grant| grant.expires.is_none_or(|end| now < end));
        in_time.ok_or(Refusal::UNAUTHORIZED)
    }
}

/// What letters allow; those that mean nothing are ignored.
pub(super) fn permissions(letters: &str) -> u8 {
    let known = |letter| LETTERS.iter().find(|(known, _)| *known == letter);
    letters.chars().filter_map(known).fold(0, |all, (_, one)| all | one)
}

/// Whether a key for `target` is good for `channel`.
fn covers(target: &str, channel: &str) -> bool {
    let mut channel = segments(channel);
    for wanted in segments(target) {
        match (wanted, channel.next()) {
            ("#", _) => return true,
            (_, None) => return false,
            ("+", Some(_)) => {}
            (wanted, Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
    channel.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_cover_the_table_of_section_4() {
        for (target, good, bad) in [
            ("a/", &["a/"][..], &["a/b/", "b/", "a/+/"][..]),
            ("a/#/", &["a/", "a/b/", "a/+/", "a/#/", "a/b/c/"], &["b/"]),
            ("a/+/c/", &["a/x/c/", "a/+/c/"], &["a/b/d/", "a/b/c/d/", "+/b/c/", "a/b/"]),
            ("+/", &["a/", "b/"], &["a/b/"]),
            ("#/", &["a/", "a/b/c/", "$share/g/a/"], &[]),
            ("$share/g1/demo/", &["$share/g1/demo/"], &["demo/", "$share/g2/demo/"]),
            ("$share/+/demo/#/", &["$share/g1/demo/", "$share/g2/demo/x/"], &["demo/"]),
            ("demo/", &["demo/"], &["$share/g1/demo/"]),
        ] {
            for channel in good {
                assert!(covers(target, channel), "{target} {channel}");
            }
            for channel in bad {
                assert!(!covers(target, channel), "{target} {channel}");
            }
        }
    }

    #[test]
    fn keys_end_and_are_banned() {
        let mut keys = Keys::new("S".into());
        let (key, _) = keys.generate("S", "a/", "rz", Some(10), 0, "id").unwrap();
        assert_eq!(keys.authorize(&key, "a/", READ, 9).unwrap(), READ);
        keys.authorize(&key, "a/", READ, 10).unwrap_err();
        keys.authorize(&key, "a/", WRITE, 9).unwrap_err();
        keys.ban("wrong", &key, true).unwrap_err();
        keys.ban("S", "nothing", true).unwrap_err();
        keys.ban("S", &key, true).unwrap();
        keys.authorize(&key, "a/", READ, 9).unwrap_err();
        keys.ban("S", &key, false).unwrap();
        keys.authorize(&key, "a/", READ, 9).unwrap();
        for channel in ["a", "a/#", "", "a//"] {
            let refused = keys.generate("S", channel, "r", None, 0, "id").unwrap_err();
            assert_eq!(refused, Refusal::BAD_REQUEST, "{channel}");
        }
        keys.generate("S", &"a/".repeat(24), "r", None, 0, "id").unwrap_err();
    }

    #[test]
    fn a_key_that_extends_makes_private_channels_and_nothing_else() {
        let mut keys = Keys::new("S".into());
        let (parent, _) = keys.generate("S", "priv/", "rwe", None, 0, "id").unwrap();
        keys.authorize(&parent, "priv/", WRITE, 0).unwrap_err();
        let (key, channel) = keys.generate(&parent, "priv/", "rwlp", None, 0, "ME").unwrap();
        assert_eq!(channel, "priv/ME/");
        assert_eq!(keys.authorize(&key, "priv/ME/", READ, 0).unwrap(), READ | WRITE);
        let (_, deeper) = keys.generate(&parent, "priv/#/", "r", None, 0, "ME").unwrap();
        assert_eq!(deeper, "priv/ME/#/");
        keys.generate(&parent, "other/", "r", None, 0, "ME").unwrap_err();
        keys.generate(&key, "priv/ME/", "r", None, 0, "ME").unwrap_err();
    }
}
