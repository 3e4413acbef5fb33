//! The handle through which an application speaks to its driver.

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
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    command::{Command, Replied, Reply},
    machine::{Shared, Templar},
    subscription::Subscription,
};
use crate::{
    Events, Stats,
    config::{Config, Credentials, Giver, Subscribe},
    error::Error,
    proto::{Answer, Core},
    room::{AllowedRooms, Room},
    status::Status,
};

/// Calls that may wait for the driver to take them; more wait in their caller.
const COMMANDS: usize = 64;

/// A client of one High-Templar server. Cloning it is cheap; all clones share one
/// WebSocket, which a task of its own keeps up.
///
/// *Cancel safe* means here: a call whose future is dropped before it is ready
/// leaves the client usable. What it has asked for may still be carried out, unless
/// the method says otherwise.
///
/// A client stops by itself when trying again cannot help: its first attempt to
/// connect fails, or the user is not let in. Every subscription then ends with that
/// error; [`start`](Self::start) begins anew.
///
/// Dropping the last clone ends the connection at once, and with it every
/// subscription; [`close`](Self::close) does it with a closing handshake. Dropping a
/// subscription ends only that subscription.
///
/// Clients cannot publish; the backend does, by a [`Publisher`](crate::Publisher).
///
/// # Examples
///
/// ```no_run
/// use high_templar_client::{Client, Config, Credentials, Delivery, Room, Subscribe};
///
/// # async fn example() -> Result<(), high_templar_client::Error> {
/// let user = Credentials::new().token("t0k3n");
/// let config = Config::new("ws://localhost:8000/ws/").credentials(user);
/// let client = Client::connect(config).await?;
/// let room = Room::new().with("target", "message").with("customer", "1");
/// let mut messages = client.subscribe(room, Subscribe::new()).await?;
/// while let Some(delivery) = messages.next().await {
///     match delivery {
///         Delivery::Message(message) => println!("{}", message.json()),
///         Delivery::Gap(_) => println!("fetch again: something may be missing"),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    serials: Arc<AtomicU64>,
    monitor: Monitor<Error>,
}

impl Client {
    /// Makes a client that is not started. Calls may be made already; they wait for
    /// [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// - [`Error::Config`] naming an option that cannot be used.
    /// - [`Error::Misuse`] with code `no_runtime` outside a tokio runtime.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.validate()?;
        let endpoint = config.address().parse::<ws_core::Endpoint>();
        endpoint.map_err(|e| Error::config("url", e.to_string()))?;
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::misuse("no_runtime", "a client is made inside a tokio runtime"))?;
        let monitor = Monitor::new();
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let core = Core::new(config.clone(), monitor.clone())?;
        let credentials = Mutex::new(config.credentials.clone());
        let shared =
            Arc::new(Shared { credentials, allowed: Mutex::default(), ended: Ended::default() });
        let machine = Templar::new(Arc::new(config), core, Arc::clone(&shared));
        runtime.spawn(drive(machine, receiver, shared.ended.notify()));
        Ok(Self { commands, shared, serials: Arc::default(), monitor })
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
    /// server has let the user in.
    ///
    /// # Wire
    ///
    /// The WebSocket upgrade and the first frame (docs/protocols/high-templar.md, 3, 4
    /// and 6).
    ///
    /// # Errors
    ///
    /// - [`Error::Connect`] naming the step that failed, [`Error::Transport`] or
    ///   [`Error::Protocol`] if the first attempt fails (unless
    ///   [`Config::retry_first_connect`] is set). A server whose backend is down
    ///   answers the upgrade with an HTTP status of 500 or more.
    /// - [`Error::Refused`] with [`Reason::NotAuthorized`](crate::Reason::NotAuthorized)
    ///   if the user is not let in; that is not tried again, unless
    ///   [`Config::retry_refused`] is set.
    /// - [`Error::Closed`] if the client is stopped or closed meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client goes on connecting.
    pub async fn start(&self) -> Result<(), Error> {
        self.ask(|to| Command::Start(Reply::Answer(to))).await.map(drop)
    }

    /// Ends the WebSocket and keeps subscriptions for the next
    /// [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, nothing may have happened.
    pub async fn stop(&self) -> Result<(), Error> {
        self.ask(|to| Command::Stop(Reply::Answer(to))).await.map(drop)
    }

    /// Says who the user is, from the next connection on. Rights are read when a
    /// connection is made: to use new ones at once, [`stop`](Self::stop) and
    /// [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if they cannot be sent.
    pub fn set_credentials(&self, credentials: Credentials) -> Result<(), Error> {
        credentials.validate()?;
        let lock = self.shared.credentials.lock();
        *lock.unwrap_or_else(PoisonError::into_inner) = Giver::Fixed(credentials);
        Ok(())
    }

    /// Subscribes to `room`. A room may be subscribed several times.
    ///
    /// `Ok` means that the server accepted. After a lost connection the room is
    /// subscribed again under the same request id, and then delivers a
    /// [`Gap`](crate::Gap): the server keeps nothing for who is away. A room that is
    /// refused then ends its subscription, and no other.
    ///
    /// # Wire
    ///
    /// `subscribe` (docs/protocols/high-templar.md, 7.2).
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`], with
    ///   [`Reason::RoomNotFound`](crate::Reason::RoomNotFound) for a room that the user
    ///   may not enter.
    /// - [`Error::Timeout`] after [`Config::request_timeout`].
    /// - [`Error::Closed`], and the error of a client that stops by itself.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the subscription is undone.
    pub async fn subscribe(&self, room: Room, options: Subscribe) -> Result<Subscription, Error> {
        let (out, reader) = inbox(options.inbox, options.overflow);
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let id = Uuid::new_v4().to_string();
        let (shared, commands) = (Arc::clone(&self.shared), self.commands.clone());
        // Made before the request, so that dropping this future drops it.
        let subscription =
            Subscription::new(room.clone(), id.clone(), serial, reader, shared, commands);
        self.ask(|to| Command::Subscribe { room, serial, id, out, to }).await?;
        Ok(subscription)
    }

    /// Returns the rooms that the user may enter, as the server said on the newest
    /// connection; empty before the first one.
    #[must_use]
    pub fn allowed_rooms(&self) -> Arc<AllowedRooms> {
        let lock = self.shared.allowed.lock();
        Arc::clone(&lock.unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for the counters of the server process.
    ///
    /// # Wire
    ///
    /// `status` (docs/protocols/high-templar.md, 7.4 and 13); only 3.x has it.
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] with
    ///   [`Reason::MessageTypeNotAllowed`](crate::Reason::MessageTypeNotAllowed) by a
    ///   2.x server.
    /// - [`Error::Timeout`] after [`Config::request_timeout`].
    /// - [`Error::Closed`], and the error of a client that stops by itself.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn status(&self) -> Result<Status, Error> {
        match self.ask(|to| Command::Status(Reply::Answer(to))).await? {
            Answer::Status(status) => Ok(*status),
            Answer::Done => Err(Error::protocol("reply", "a status without counters")),
        }
    }

    /// Ends the client with a closing handshake. Clients send nothing that could be
    /// lost, so the report is empty; it is there because all clients have one. Calling
    /// it again, or from several tasks, does no harm.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client may go on closing.
    pub async fn close(&self, wait: Duration) -> CloseReport {
        let closing = self.ask(|to| Command::Close(Reply::Answer(to)));
        // A driver that takes no command any more is closed already.
        let _closed = tokio::time::timeout(wait, closing).await;
        CloseReport::default()
    }

    /// Returns where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.monitor.state()
    }

    /// Returns the counters of this client.
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
    /// the server, by a deadline, or by the client's end.
    async fn ask(&self, command: impl FnOnce(oneshot::Sender<Replied>) -> Command) -> Replied {
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
