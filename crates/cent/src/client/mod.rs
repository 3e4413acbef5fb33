//! The client: calls, batches and the buffer of the original.

#[cfg(feature = "tokio")]
mod asynchronous;
mod batch;
mod buffer;
mod combine;
mod exchange;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod http;
mod retry;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Serialize;

#[cfg(feature = "tokio")]
pub use asynchronous::AsyncClient;
pub use batch::{Batch, Replies, Ticket};
pub use buffer::Item;

#[cfg(feature = "blocking")]
use client_core::http::BlockingHttp;
use combine::Combiner;
#[cfg(feature = "blocking")]
use http::{MAX_BODY, USER_AGENT};

use crate::{
    config::Config,
    error::{Error, RequestError},
    proto::{Command, Outcome},
    requests::{
        Broadcast, Broadcasted, ChannelInfo, Channels, ClientInfo, Disconnect, History,
        HistoryResult, Info, Node, Presence, Publish, Published, ReadError, Reply, Request,
        Unsubscribe, User, command,
    },
    transport::Transport,
};

/// A client of one server; a clone is cheap and shares its connections and its
/// buffer.
///
/// Calls block until the server has answered or [`Config::timeout`] is over. On
/// v5 and later, calls of several threads that wait for the server travel in one
/// request; see [`Config::without_combining`].
#[derive(Clone)]
pub struct Client {
    config: Arc<Config>,
    base: Arc<str>,
    transport: Arc<dyn Transport>,
    buffer: Arc<Mutex<Vec<Command>>>,
    combiner: Arc<Combiner>,
}

impl Client {
    /// A client over HTTP connections that are kept alive.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the option that cannot be used.
    #[cfg(feature = "blocking")]
    pub fn new(config: Config) -> Result<Self, Error> {
        #[cfg(feature = "tls")]
        let http = BlockingHttp::with_tls(&config.address, USER_AGENT, MAX_BODY, &config.tls);
        #[cfg(not(feature = "tls"))]
        let http = BlockingHttp::new(&config.address, USER_AGENT, MAX_BODY);
        Self::with_transport(config, http.map_err(http::refused)?)
    }

    /// A client over a transport of the application's.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_transport(
        config: Config,
        transport: impl Transport + 'static,
    ) -> Result<Self, Error> {
        let base = config.validate()?.into();
        let (config, transport) = (Arc::new(config), Arc::new(transport));
        let (buffer, combiner) = (Arc::default(), Arc::default());
        Ok(Self { config, base, transport, buffer, combiner })
    }

    /// Makes any call.
    ///
    /// # Errors
    ///
    /// - [`Error::Unsupported`] if the configured version does not know the
    ///   method or a field.
    /// - [`Error::Misuse`] for what a server does badly with, and while commands
    ///   wait in the buffer.
    /// - [`Error::Request`] if the request fails, [`Error::Response`] if the
    ///   server refuses.
    pub fn call<R: Request>(&self, request: R) -> Result<R::Reply, Error> {
        if !self.buffered().is_empty() {
            let reason = "commands wait to be sent: call send() or reset() first";
            return Err(Error::misuse("not_empty", reason));
        }
        let command = command(request, self.config.version, self.config.relaxed)?;
        retry::run(&self.config, command.is_idempotent, |left| {
            read::<R>(&self.config, &self.once(command.clone(), left)?, &command.params)
        })
    }

    /// Sends `command` once, by itself or with others.
    fn once(&self, command: Command, timeout: Duration) -> Result<Outcome, Error> {
        if self.config.combines() && command.combines {
            let exchange = |all: &[Command], left| self.exchange(all, false, left);
            return self.combiner.call(command, timeout, &exchange);
        }
        let outcome = self.exchange(&[command], false, timeout)?.pop();
        outcome.ok_or_else(|| decode_error(1, None))
    }

    /// Publishes `data` into `channel`.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn publish<T>(&self, channel: &str, data: &T) -> Result<Published, Error>
    where
        T: Serialize + ?Sized,
    {
        self.call(Publish::new(channel, data))
    }

    /// Publishes `data` into each of `channels`, and says what came of each.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn broadcast<T>(&self, channels: &[&str], data: &T) -> Result<Vec<Broadcasted>, Error>
    where
        T: Serialize + ?Sized,
    {
        self.call(Broadcast::new(channels, data))
    }

    /// Ends all subscriptions of `user`; [`Unsubscribe`] has one channel.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn unsubscribe<'a>(&self, user: impl Into<User<'a>>) -> Result<(), Error> {
        self.call(Unsubscribe::all(user))
    }

    /// Closes all connections of `user`.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn disconnect<'a>(&self, user: impl Into<User<'a>>) -> Result<(), Error> {
        self.call(Disconnect::new(user))
    }

    /// Returns who is subscribed to `channel`, by client id.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn presence(&self, channel: &str) -> Result<BTreeMap<String, ClientInfo>, Error> {
        self.call(Presence::new(channel))
    }

    /// Returns all that `channel` keeps, oldest first.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn history(&self, channel: &str) -> Result<HistoryResult, Error> {
        self.call(History::new(channel))
    }

    /// Returns the channels that have subscribers.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn channels(&self) -> Result<BTreeMap<String, ChannelInfo>, Error> {
        self.call(Channels::new())
    }

    /// Returns the nodes of the server and what they count: `stats` in v1.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn info(&self) -> Result<Vec<Node>, Error> {
        self.call(Info)
    }

    /// Sends `commands` in one request.
    fn exchange(
        &self,
        commands: &[Command],
        parallel: bool,
        timeout: Duration,
    ) -> Result<Vec<Outcome>, Error> {
        let exchange = exchange::begin(&self.config, &self.base, commands, parallel);
        exchange.end(self.transport.send(exchange.outgoing(timeout)))
    }
}

/// Reads the outcome of a command that was made of an `R`.
fn read<R: Request>(config: &Config, outcome: &Outcome, params: &str) -> Result<R::Reply, Error> {
    let result = outcome.as_deref();
    let reply = Reply { version: config.version, result, params };
    R::read(reply).map_err(|error| match error {
        ReadError::Api(error) => Error::Response(error),
        ReadError::Shape(error) => decode_error(1, Some(error)),
    })
}

fn decode_error(in_doubt: usize, source: Option<serde_json::Error>) -> Error {
    let error = RequestError::new(crate::error::Failure::Decode, in_doubt);
    Error::Request(match source {
        Some(source) => error.because(source),
        None => error,
    })
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}
