//! What the broker says when a client is gone.

use bytes::Bytes;

use crate::{
    channel::{self, Channel},
    error::Error,
};

/// A message that the broker publishes when the connection ends, in whatever way: a
/// close in good order included. It means "gone", not "failed".
///
/// A key that does not allow it is noticed by nobody: the broker accepts the
/// connection, and never sends the will.
#[derive(Clone, Debug)]
pub struct LastWill {
    key: client_core::Secret,
    channel: String,
    payload: Bytes,
    pub(crate) retain: bool,
}

impl LastWill {
    /// A will for `channel`, where `key` may publish.
    #[must_use]
    pub fn new(
        key: impl Into<String>,
        channel: impl Into<String>,
        payload: impl Into<Bytes>,
    ) -> Self {
        let key = client_core::Secret::new(key.into());
        Self { key, channel: channel.into(), payload: payload.into(), retain: false }
    }

    /// Has it stored for the broker's own period, if the key allows it.
    #[must_use]
    pub const fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    pub(crate) fn topic(&self) -> Result<String, Error> {
        let wrong = |e: Error| Error::config("last_will", e.to_string());
        let key = std::str::from_utf8(self.key.reveal()).unwrap_or_default();
        let key = channel::key(key).map_err(wrong)?;
        let channel = Channel::exact(&self.channel).map_err(wrong)?;
        Ok(channel::topic(key, channel.as_str(), ""))
    }

    pub(crate) fn payload(&self) -> Bytes {
        self.payload.clone()
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let topic = self.topic()?;
        // Half a packet: the other half is the rest of the CONNECT.
        if topic.len() + self.payload.len() > channel::MAX_PACKET / 2 {
            return Err(Error::config("last_will", "takes 32 KiB, its channel included"));
        }
        Ok(())
    }
}
