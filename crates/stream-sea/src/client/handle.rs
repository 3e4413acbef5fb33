//! The handle through which an application speaks to its driver, and calls.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use client_core::{
    CloseReport, Monitor, State,
    driver::{Ended, drive},
    inbox,
};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::{
    caller::Caller,
    command::{Command, Replied, Reply},
    machine::Sea,
    subscription::Subscription,
};
use crate::{
    Events, Stats,
    calls::{self, ClientKey, ClientSecret, Defined, Jail},
    config::{Config, Credentials, Subscribe},
    error::Error,
    proto::Core,
    schema::{SchemaDefinition, Version},
};

/// Calls that may wait for the driver to take them; more wait in their caller.
const COMMANDS: usize = 64;

/// A client of one Stream-sea service. Cloning it is cheap; all clones share one
/// WebSocket, which a task of its own keeps up, and the connections of HTTP calls.
///
/// Publishing, schemas and administration are HTTP calls: they need no
/// [`start`](Self::start), and each is sent once, within
/// [`Config::request_timeout`]. One that fails says whether it may have been carried
/// out ([`Error::is_in_doubt`]); whether to make it again is the application's
/// decision. Only subscriptions use the WebSocket.
///
/// *Cancel safe* means here: a call whose future is dropped before it is ready
/// leaves the client usable. What it has asked for may still be carried out, unless
/// the method says otherwise.
///
/// A client stops by itself when trying again cannot help: its first attempt to
/// connect fails, or the service refuses its credentials. Every subscription then
/// ends with that error; [`start`](Self::start) begins anew.
///
/// Dropping the last clone ends the connection at once, and with it every
/// subscription; [`close`](Self::close) does it with a report. Dropping a
/// subscription ends only that subscription.
///
/// # Examples
///
/// ```no_run
/// use stream_sea::{Client, Config, Credentials, Delivery, Subscribe};
///
/// # async fn example() -> Result<(), stream_sea::Error> {
/// let config = Config::new("localhost", 3104, Credentials::basic("app123", "secret"));
/// let client = Client::connect(config).await?;
/// let mut tides = client.subscribe("tides", Subscribe::new().fanout()).await?;
/// client.publish("tides", &serde_json::json!({"level": 1.75})).await?;
/// if let Some(Delivery::Message(message)) = tides.next().await {
///     println!("{}", message.json());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    ended: Arc<Ended<u64>>,
    serials: Arc<AtomicU64>,
    monitor: Monitor<Error>,
    credentials: Arc<Mutex<Credentials>>,
    caller: Arc<Caller>,
}

impl Client {
    /// Makes a client that is not started. Calls may be made already; subscriptions
    /// wait for [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// - [`Error::Config`] naming an option that cannot be used.
    /// - [`Error::Misuse`] with code `no_runtime` outside a tokio runtime.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.validate()?;
        let url = format!("{}/api/v1/streams", config.origin("ws")).parse();
        let url = url.map_err(|e: ws_core::Error| Error::config("host", e.to_string()))?;
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::misuse("no_runtime", "a client is made inside a tokio runtime"))?;
        let monitor = Monitor::new();
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let ended = Arc::new(Ended::default());
        let core = Core::new(config.clone(), monitor.clone())?;
        let credentials = Arc::new(Mutex::new(config.credentials.clone()));
        let config = Arc::new(config);
        let caller = Arc::new(Caller::new(Arc::clone(&config), Arc::clone(&credentials))?);
        let machine = Sea::new(config, Arc::clone(&credentials), url, core, Arc::clone(&ended));
        runtime.spawn(drive(machine, receiver, ended.notify()));
        let serials = Arc::default();
        Ok(Self { commands, ended, serials, monitor, credentials, caller })
    }

    /// Makes a client, starts it and waits for its first connection.
    ///
    /// # Errors
    ///
    /// - as [`new`](Self::new) and [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the attempt is given up.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let client = Self::new(config)?;
        client.start().await?;
        Ok(client)
    }

    /// Starts, or starts again after [`stop`](Self::stop), and waits until the
    /// client is connected and authenticated.
    ///
    /// # Wire
    ///
    /// The WebSocket upgrade and `authenticate`
    /// (docs/protocols/stream-sea.md, 2 and 7.3).
    ///
    /// # Errors
    ///
    /// - [`Error::Connect`] naming the step that failed, [`Error::Transport`] or
    ///   [`Error::Protocol`] if the first attempt fails (unless
    ///   [`Config::retry_first_connect`] is set).
    /// - [`Error::Refused`] if the service refuses the credentials; the connection
    ///   is closed, and not tried again.
    /// - [`Error::Closed`] if the client is stopped or closed meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client goes on connecting.
    pub async fn start(&self) -> Result<(), Error> {
        self.ask(|to| Command::Start(Reply::Answer(to))).await
    }

    /// Ends the WebSocket and keeps subscriptions for the next
    /// [`start`](Self::start). HTTP calls go on.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, nothing may have happened.
    pub async fn stop(&self) -> Result<(), Error> {
        self.ask(|to| Command::Stop(Reply::Answer(to))).await
    }

    /// Says who the client is, from the next call and the next connection on. A
    /// client that stopped because its credentials were refused is started again by
    /// [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if they cannot be used.
    pub fn set_credentials(&self, credentials: Credentials) -> Result<(), Error> {
        credentials.validate()?;
        *self.credentials.lock().unwrap_or_else(PoisonError::into_inner) = credentials;
        Ok(())
    }

    /// Subscribes to `stream`. A stream may be subscribed several times.
    ///
    /// `Ok` means that the service accepted. After a lost connection the
    /// subscription is made again, in the same group, and delivers a
    /// [`Gap`](crate::Gap): the service keeps nothing for who is away.
    ///
    /// # Wire
    ///
    /// `subscribe` (docs/protocols/stream-sea.md, 7.4).
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] with the service's text, e.g. for an unknown stream.
    /// - [`Error::Timeout`] after [`Config::request_timeout`].
    /// - [`Error::Closed`], and the error of a client that stops by itself.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the subscription is undone.
    pub async fn subscribe(&self, stream: &str, options: Subscribe) -> Result<Subscription, Error> {
        let (out, reader) = inbox(options.inbox, options.overflow);
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let name = stream.to_owned();
        // Made before the request, so that dropping this future drops it.
        let subscription =
            Subscription::new(stream.into(), serial, reader, Arc::clone(&self.ended));
        self.ask(|to| Command::Subscribe { stream: name, serial, options, out, to }).await?;
        Ok(subscription)
    }

    /// Publishes `payload`, an object, or an array of objects as one batch, and
    /// waits for the service to take it.
    ///
    /// `Ok` says nothing about subscribers.
    ///
    /// # Wire
    ///
    /// `POST /streams/S/publish` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] with the service's text and, for a payload that does not
    ///   fit the schema, each of its errors.
    /// - [`Error::Transport`] and [`Error::Timeout`]: ask [`Error::is_in_doubt`]
    ///   before publishing again.
    /// - [`Error::Misuse`] with code `encode` if `payload` is no object or array,
    ///   `name` if `stream` cannot be named in a path, `jwt` if the client has a
    ///   token instead of a secret.
    /// - [`Error::Closed`] if the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the payload may have been published, once.
    pub async fn publish<T>(&self, stream: &str, payload: &T) -> Result<(), Error>
    where
        T: Serialize + ?Sized,
    {
        let call = calls::publish(stream, payload)?;
        self.caller.call(call).await
    }

    /// Stores the definition of a stream, or says that the service has the same.
    ///
    /// # Wire
    ///
    /// `GET /streams/S/schema`, then `POST /streams/S/define`
    /// (docs/protocols/stream-sea.md, 3.3 and 3.4).
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] if the service has another definition of the same
    ///   version, or one of a higher version: what is stored stays.
    /// - [`Error::Misuse`] with code `schema` if no service would take it.
    /// - as [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the definition may have been stored.
    pub async fn define_stream(&self, schema: &SchemaDefinition) -> Result<Defined, Error> {
        let call = calls::define(schema)?;
        let before = calls::before(self.describe_stream(&schema.name).await)?;
        self.caller.call(call).await?;
        calls::defined(schema, before)
    }

    /// Returns the definition of a stream, `None` if there is no such stream.
    ///
    /// # Wire
    ///
    /// `GET /streams/S/schema` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn describe_stream(&self, stream: &str) -> Result<Option<SchemaDefinition>, Error> {
        let call = calls::describe(stream)?;
        calls::described(stream, self.caller.call(call).await)
    }

    /// Returns the versions of `streams`, each in its place, `None` for a stream
    /// that does not exist.
    ///
    /// # Wire
    ///
    /// `POST /schema-versions-vector` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// - [`Error::Protocol`] if the service returns another number of them.
    /// - as [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn get_schema_versions_vector(
        &self,
        streams: &[&str],
    ) -> Result<Vec<Option<Version>>, Error> {
        let versions = self.caller.call(calls::versions_vector(streams)).await?;
        calls::of_length(streams.len(), versions)
    }

    /// Makes a client of this client's jail; its secret is told once.
    ///
    /// # Wire
    ///
    /// `POST /client` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); an id that is taken is refused.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the client may exist, and nobody knows its secret.
    pub async fn create_client(
        &self,
        client_id: &str,
        description: &str,
    ) -> Result<ClientSecret, Error> {
        self.caller.call(calls::create_client(client_id, description)).await
    }

    /// Deletes a client of this client's jail.
    ///
    /// # Wire
    ///
    /// `DELETE /client/C` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client may have been deleted.
    pub async fn delete_client(&self, client_id: &str) -> Result<(), Error> {
        let call = calls::delete_client(client_id)?;
        self.caller.call(call).await
    }

    /// Gives a client a new secret, which is told once; the old one counts no
    /// longer. For this client's own, [`set_credentials`](Self::set_credentials) is
    /// next.
    ///
    /// # Wire
    ///
    /// `PUT /client/C` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the secret may have changed, and nobody knows it.
    pub async fn rotate_client_secret(&self, client_id: &str) -> Result<ClientSecret, Error> {
        let call = calls::rotate_client_secret(client_id)?;
        self.caller.call(call).await
    }

    /// Stores the public key of a client's tokens, in PEM form, or removes it.
    ///
    /// # Wire
    ///
    /// `PUT /client/C/jwt-public-key` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the key may have been stored.
    pub async fn rotate_client_jwt_public_key(
        &self,
        client_id: &str,
        jwt_public_key: Option<&str>,
    ) -> Result<ClientKey, Error> {
        let call = calls::rotate_client_jwt_public_key(client_id, jwt_public_key)?;
        self.caller.call(call).await
    }

    /// Makes a jail with its first client, whose secret is told once.
    ///
    /// # Wire
    ///
    /// `POST /jails` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); an id that is taken is refused.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the jail may exist, and nobody knows the secret.
    pub async fn create_jail(
        &self,
        jail_id: &str,
        jail_name: &str,
        client_id: &str,
    ) -> Result<Jail, Error> {
        self.caller.call(calls::create_jail(jail_id, jail_name, client_id)).await
    }

    /// Deletes a jail, its clients and its streams.
    ///
    /// # Wire
    ///
    /// `DELETE /jails/J` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the jail may have been deleted.
    pub async fn delete_jail(&self, jail_id: &str) -> Result<(), Error> {
        let call = calls::delete_jail(jail_id)?;
        self.caller.call(call).await
    }

    /// Begins no further call, waits at most `wait` for those on their way, and ends
    /// the WebSocket with a closing handshake.
    ///
    /// Returns what became of the calls. Calling it again, or from several tasks,
    /// returns the same.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client may go on closing.
    pub async fn close(&self, wait: Duration) -> CloseReport {
        let report = self.caller.close(wait).await;
        // A driver that takes no command any more is closed already.
        drop(self.ask(|to| Command::Close(Reply::Answer(to))).await);
        report
    }

    /// Returns where the WebSocket stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.monitor.state()
    }

    /// Returns the counters of the WebSocket.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.monitor.stats()
    }

    /// Opens a stream of what happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.monitor.events()
    }

    /// Sends a command and waits for its answer. Every command is answered: by
    /// the service, by a deadline, or by the client's end.
    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Replied>) -> Command,
    ) -> Result<(), Error> {
        let (to, answer) = oneshot::channel();
        self.commands.send(command(to)).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}
