//! The client for programs without a runtime.

use std::{fmt, sync::Arc, time::Duration};

use client_core::{
    CloseReport, State,
    driver::{InsideRuntime, OwnRuntime},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Stats,
    answer::Answer,
    auth::AuthDelegate,
    client::{Client, Subscription},
    config::{Config, Subscribe},
    delivery::{Delivery, Position},
    error::Error,
    options::Options,
    value::Value,
};

/// A client whose calls wait for their answers, for programs without a runtime: it
/// brings a thread of its own.
///
/// Each call does what that of its name does in [`Client`], with the same errors, and
/// [`Error::Misuse`] with code `in_runtime` inside a runtime. Cloning it is cheap; the
/// connection ends with the last clone and the last subscription.
///
/// # Examples
///
/// ```no_run
/// use satori_rtm::{BlockingClient, Config, Delivery, Subscribe};
///
/// # fn example() -> Result<(), satori_rtm::Error> {
/// let client = BlockingClient::connect(Config::new("ws://127.0.0.1:8080", "appkey"))?;
/// let animals = client.subscribe("animals", Subscribe::new())?;
/// client.publish("animals", "zebra")?;
/// for delivery in animals {
///     println!("{delivery:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BlockingClient {
    client: Client,
    runtime: Arc<OwnRuntime>,
}

impl BlockingClient {
    /// As [`Client::new`].
    ///
    /// # Errors
    ///
    /// As [`Client::new`], and [`Error::Misuse`] with code `no_thread` if the system
    /// gives none.
    pub fn new(config: Config) -> Result<Self, Error> {
        let runtime = OwnRuntime::new().map_err(|e| Error::misuse("no_thread", e.to_string()))?;
        let client = runtime.block_on(async { Client::new(config) }).map_err(in_runtime)??;
        Ok(Self { client, runtime: Arc::new(runtime) })
    }

    /// As [`Client::connect`].
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`Client::connect`].
    pub fn connect(config: Config) -> Result<Self, Error> {
        let runtime = OwnRuntime::new().map_err(|e| Error::misuse("no_thread", e.to_string()))?;
        let client = runtime.block_on(Client::connect(config)).map_err(in_runtime)??;
        Ok(Self { client, runtime: Arc::new(runtime) })
    }

    /// As [`Client::start`].
    ///
    /// # Errors
    ///
    /// As [`Client::start`].
    pub fn start(&self) -> Result<(), Error> {
        self.block_on(self.client.start())?
    }

    /// As [`Client::stop`].
    ///
    /// # Errors
    ///
    /// As [`Client::stop`].
    pub fn stop(&self) -> Result<(), Error> {
        self.block_on(self.client.stop())?
    }

    /// As [`Client::authenticate`].
    ///
    /// # Errors
    ///
    /// As [`Client::authenticate`].
    pub fn authenticate(&self, delegate: impl AuthDelegate) -> Result<(), Error> {
        self.block_on(self.client.authenticate(delegate))?
    }

    /// As [`Client::publish`].
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn publish<M>(&self, channel: &str, message: &M) -> Result<Option<Position>, Error>
    where
        M: Serialize + ?Sized,
    {
        self.block_on(self.client.publish(channel, message))?
    }

    /// As [`Client::publish_with`].
    ///
    /// # Errors
    ///
    /// As [`Client::publish_with`].
    pub fn publish_with<M>(
        &self,
        channel: &str,
        message: &M,
        options: Options,
    ) -> Result<Answer, Error>
    where
        M: Serialize + ?Sized,
    {
        self.block_on(self.client.publish_with(channel, message, options))?
    }

    /// As [`Client::publish_unacknowledged`].
    ///
    /// # Errors
    ///
    /// As [`Client::publish_unacknowledged`].
    pub fn publish_unacknowledged<M>(&self, channel: &str, message: &M) -> Result<(), Error>
    where
        M: Serialize + ?Sized,
    {
        self.block_on(self.client.publish_unacknowledged(channel, message))?
    }

    /// As [`Client::write`].
    ///
    /// # Errors
    ///
    /// As [`Client::write`].
    pub fn write<M>(&self, channel: &str, message: &M) -> Result<Option<Position>, Error>
    where
        M: Serialize + ?Sized,
    {
        self.block_on(self.client.write(channel, message))?
    }

    /// As [`Client::write_with`].
    ///
    /// # Errors
    ///
    /// As [`Client::write_with`].
    pub fn write_with<M>(
        &self,
        channel: &str,
        message: &M,
        options: Options,
    ) -> Result<Answer, Error>
    where
        M: Serialize + ?Sized,
    {
        self.block_on(self.client.write_with(channel, message, options))?
    }

    /// As [`Client::read`].
    ///
    /// # Errors
    ///
    /// As [`Client::read`].
    pub fn read<T: DeserializeOwned>(&self, channel: &str) -> Result<T, Error> {
        self.block_on(self.client.read(channel))?
    }

    /// As [`Client::read_with`].
    ///
    /// # Errors
    ///
    /// As [`Client::read_with`].
    pub fn read_with(&self, channel: &str, options: Options) -> Result<Answer, Error> {
        self.block_on(self.client.read_with(channel, options))?
    }

    /// As [`Client::delete`].
    ///
    /// # Errors
    ///
    /// As [`Client::delete`].
    pub fn delete(&self, channel: &str) -> Result<Option<Position>, Error> {
        self.block_on(self.client.delete(channel))?
    }

    /// As [`Client::subscribe`].
    ///
    /// # Errors
    ///
    /// As [`Client::subscribe`].
    pub fn subscribe(&self, id: &str, options: Subscribe) -> Result<BlockingSubscription, Error> {
        let subscription = self.block_on(self.client.subscribe(id, options))??;
        let (client, runtime) = (self.client.clone(), Arc::clone(&self.runtime));
        Ok(BlockingSubscription { subscription, _client: client, runtime })
    }

    /// As [`Client::write_unacknowledged`].
    ///
    /// # Errors
    ///
    /// As [`Client::write_unacknowledged`].
    pub fn write_unacknowledged<M>(&self, channel: &str, message: &M) -> Result<(), Error>
    where
        M: Serialize + ?Sized,
    {
        self.block_on(self.client.write_unacknowledged(channel, message))?
    }

    /// As [`Client::delete_with`].
    ///
    /// # Errors
    ///
    /// As [`Client::delete_with`].
    pub fn delete_with(&self, channel: &str, options: Options) -> Result<Answer, Error> {
        self.block_on(self.client.delete_with(channel, options))?
    }

    /// As [`Client::delete_unacknowledged`].
    ///
    /// # Errors
    ///
    /// As [`Client::delete_unacknowledged`].
    pub fn delete_unacknowledged(&self, channel: &str) -> Result<(), Error> {
        self.block_on(self.client.delete_unacknowledged(channel))?
    }

    /// As [`Client::action`].
    ///
    /// # Errors
    ///
    /// As [`Client::action`].
    pub fn action(&self, action: &str, body: &Value) -> Result<Answer, Error> {
        self.block_on(self.client.action(action, body))?
    }

    /// As [`Client::close`]; nothing inside a runtime.
    pub fn close(&self, wait: Duration) -> Option<CloseReport> {
        self.block_on(self.client.close(wait)).ok()
    }

    /// As [`Client::state`].
    #[must_use]
    pub fn state(&self) -> State {
        self.client.state()
    }

    /// As [`Client::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.client.stats()
    }

    fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        self.runtime.block_on(future).map_err(in_runtime)
    }
}

impl fmt::Debug for BlockingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingClient").field("client", &self.client).finish_non_exhaustive()
    }
}

fn in_runtime(_: InsideRuntime) -> Error {
    Error::misuse("in_runtime", "inside a runtime, the client without `Blocking` is the one to use")
}

/// The deliveries of one channel or view, one after the other.
#[derive(Debug)]
pub struct BlockingSubscription {
    subscription: Subscription,
    /// The connection lives as long as somebody subscribes.
    _client: Client,
    runtime: Arc<OwnRuntime>,
}

impl BlockingSubscription {
    /// As [`Subscription::id`].
    #[must_use]
    pub fn id(&self) -> &str {
        self.subscription.id()
    }

    /// Waits for the next delivery, at most `wait`; `None` when the subscription has
    /// ended.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if nothing came, [`Error::Misuse`] with code `in_runtime`.
    pub fn next_timeout(&mut self, wait: Duration) -> Result<Option<Delivery>, Error> {
        let next = async { tokio::time::timeout(wait, self.subscription.next()).await };
        self.runtime.block_on(next).map_err(in_runtime)?.map_err(|_| Error::Timeout)
    }

    /// As [`Subscription::change`].
    ///
    /// # Errors
    ///
    /// As [`Subscription::change`].
    pub fn change(&self, options: Subscribe) -> Result<(), Error> {
        self.runtime.block_on(self.subscription.change(options)).map_err(in_runtime)?
    }

    /// As [`Subscription::unsubscribe`].
    ///
    /// # Errors
    ///
    /// As [`Subscription::unsubscribe`].
    pub fn unsubscribe(self) -> Result<(), Error> {
        self.runtime.block_on(self.subscription.unsubscribe()).map_err(in_runtime)?
    }
}

/// Ends with the subscription. Inside a runtime, where nothing may block, it has ended.
impl Iterator for BlockingSubscription {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        self.runtime.block_on(self.subscription.next()).ok().flatten()
    }
}
