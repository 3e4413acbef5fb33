//! Requests to the broker itself.

use super::{handle::Client, history::History};
use crate::{
    answers::{GeneratedKey, KeyBan, Link, Me, PresenceEvent, PresenceKind, decode},
    error::Error,
    history::Pager,
    options::{HistoryOptions, LinkOptions},
    permissions::Permissions,
    requests::Ask,
};

impl Client {
    /// Makes a key to a channel, for `ttl` seconds, 0 for ever. With a key that extends
    /// in the master key's place, it is the key to a private channel of this
    /// connection, which [`GeneratedKey::channel`] names: after a lost connection it
    /// has to be made again.
    ///
    /// # Wire
    ///
    /// `keygen` (docs/protocols/emitter.md, 8.2).
    ///
    /// # Errors
    ///
    /// - [`Error::Misuse`] naming what the broker would refuse.
    /// - [`Error::Refused`] with the broker's status: 401 for a key that makes none.
    /// - [`Error::Transport`] if the connection is lost before the answer: a key may
    ///   have been made.
    /// - otherwise as [`me`](Self::me).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a key may have been made.
    pub async fn keygen(
        &self,
        key: &str,
        channel: &str,
        permissions: Permissions,
        ttl: u32,
    ) -> Result<GeneratedKey, Error> {
        let json = self.ask_broker(Ask::keygen(key, channel, permissions, ttl)?).await?;
        decode("keygen", &json)
    }

    /// Bans a channel key, or lifts its ban, which takes the broker a minute.
    /// Subscriptions that exist go on.
    ///
    /// # Wire
    ///
    /// `keyban` (docs/protocols/emitter.md, 8.3).
    ///
    /// # Errors
    ///
    /// As [`keygen`](Self::keygen).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the key may have been banned.
    pub async fn keyban(
        &self,
        master_key: &str,
        target_key: &str,
        ban: bool,
    ) -> Result<KeyBan, Error> {
        let json = self.ask_broker(Ask::keyban(master_key, target_key, ban)?).await?;
        decode("keyban", &json)
    }

    /// Makes a link: a name of one or two letters or digits for a channel, its key and
    /// its options. A name that is used again stands for the new channel. Links are
    /// made again after a lost connection.
    ///
    /// # Wire
    ///
    /// `link` (docs/protocols/emitter.md, 8.4).
    ///
    /// # Errors
    ///
    /// - [`Error::Misuse`] naming what the broker would refuse.
    /// - otherwise as [`me`](Self::me). A key that does not allow it is noticed by the
    ///   first publish.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the link may have been made.
    pub async fn link(
        &self,
        key: &str,
        channel: &str,
        name: &str,
        options: LinkOptions,
    ) -> Result<Link, Error> {
        let ask = Ask::link(&self.config, key, channel, name, &options)?;
        decode("link", &self.ask_broker(ask).await?)
    }

    /// Asks who is on a channel if `status`, and begins or ends to tell changes;
    /// `None` leaves that as it is. Returns everybody who is there if that was asked
    /// for.
    ///
    /// This is the request as the broker has it. Changes go to
    /// [`on_presence`](super::Handlers::on_presence), and end with the connection:
    /// [`presence_subscribe`](Self::presence_subscribe) asks for them again.
    ///
    /// # Wire
    ///
    /// `presence` (docs/protocols/emitter.md, 9).
    ///
    /// # Errors
    ///
    /// - [`Error::Misuse`] naming what the broker would refuse.
    /// - [`Error::Refused`]: the key does not allow it.
    /// - [`Error::AnswerTooLarge`] with more than about 1,800 present.
    /// - otherwise as [`me`](Self::me).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn presence(
        &self,
        key: &str,
        channel: &str,
        status: bool,
        changes: Option<bool>,
    ) -> Result<Option<PresenceEvent>, Error> {
        let ask = Ask::presence(&self.config, key, channel, status, changes)?;
        let json = self.ask_broker(ask).await?;
        if !status {
            return Ok(None);
        }
        let event: PresenceEvent = decode("presence", &json)?;
        Ok(Some(event).filter(|event| event.kind == PresenceKind::Status))
    }

    /// Asks who is on a channel.
    ///
    /// # Errors
    ///
    /// As [`presence`](Self::presence).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn presence_status(&self, key: &str, channel: &str) -> Result<PresenceEvent, Error> {
        let ask = Ask::presence(&self.config, key, channel, true, None)?;
        decode("presence", &self.ask_broker(ask).await?)
    }

    /// Asks what the broker calls this connection, and for its links.
    ///
    /// # Wire
    ///
    /// `me` (docs/protocols/emitter.md, 8.5).
    ///
    /// # Errors
    ///
    /// - [`Error::Full`] if too much waits already.
    /// - [`Error::Timeout`] after
    ///   [`Config::request_timeout`](crate::Config::request_timeout).
    /// - [`Error::Misuse`] with code `answer` for an answer that is not understood.
    /// - [`Error::Closed`], and the error of a client that stops by itself.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn me(&self) -> Result<Me, Error> {
        decode("me", &self.ask_broker(Ask::Me).await?)
    }

    /// Reads what is stored of a channel and everything below it, the newest message
    /// first. The broker finds it by the channel's first segment: nothing comes for a
    /// wildcard there. In a cluster, where more than 50 messages are of one second, it may
    /// leave one out for each page and node.
    ///
    /// # Wire
    ///
    /// `history` (docs/protocols/emitter.md, 8.6).
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] naming what the broker would refuse. What the broker says
    /// comes out of the stream.
    pub fn history(
        &self,
        key: &str,
        channel: &str,
        options: HistoryOptions,
    ) -> Result<History, Error> {
        let pager = Pager::begin(&self.config, key, channel, options)?;
        Ok(History::new(self.clone(), pager))
    }
}
