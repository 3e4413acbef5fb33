//! The client for async programs.

mod batch;
mod combine;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use client_core::http::Http;
use serde::Serialize;

use super::{
    decode_error, exchange,
    http::{MAX_BODY, USER_AGENT, received, refused, request},
    read,
    retry::Attempts,
};
use crate::{
    config::Config,
    error::Error,
    proto::{Command, Outcome},
    requests::{
        Broadcast, Broadcasted, ChannelInfo, Channels, ClientInfo, Disconnect, History,
        HistoryResult, Info, Node, Presence, Publish, Published, Request, Unsubscribe, User,
        command,
    },
};
use combine::Combiner;

/// A client of one server for async programs on tokio; a clone is cheap and shares
/// its connections.
///
/// It makes the same calls as the blocking [`Client`](crate::Client), with the same
/// results. Calls must be made inside a tokio runtime with time and I/O. A
/// connection lives on the runtime that opened it: when that ends, what was on its
/// way is in doubt, and the next call opens another. Dropping the last clone closes
/// what is idle; calls that are on their way come to their end.
///
/// # Cancel safety
///
/// Of every call, batches included: one that is dropped may have been carried out,
/// or may still be. The client stays usable.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), cent::Error> {
/// let client = cent::AsyncClient::new(cent::Config::v6("http://127.0.0.1:8000", "my-api-key"))?;
/// let published = client.publish("news", &"zebra").await?;
/// println!("{published:?}");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct AsyncClient {
    calls: Arc<Calls>,
    combiner: Combiner,
}

/// How calls travel.
struct Calls {
    config: Config,
    base: String,
    http: Http,
}

impl AsyncClient {
    /// A client over at most 64 HTTP/1.1 connections, which are kept alive; a call
    /// that finds all of them busy waits, within its deadline.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the option that cannot be used.
    pub fn new(config: Config) -> Result<Self, Error> {
        let base = config.validate()?;
        // A call has a deadline over everything.
        let dialer = ws_core::Dialer::new().timeout(config.timeout);
        #[cfg(feature = "tls")]
        let http = Http::with_tls(dialer, &base, USER_AGENT, MAX_BODY, &config.tls);
        #[cfg(not(feature = "tls"))]
        let http = Http::new(dialer, &base, USER_AGENT, MAX_BODY);
        let http = http.map_err(refused)?;
        Ok(Self { calls: Arc::new(Calls { config, base, http }), combiner: Combiner::default() })
    }

    /// Makes any call.
    ///
    /// # Errors
    ///
    /// - [`Error::Unsupported`] if the configured version does not know the
    ///   method or a field.
    /// - [`Error::Misuse`] for what a server does badly with.
    /// - [`Error::Request`] if the request fails, [`Error::Response`] if the
    ///   server refuses.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Reply, Error> {
        let config = &self.calls.config;
        let command = command(request, config.version, config.relaxed)?;
        let mut attempts = Attempts::new(config, command.is_idempotent);
        let mut left = config.timeout;
        loop {
            let outcome = self.once(command.clone(), left).await;
            let result = outcome.and_then(|o| read::<R>(config, &o, &command.params));
            let (Err(error), Some(attempts)) = (&result, &mut attempts) else { return result };
            let Some(wait) = attempts.wait(error) else { return result };
            tokio::time::sleep(wait).await;
            left = attempts.left();
            if left.is_zero() {
                return result;
            }
        }
    }

    /// Sends `command` once, by itself or with others.
    async fn once(&self, command: Command, timeout: Duration) -> Result<Outcome, Error> {
        if self.calls.config.combines() && command.combines {
            return self.combiner.call(&self.calls, command, timeout).await;
        }
        let outcome = self.calls.exchange(&[command], false, timeout).await?.pop();
        outcome.ok_or_else(|| decode_error(1, None))
    }

    /// Publishes `data` into `channel`.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn publish<T>(&self, channel: &str, data: &T) -> Result<Published, Error>
    where
        T: Serialize + Sync + ?Sized,
    {
        self.call(Publish::new(channel, data)).await
    }

    /// Publishes `data` into each of `channels`, and says what came of each.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn broadcast<T>(&self, channels: &[&str], data: &T) -> Result<Vec<Broadcasted>, Error>
    where
        T: Serialize + Sync + ?Sized,
    {
        self.call(Broadcast::new(channels, data)).await
    }

    /// Ends all subscriptions of `user`; [`Unsubscribe`] has one channel.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn unsubscribe<'a>(&self, user: impl Into<User<'a>>) -> Result<(), Error> {
        let unsubscribe = Unsubscribe::all(user);
        self.call(unsubscribe).await
    }

    /// Closes all connections of `user`.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn disconnect<'a>(&self, user: impl Into<User<'a>>) -> Result<(), Error> {
        let disconnect = Disconnect::new(user);
        self.call(disconnect).await
    }

    /// Returns who is subscribed to `channel`, by client id.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn presence(&self, channel: &str) -> Result<BTreeMap<String, ClientInfo>, Error> {
        self.call(Presence::new(channel)).await
    }

    /// Returns all that `channel` keeps, oldest first.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn history(&self, channel: &str) -> Result<HistoryResult, Error> {
        self.call(History::new(channel)).await
    }

    /// Returns the channels that have subscribers.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn channels(&self) -> Result<BTreeMap<String, ChannelInfo>, Error> {
        self.call(Channels::new()).await
    }

    /// Returns the nodes of the server and what they count: `stats` in v1.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn info(&self) -> Result<Vec<Node>, Error> {
        self.call(Info).await
    }
}

impl Calls {
    /// Sends `commands` in one request.
    async fn exchange(
        &self,
        commands: &[Command],
        parallel: bool,
        timeout: Duration,
    ) -> Result<Vec<Outcome>, Error> {
        let exchange = exchange::begin(&self.config, &self.base, commands, parallel);
        let answer = self.http.send(request(&exchange.outgoing(timeout))).await;
        exchange.end(received(answer))
    }
}

impl fmt::Debug for AsyncClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncClient").field("config", &self.calls.config).finish_non_exhaustive()
    }
}
