//! The handle through which an application speaks to its driver.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use client_core::{
    CloseReport, Listeners, Monitor, Overflow, State,
    driver::{Ended, Room, drive},
    inbox,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    command::{Command, Replied, Reply},
    machine::Rtm,
    subscription::Subscription,
};
use crate::{
    Events, Stats,
    codec::Protocol,
    config::{Config, Subscribe},
    error::Error,
    proto::{Core, Request},
    transition::{Transition, Transitions},
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
    listeners: Listeners<Transition>,
    report: Arc<OnceLock<CloseReport>>,
    settings: Settings,
}

/// What a handle itself has to know.
#[derive(Clone, Debug)]
struct Settings {
    protocol: Protocol,
    max_publish_bytes: usize,
    max_outbox_bytes: usize,
    request_timeout: Duration,
    /// Where calls wait for room, if they do.
    room: Option<Room>,
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
        let (monitor, listeners) = (Monitor::new(), Listeners::new());
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let ended = Arc::new(Ended::default());
        let settings = Settings {
            protocol: config.protocol,
            max_publish_bytes: config.max_publish_bytes,
            max_outbox_bytes: config.outbox.max_bytes,
            request_timeout: config.request_timeout,
            room: (config.outbox_overflow == Overflow::Block).then(|| Room::new(config.outbox)),
        };
        let core = Core::new(config.clone(), monitor.clone(), listeners.clone())?;
        let report = Arc::default();
        let machine = Rtm::new(config, url, core, Arc::clone(&ended), Arc::clone(&report));
        runtime.spawn(drive(machine, receiver, ended.notify()));
        let serials = Arc::default();
        Ok(Self { commands, ended, serials, monitor, listeners, report, settings })
    }

    /// Makes a client, starts it and waits for its first connection, authenticated as
    /// the configuration says.
    ///
    /// # Errors
    ///
    /// - as [`new`](Self::new) and [`start`](Self::start): what the service has against
    ///   a role is [`Error::Auth`].
    /// - [`Error::Timeout`] after [`Config::first_connect_timeout`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the attempt is given up.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let limit = config.first_connect_timeout;
        let client = Self::new(config)?;
        tokio::time::timeout(limit, client.start()).await.map_err(|_| Error::Timeout)??;
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
    /// - [`Error::Refused`] if the service refuses the appkey, [`Error::Auth`] if it
    ///   refuses role or secret.
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

    /// Subscribes to the channel `id`; with a [`filter`](Subscribe::filter) to a view,
    /// which is then called `id`.
    ///
    /// `Ok` means that the service accepted. The subscription follows its
    /// position: after a lost connection it goes on exactly where it stopped,
    /// or delivers a [`Gap`](crate::Gap) where messages are missing. An id
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
    ///   subscription of that id is held, `encode` or `byte_string` if an option
    ///   cannot be written.
    /// - [`Error::Timeout`], [`Error::Closed`], and the error of a client that
    ///   stops by itself, as [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the subscription is undone.
    pub async fn subscribe(&self, id: &str, options: Subscribe) -> Result<Subscription, Error> {
        let (out, reader) = inbox(options.inbox, options.overflow);
        let options = Box::new(options);
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let id: Arc<str> = id.into();
        let name = Arc::clone(&id);
        // Made before the request, so that dropping this future drops it.
        let commands = self.commands.downgrade();
        let ended = Arc::clone(&self.ended);
        let subscription = Subscription::new(id, serial, reader, commands, ended);
        self.ask(|to| Command::Subscribe { id: name, serial, options, out, to }).await?;
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

    /// Opens a stream of every step of the client and its subscriptions from now on:
    /// what the original's observers are called for, in its order.
    #[must_use]
    pub fn transitions(&self) -> Transitions {
        Transitions::new(self.listeners.listen())
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.settings.protocol
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn request(&self, request: Request) -> Replied {
        let request = self.admit(request).await?;
        self.ask(|to| Command::Request { request, to }).await
    }

    /// Hands a request over that nobody answers.
    pub(super) async fn post(&self, request: Request) -> Result<(), Error> {
        let request = self.admit(request).await?;
        self.ask(|to| Command::Post { request, to }).await.map(drop)
    }

    /// Checks the size of a message, and waits for room if calls do.
    async fn admit(&self, request: Request) -> Result<Request, Error> {
        let Settings { max_publish_bytes: limit, request_timeout, room, .. } = &self.settings;
        let bytes = request.message_bytes();
        if bytes > *limit {
            let reason = format!("a message of {bytes} bytes is over {limit}");
            return Err(Error::misuse("message_too_big", reason));
        }
        let Some(room) = room else { return Ok(request) };
        if request.bytes() > self.settings.max_outbox_bytes {
            let reason =
                format!("a request of {} bytes is over the outbox's bound", request.bytes());
            return Err(Error::misuse("message_too_big", reason));
        }
        let place = room.reserve(request.bytes(), *request_timeout).await;
        place.map(|place| request.holding(place)).map_err(|_| Error::Full)
    }

    /// Sends a command and waits for its answer. Every command is answered: by
    /// the service, by a deadline, or by the client's end.
    pub(super) async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Replied {
        let (to, answer) = oneshot::channel();
        self.commands.send(command(Reply::Answer(to))).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }
}
