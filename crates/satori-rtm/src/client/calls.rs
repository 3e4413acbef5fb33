//! The operations of the protocol (docs/protocols/satori-rtm.md, 3).

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::{command::Command, handle::Client};
use crate::{
    answer::Answer, auth::AuthDelegate, delivery::Position, error::Error, options::Options,
    proto::Request, value::Value,
};

impl Client {
    /// Publishes `message` to `channel` and waits for the service to accept it.
    ///
    /// `Ok` means that the service stored the message, and where; it says
    /// nothing about subscribers. A message whose acknowledgement is lost with
    /// the connection is sent again: it may then be stored twice. Calls from
    /// one clone are sent in call order. Some servers name no position. In JSON, which
    /// has no `NaN` and no infinities, those become `null`.
    ///
    /// # Wire
    ///
    /// `rtm/publish` (docs/protocols/satori-rtm.md, 3.1).
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] with the service's code, e.g. `authorization_denied`.
    /// - [`Error::Timeout`] after [`Config::request_timeout`]. A consumer that
    ///   publishes between two messages of a backlog can see it too: see
    ///   [`Overflow::Block`](crate::Overflow::Block).
    /// - the error with which the client stopped, if it stops by itself.
    /// - [`Error::Full`] if the outbox is full, [`Error::Dropped`] if a newer request
    ///   took its place; see [`Config::outbox_overflow`].
    /// - [`Error::Misuse`] with code `encode` if `message` cannot be written,
    ///   `byte_string` if it holds one where none may be (as a key in JSON: `encode`), or
    ///   `message_too_big` if it is over [`Config::max_publish_bytes`].
    /// - [`Error::Closed`] if the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once polled to its first wait for the service, the message
    /// is in the outbox and will be sent; before that it was not taken.
    ///
    /// [`Config::request_timeout`]: crate::Config::request_timeout
    /// [`Config::outbox_overflow`]: crate::Config::outbox_overflow
    /// [`Config::max_publish_bytes`]: crate::Config::max_publish_bytes
    pub async fn publish<M>(&self, channel: &str, message: &M) -> Result<Option<Position>, Error>
    where
        M: Serialize + ?Sized,
    {
        self.publish_with(channel, message, Options::new()).await.map(|answer| answer.position())
    }

    /// Publishes with options, and returns the whole answer.
    ///
    /// # Wire
    ///
    /// `rtm/publish` (docs/protocols/satori-rtm.md, 3.1).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`Error::Transport`] if the message was to be
    /// sent [at most once](Options::at_most_once) and the connection was lost: whether
    /// it was stored is not known.
    ///
    /// # Cancel safety
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_with<M>(
        &self,
        channel: &str,
        message: &M,
        options: Options,
    ) -> Result<Answer, Error>
    where
        M: Serialize + ?Sized,
    {
        self.request(Request::publish(self.protocol(), channel, message, &options)?).await
    }

    /// Publishes `message` to `channel` without asking for an acknowledgement.
    ///
    /// `Ok` means that the outbox has the message. It is written once; if the
    /// connection is lost around that moment it may be lost too. One that is
    /// not written within [`Config::request_timeout`](crate::Config::request_timeout)
    /// is dropped, with an event
    /// ([`Dropped::Requests`](crate::Dropped::Requests)) and a count in
    /// [`stats`](Self::stats).
    ///
    /// # Wire
    ///
    /// `rtm/publish` without an id (docs/protocols/satori-rtm.md, 2.1).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), without `Refused` and `Timeout`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the message may have been taken.
    pub async fn publish_unacknowledged<M>(&self, channel: &str, message: &M) -> Result<(), Error>
    where
        M: Serialize + ?Sized,
    {
        self.post(Request::publish(self.protocol(), channel, message, &Options::new())?).await
    }

    /// Writes `message` as the value of `channel`.
    ///
    /// # Wire
    ///
    /// `rtm/write` (docs/protocols/satori-rtm.md, 3.2).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// As [`publish`](Self::publish).
    pub async fn write<M>(&self, channel: &str, message: &M) -> Result<Option<Position>, Error>
    where
        M: Serialize + ?Sized,
    {
        self.write_with(channel, message, Options::new()).await.map(|answer| answer.position())
    }

    /// Writes with options, and returns the whole answer. With a
    /// [`position`](Options::position) it is compare-and-set.
    ///
    /// # Wire
    ///
    /// `rtm/write` (docs/protocols/satori-rtm.md, 3.2).
    ///
    /// # Errors
    ///
    /// As [`publish_with`](Self::publish_with).
    ///
    /// # Cancel safety
    ///
    /// As [`publish`](Self::publish).
    pub async fn write_with<M>(
        &self,
        channel: &str,
        message: &M,
        options: Options,
    ) -> Result<Answer, Error>
    where
        M: Serialize + ?Sized,
    {
        self.request(Request::write(self.protocol(), channel, message, &options)?).await
    }

    /// Writes without asking for an acknowledgement.
    ///
    /// # Wire
    ///
    /// `rtm/write` without an id (docs/protocols/satori-rtm.md, 2.1).
    ///
    /// # Errors
    ///
    /// As [`publish_unacknowledged`](Self::publish_unacknowledged).
    ///
    /// # Cancel safety
    ///
    /// As [`publish_unacknowledged`](Self::publish_unacknowledged).
    pub async fn write_unacknowledged<M>(&self, channel: &str, message: &M) -> Result<(), Error>
    where
        M: Serialize + ?Sized,
    {
        self.post(Request::write(self.protocol(), channel, message, &Options::new())?).await
    }

    /// Reads the value of `channel`: its last message, `null` if there is none.
    ///
    /// # Wire
    ///
    /// `rtm/read` (docs/protocols/satori-rtm.md, 3.3).
    ///
    /// # Errors
    ///
    /// - as [`publish`](Self::publish).
    /// - [`Error::Misuse`] with code `decode` if the value is not a `T`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: reading changes nothing.
    pub async fn read<T: DeserializeOwned>(&self, channel: &str) -> Result<T, Error> {
        self.read_with(channel, Options::new()).await?.message().decode()
    }

    /// Reads with options, and returns the whole answer: the message at a
    /// [`position`](Options::position), or where the last one is.
    ///
    /// # Wire
    ///
    /// `rtm/read` (docs/protocols/satori-rtm.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish_with`](Self::publish_with).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: reading changes nothing.
    pub async fn read_with(&self, channel: &str, options: Options) -> Result<Answer, Error> {
        self.request(Request::read(self.protocol(), channel, &options)?).await
    }

    /// Deletes the value of `channel`, which publishes `null`.
    ///
    /// # Wire
    ///
    /// `rtm/delete` (docs/protocols/satori-rtm.md, 3.4).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// As [`publish`](Self::publish).
    pub async fn delete(&self, channel: &str) -> Result<Option<Position>, Error> {
        self.delete_with(channel, Options::new()).await.map(|answer| answer.position())
    }

    /// Deletes with options, and returns the whole answer.
    ///
    /// # Wire
    ///
    /// `rtm/delete` (docs/protocols/satori-rtm.md, 3.4).
    ///
    /// # Errors
    ///
    /// As [`publish_with`](Self::publish_with).
    ///
    /// # Cancel safety
    ///
    /// As [`publish`](Self::publish).
    pub async fn delete_with(&self, channel: &str, options: Options) -> Result<Answer, Error> {
        self.request(Request::delete(self.protocol(), channel, &options)?).await
    }

    /// Deletes without asking for an acknowledgement.
    ///
    /// # Wire
    ///
    /// `rtm/delete` without an id (docs/protocols/satori-rtm.md, 2.1).
    ///
    /// # Errors
    ///
    /// As [`publish_unacknowledged`](Self::publish_unacknowledged).
    ///
    /// # Cancel safety
    ///
    /// As [`publish_unacknowledged`](Self::publish_unacknowledged).
    pub async fn delete_unacknowledged(&self, channel: &str) -> Result<(), Error> {
        self.post(Request::delete(self.protocol(), channel, &Options::new())?).await
    }

    /// Sends any action with any body, and waits for its answer: for what a service can
    /// do and this crate has no name for. An answer in parts is its last part.
    ///
    /// # Wire
    ///
    /// The envelope (docs/protocols/satori-rtm.md, 2).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); [`Error::Misuse`] with code `encode` if `body` is
    /// no map.
    ///
    /// # Cancel safety
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(client: satori_rtm::Client) -> Result<(), satori_rtm::Error> {
    /// let body = satori_rtm::Value::from([("prefix", "fleet".into())]);
    /// println!("{}", client.action("rtm/search", &body).await?.value());
    /// # Ok(()) }
    /// ```
    pub async fn action(&self, action: &str, body: &Value) -> Result<Answer, Error> {
        self.request(Request::action(self.protocol(), action, body)?).await
    }

    /// Authenticates by `delegate`, now or as soon as there is a connection. One that
    /// has succeeded runs again on each later connection, before anything is
    /// subscribed. [`Config::role`](crate::Config::role) does it from the beginning.
    ///
    /// # Wire
    ///
    /// `auth/handshake` and `auth/authenticate` (docs/protocols/satori-rtm.md, 6).
    ///
    /// # Errors
    ///
    /// - [`Error::Auth`] if the service refuses, or the delegate gives up.
    /// - [`Error::Misuse`] with code `auth_in_progress` while another call runs.
    /// - [`Error::Timeout`] after [`Config::auth_timeout`](crate::Config::auth_timeout),
    ///   [`Error::Transport`] if the connection is lost meanwhile.
    /// - [`Error::Closed`] if the client is closed, or stopped meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what has begun goes on.
    pub async fn authenticate(&self, delegate: impl AuthDelegate) -> Result<(), Error> {
        let delegate: Arc<dyn AuthDelegate> = Arc::new(delegate);
        self.ask(|to| Command::Authenticate { delegate, to }).await.map(drop)
    }
}
