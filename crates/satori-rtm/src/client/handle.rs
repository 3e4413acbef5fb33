//! The handle through which an application speaks to its driver.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use client_core::{
    CloseReport, Monitor, State,
    driver::{Ended, drive},
    inbox,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use super::{
    command::{Command, Replied, Reply},
    machine::Rtm,
    subscription::Subscription,
};
use crate::{
    Events, Stats,
    config::{Config, Subscribe},
    delivery::{Message, Position},
    error::Error,
    proto::{Core, Request},
};

/// Calls that may wait for the driver to take them; more wait in their caller.
const COMMANDS: usize = 64;

/// A client of one RTM application. Cloning it is cheap; all clones share one
/// connection, which a task of its own keeps up.
///
/// *Cancel safe* means here: a call whose future is dropped before it is ready
/// leaves the client usable and every message whole. What it has asked for may
/// still be carried out, unless the method says otherwise.
///
/// A client stops by itself when trying again cannot help: its first attempt to
/// connect fails, or the service refuses appkey, role or secret. Every call that
/// waits then gets that error, and every subscription ends with it;
/// [`start`](Self::start) begins anew.
///
/// Dropping the last clone ends the connection at once, and with it every
/// subscription; [`close`](Self::close) does it with a report. Dropping a
/// subscription ends only that subscription.
///
/// # Examples
///
/// ```no_run
/// use satori_rtm::{Client, Config, Delivery, Subscribe};
///
/// # async fn example() -> Result<(), satori_rtm::Error> {
/// let client = Client::connect(Config::new("ws://127.0.0.1:8080", "appkey")).await?;
/// let mut animals = client.subscribe("animals", Subscribe::new()).await?;
/// client.publish("animals", &"zebra").await?;
/// if let Some(Delivery::Message(message)) = animals.next().await {
///     assert_eq!(message.decode::<String>()?, "zebra");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    ended: Arc<Ended<(Arc<str>, u64)>>,
    serials: Arc<AtomicU64>,
    monitor: Monitor<Error>,
    report: Arc<OnceLock<CloseReport>>,
    max_publish_bytes: usize,
}

impl Client {
    /// Makes a client that is not started. Requests and subscriptions may be
    /// made already; they wait for [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// - [`Error::Config`] naming an option that cannot be used.
    /// - [`Error::Misuse`] with code `no_runtime` outside a tokio runtime.
    pub fn new(config: Config) -> Result<Self, Error> {
        let url = config.validate()?.parse();
        let url = url.map_err(|e: ws_core::Error| Error::config("endpoint", e.to_string()))?;
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::misuse("no_runtime", "a client is made inside a tokio runtime"))?;
        let monitor = Monitor::new();
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let ended = Arc::new(Ended::default());
        let max_publish_bytes = config.max_publish_bytes;
        let core = Core::new(config.clone(), monitor.clone())?;
        let report = Arc::default();
        let machine = Rtm::new(config, url, core, Arc::clone(&ended), Arc::clone(&report));
        runtime.spawn(drive(machine, receiver, ended.notify()));
        let serials = Arc::default();
        Ok(Self { commands, ended, serials, monitor, report, max_publish_bytes })
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
    /// The WebSocket upgrade, `auth/handshake` and `auth/authenticate`
    /// (docs/protocols/satori-rtm.md, 1 and 6).
    ///
    /// # Errors
    ///
    /// - [`Error::Connect`] naming the step that failed, [`Error::Transport`] or
    ///   [`Error::Protocol`] if the first attempt fails (unless
    ///   [`Config::retry_first_connect`] is set).
    /// - [`Error::Refused`] if the service refuses appkey, role or secret.
    /// - [`Error::Closed`] if the client is stopped or closed meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client goes on connecting.
    pub async fn start(&self) -> Result<(), Error> {
        self.ask(Command::Start).await.map(drop)
    }

    /// Ends the connection and keeps subscriptions and requests for the next
    /// [`start`](Self::start). The deadlines of requests run on meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, nothing may have happened.
    pub async fn stop(&self) -> Result<(), Error> {
        self.ask(Command::Stop).await.map(drop)
    }

    /// Publishes `message` to `channel` and waits for the service to accept it.
    ///
    /// `Ok` means that the service stored the message, and where; it says
    /// nothing about subscribers. A message whose acknowledgement is lost with
    /// the connection is sent again: it may then be stored twice. Calls from
    /// one clone are sent in call order. Some servers name no position.
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
    /// - [`Error::Full`] if the outbox is full.
    /// - [`Error::Misuse`] with code `encode` if `message` has no JSON form, or
    ///   `message_too_big` if it is over [`Config::max_publish_bytes`].
    /// - [`Error::Closed`] if the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once polled to its first wait for the service, the message
    /// is in the outbox and will be sent; before that it was not taken.
    pub async fn publish<M>(&self, channel: &str, message: &M) -> Result<Option<Position>, Error>
    where
        M: Serialize + ?Sized,
    {
        let request = Request::publish(channel, &self.encode(message)?);
        self.request(request).await.map(|body| position(body.as_deref()))
    }

    /// Publishes `message` to `channel` without asking for an acknowledgement.
    ///
    /// `Ok` means that the outbox has the message. It is written once; if the
    /// connection is lost around that moment it may be lost too. One that is
    /// not written within [`Config::request_timeout`] is dropped, with an event
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
        let request = Request::publish(channel, &self.encode(message)?);
        self.ask(|to| Command::Post { request, to }).await.map(drop)
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
        let request = Request::write(channel, &self.encode(message)?);
        self.request(request).await.map(|body| position(body.as_deref()))
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
        let body = self.request(Request::read(channel)).await?;
        let null = || RawValue::NULL.to_owned();
        Message::new(message(body.as_deref()).unwrap_or_else(null), None).decode()
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
        self.request(Request::delete(channel)).await.map(|body| position(body.as_deref()))
    }

    /// Subscribes to `channel`.
    ///
    /// `Ok` means that the service accepted. The subscription follows its
    /// position: after a lost connection it goes on exactly where it stopped,
    /// or delivers a [`Gap`](crate::Gap) where messages are missing. A channel
    /// has one subscription a client.
    ///
    /// # Wire
    ///
    /// `rtm/subscribe` (docs/protocols/satori-rtm.md, 3.5).
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] with the service's code, e.g. `expired_position`.
    /// - [`Error::Misuse`] with code `already_subscribed` while an earlier
    ///   subscription to the channel is held.
    /// - [`Error::Timeout`], [`Error::Closed`], and the error of a client that
    ///   stops by itself, as [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the subscription is undone.
    pub async fn subscribe(
        &self,
        channel: &str,
        options: Subscribe,
    ) -> Result<Subscription, Error> {
        let (out, reader) = inbox(options.inbox, options.overflow);
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let channel: Arc<str> = channel.into();
        let name = Arc::clone(&channel);
        // Made before the request, so that dropping this future drops it.
        let commands = self.commands.downgrade();
        let ended = Arc::clone(&self.ended);
        let subscription = Subscription::new(channel, serial, reader, commands, ended);
        self.ask(|to| Command::Subscribe { channel: name, serial, options, out, to }).await?;
        Ok(subscription)
    }

    /// Stops taking requests, waits at most `wait` for what was accepted, and
    /// ends the connection with a closing handshake.
    ///
    /// Returns what became of the requests. Calling it again, or from several
    /// tasks, returns the same report.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client goes on closing.
    pub async fn close(&self, wait: Duration) -> CloseReport {
        let (to, report) = oneshot::channel();
        // A driver that takes no command any more has left its report behind;
        // the command goes, and with it who would have answered.
        drop(self.commands.send(Command::Close { wait, to: Reply::Report(to) }).await);
        match report.await {
            Ok(report) => report,
            Err(_) => self.report.get().copied().unwrap_or_default(),
        }
    }

    /// Returns where the client stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.monitor.state()
    }

    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.monitor.stats()
    }

    /// Opens a stream of what happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.monitor.events()
    }

    async fn request(&self, request: Request) -> Replied {
        self.ask(|to| Command::Request { request, to }).await
    }

    /// Sends a command and waits for its answer. Every command is answered: by
    /// the service, by a deadline, or by the client's end.
    async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Replied {
        let (to, answer) = oneshot::channel();
        self.commands.send(command(Reply::Answer(to))).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Serialises in the caller's task, so that later changes are not seen.
    fn encode<M: Serialize + ?Sized>(&self, message: &M) -> Result<String, Error> {
        let text = serde_json::to_string(message)
            .map_err(|e| Error::misuse("encode", format!("the message has no JSON form: {e}")))?;
        match text.len() <= self.max_publish_bytes {
            true => Ok(text),
            false => {
                let limit = self.max_publish_bytes;
                let reason = format!("a message of {} bytes is over {limit}", text.len());
                Err(Error::misuse("message_too_big", reason))
            }
        }
    }
}

fn position(body: Option<&RawValue>) -> Option<Position> {
    #[derive(serde::Deserialize)]
    struct Body {
        position: Option<String>,
    }
    serde_json::from_str::<Body>(body?.get()).ok()?.position.map(Position::from)
}

fn message(body: Option<&RawValue>) -> Option<Box<RawValue>> {
    #[derive(serde::Deserialize)]
    struct Body {
        message: Box<RawValue>,
    }
    serde_json::from_str::<Body>(body?.get()).ok().map(|body| body.message)
}
