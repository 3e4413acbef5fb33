//! Requests to the broker (docs/protocols/emitter.md, 8 and 9).

use std::fmt;

use serde::Serialize;

use crate::{
    channel::{self, Channel},
    config::Config,
    error::Error,
    options::LinkOptions,
    permissions::Permissions,
};

/// A request, as its JSON is written.
#[derive(Clone, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Ask {
    /// Makes a channel key.
    Keygen {
        /// A master key, or one that extends.
        key: String,
        /// What the new key is for, with a slash at its end.
        channel: String,
        /// The letters of its permissions.
        #[serde(rename = "type")]
        permissions: String,
        /// Seconds until it ends, 0 for never.
        ttl: u32,
    },
    /// Bans a channel key, or lifts its ban.
    Keyban {
        /// A master key.
        secret: String,
        /// The key that is banned.
        target: String,
        /// Whether it is.
        banned: bool,
    },
    /// Makes a link.
    Link {
        /// The key of the channel, which the broker does not check here.
        key: String,
        /// The channel, with its options.
        channel: String,
        /// One or two letters or digits.
        name: String,
        /// Whether the connection is subscribed as well.
        subscribe: bool,
    },
    /// Asks who is on a channel.
    Presence {
        /// The key of the channel.
        key: String,
        /// The channel.
        channel: String,
        /// Whether everybody is to be listed.
        status: bool,
        /// Whether changes are told from now on; `None` leaves that as it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        changes: Option<bool>,
    },
    /// Asks for the id and the links of the connection.
    Me,
    /// Fetches stored messages.
    History {
        /// Key, channel and options, as a topic.
        channel: String,
        /// The oldest message that is known already, in base64.
        #[serde(rename = "startFromID", skip_serializing_if = "Option::is_none")]
        start: Option<String>,
    },
}

/// Keys are not shown.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Ask {
    /// Asks for a key to `channel`, for `ttl` seconds, 0 for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] naming what the broker would refuse.
    pub fn keygen(
        key: &str,
        channel: &str,
        permissions: Permissions,
        ttl: u32,
    ) -> Result<Self, Error> {
        // What is greater the broker does not read as a number.
        if i32::try_from(ttl).is_err() {
            return Err(Error::misuse("ttl", "a key's ttl takes 0 to 2147483647"));
        }
        let key = channel::key(key)?.to_owned();
        let channel = channel::Filter::target(channel)?.as_str().to_owned();
        Ok(Self::Keygen { key, channel, permissions: permissions.to_string(), ttl })
    }

    /// Bans `target`, or lifts its ban.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] naming what the broker would refuse.
    pub fn keyban(secret: &str, target: &str, banned: bool) -> Result<Self, Error> {
        let (secret, target) = (channel::key(secret)?.to_owned(), channel::key(target)?.to_owned());
        Ok(Self::Keyban { secret, target, banned })
    }

    /// Makes a link to `channel`.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] naming what the broker would refuse, then or at the first
    /// message.
    pub fn link(
        config: &Config,
        key: &str,
        channel: &str,
        name: &str,
        options: &LinkOptions,
    ) -> Result<Self, Error> {
        let key = config.key_or_default(key)?.to_owned();
        let channel = Channel::exact(channel)?;
        let channel = format!("{}{}", channel.as_str(), options.query()?);
        let name = channel::link_name(name)?.to_owned();
        Ok(Self::Link { key, channel, name, subscribe: options.subscribe })
    }

    /// Asks who is on `channel`, for changes, or for their end.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] naming what the broker would refuse.
    pub fn presence(
        config: &Config,
        key: &str,
        channel: &str,
        status: bool,
        changes: Option<bool>,
    ) -> Result<Self, Error> {
        let key = config.key_or_default(key)?.to_owned();
        let channel = Channel::filter(channel)?.as_str().to_owned();
        Ok(Self::Presence { key, channel, status, changes })
    }

    /// The name in the topic.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Keygen { .. } => "keygen",
            Self::Keyban { .. } => "keyban",
            Self::Link { .. } => "link",
            Self::Presence { .. } => "presence",
            Self::Me => "me",
            Self::History { .. } => "history",
        }
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        match self {
            Self::Me => Vec::new(),
            // Strings, numbers and flags: there is nothing that could fail.
            ask => serde_json::to_vec(ask).unwrap_or_default(),
        }
    }

    /// Whether it may be sent again when its answer was lost with the connection: it
    /// changes nothing, or the same once more.
    pub(crate) const fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Keygen { .. } | Self::Keyban { .. })
    }
}
