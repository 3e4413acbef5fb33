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
    CloseReport, Gauge, Monitor, State,
    driver::{Ended, drive},
    inbox,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    command::{Command, Fate, Reply},
    handlers::{Handlers, Runner},
    machine::Broker,
    presence::Presence,
    subscription::{Held, Subscription},
};
use crate::{
    Events, Stats,
    config::Config,
    delivery::{Delivery, Message},
    error::Error,
    options::{PresenceOptions, PublishOptions, QoS, SubscribeOptions},
    payload::Payload,
    proto::{self, Answer, Answered, Core, Out, Publish, Watcher},
    requests::Ask,
};

/// Calls that may wait for the driver to take them; more wait in their caller.
const COMMANDS: usize = 64;

/// A client of one emitter broker or cluster. Cloning it is cheap; all clones share
/// one connection, which a task of its own keeps up.
///
/// What the broker forgets with a connection, the client says again on the next one, in
/// this order: subscriptions, presence, links, and then every publish that is not
/// acknowledged. Calls may be made at any time: what cannot be sent waits, within
/// [`Config::outbox`](crate::Config::outbox) and
/// [`Config::request_timeout`](crate::Config::request_timeout).
///
/// Where a call takes a channel key, an empty one means
/// [`Config::default_key`](crate::Config::default_key). A channel needs no slash at its
/// end.
///
/// *Cancel safe* means here: a call whose future is dropped before it is ready
/// leaves the client usable. What it has asked for may still be carried out, unless
/// the method says otherwise.
///
/// Dropping the last clone ends the connection at once, and with it every
/// subscription; [`close`](Self::close) does it with a report.
///
/// # Examples
///
/// ```no_run
/// use emitter::{Client, Config, Delivery, PublishOptions, SubscribeOptions};
///
/// # async fn example(key: &str) -> Result<(), emitter::Error> {
/// let client = Client::connect(Config::new("mqtt://127.0.0.1:8080".parse()?)).await?;
/// let mut demo = client.subscribe(key, "demo", SubscribeOptions::new().last(5)).await?;
/// client.publish(key, "demo/x", "hello", PublishOptions::new().ttl(60)).await?;
/// while let Some(Delivery::Message(message)) = demo.next().await {
///     println!("{}: {}", message.channel(), message.as_str()?);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(super) config: Arc<Config>,
    commands: mpsc::Sender<Command>,
    gauge: Gauge,
    ended: Arc<Ended<Fate>>,
    serials: Arc<AtomicU64>,
    handlers: Arc<Handlers>,
    monitor: Monitor<Error>,
    report: Arc<Mutex<CloseReport>>,
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
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::misuse("no_runtime", "a client is made inside a tokio runtime"))?;
        let (client, runner) = Self::with_runner(config, &runtime)?;
        runtime.spawn(runner.run());
        Ok(client)
    }

    /// Makes a client, and what calls its handlers.
    pub(crate) fn with_runner(
        mut config: Config,
        runtime: &tokio::runtime::Handle,
    ) -> Result<(Self, Runner), Error> {
        let _in_it = runtime.enter();
        config.validate()?;
        config.client_id.get_or_insert_with(|| uuid::Uuid::new_v4().simple().to_string());
        let monitor = Monitor::new();
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (limits, overflow) = config.handlers;
        let (notices, reader) = inbox(limits, overflow);
        let handlers = Arc::new(Handlers::default());
        let runner = Runner::new(reader, Arc::clone(&handlers), commands.downgrade());
        let core = Core::new(config.clone(), monitor.clone(), Some(notices))?;
        let gauge = Gauge::new(config.outbox);
        let (config, ended) = (Arc::new(config), Arc::new(Ended::default()));
        let report = Arc::default();
        let machine = Broker::new(
            Arc::clone(&config),
            core,
            monitor.clone(),
            Arc::clone(&ended),
            Arc::clone(&report),
        );
        runtime.spawn(drive(machine, receiver, ended.notify()));
        let serials = Arc::default();
        let client = Self { config, commands, gauge, ended, serials, handlers, monitor, report };
        Ok((client, runner))
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
    /// broker has accepted the connection.
    ///
    /// # Wire
    ///
    /// CONNECT and CONNACK (docs/protocols/emitter.md, 2).
    ///
    /// # Errors
    ///
    /// - [`Error::Connect`] naming the step that failed, [`Error::Transport`] or
    ///   [`Error::Protocol`] if the first attempt fails (unless
    ///   [`Config::retry_first_connect`](crate::Config::retry_first_connect) is set).
    /// - [`Error::Refused`] if the broker refuses; it is not tried again.
    /// - [`Error::Closed`] if the client is stopped or closed meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client goes on connecting.
    pub async fn start(&self) -> Result<(), Error> {
        self.done(|to| Command::Start(Reply::Answer(to))).await
    }

    /// Ends the connection and keeps subscriptions, links and what is not acknowledged
    /// for the next [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, nothing may have happened.
    pub async fn stop(&self) -> Result<(), Error> {
        self.done(|to| Command::Stop(Reply::Answer(to))).await
    }

    /// Publishes to a channel.
    ///
    /// `Ok` means that the broker has accepted it: its acknowledgement is waited for,
    /// and the message is sent again, in its order, after a lost connection; it may
    /// then be delivered twice. With [`PublishOptions::at_most_once`] `Ok` means that
    /// the outbox has it: what the broker refuses comes as [`Event`](crate::Event) and
    /// to [`on_error`](Handlers::on_error), and what cannot be written within
    /// [`Config::request_timeout`](crate::Config::request_timeout), or before the client
    /// is closed, is dropped with an [`Event::Dropped`](crate::Event).
    ///
    /// # Wire
    ///
    /// PUBLISH and PUBACK (docs/protocols/emitter.md, 5).
    ///
    /// # Errors
    ///
    /// - [`Error::Misuse`] naming what the broker would refuse: `key`, `channel`,
    ///   `ttl`, `message_too_big`.
    /// - [`Error::Refused`]: the key does not allow it.
    /// - [`Error::Full`] if too much waits already.
    /// - [`Error::Timeout`] after
    ///   [`Config::request_timeout`](crate::Config::request_timeout).
    /// - [`Error::Closed`], and the error of a client that stops by itself.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is queued whole or not at all, and may be published.
    pub async fn publish(
        &self,
        key: &str,
        channel: &str,
        message: impl Into<Payload>,
        options: PublishOptions,
    ) -> Result<(), Error> {
        let payload = message.into().0;
        self.hand_in(Publish::channel(&self.config, key, channel, payload, &options)?).await
    }

    /// Publishes through a link.
    ///
    /// A link has its ttl and echo of its own; of `options` it takes the rest.
    ///
    /// # Wire
    ///
    /// PUBLISH to the link's name (docs/protocols/emitter.md, 5 and 8.4).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`Error::Misuse`] with code `link_name`, or
    /// `options` for those that belong to the link.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is queued whole or not at all, and may be published.
    pub async fn publish_with_link(
        &self,
        link: &str,
        message: impl Into<Payload>,
        options: PublishOptions,
    ) -> Result<(), Error> {
        if !options.query()?.is_empty() {
            return Err(Error::misuse("options", "ttl and echo are options of the link"));
        }
        let payload = message.into().0;
        self.hand_in(Publish::link(link, payload, options.qos, options.retain)?).await
    }

    /// Subscribes to a channel and everything below it. A channel may be subscribed
    /// several times.
    ///
    /// `Ok` means that the broker accepted. What it has stored comes first, by
    /// [`SubscribeOptions`]; it goes to every subscription that it matches. After a
    /// lost connection the subscription is made again, and delivers a
    /// [`Gap`](crate::Gap) or [what was missed](SubscribeOptions::fill_gaps).
    ///
    /// # Wire
    ///
    /// SUBSCRIBE and SUBACK (docs/protocols/emitter.md, 6).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the subscription is undone.
    pub async fn subscribe(
        &self,
        key: &str,
        channel: &str,
        options: SubscribeOptions,
    ) -> Result<Subscription, Error> {
        self.begin(key, channel, None, &options).await
    }

    /// Subscribes to a channel as a member of a share group: each message goes to one
    /// of its members. The key is one for `$share/group/channel/`.
    ///
    /// # Wire
    ///
    /// SUBSCRIBE and SUBACK (docs/protocols/emitter.md, 6).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe), and [`Error::Misuse`] with code
    /// `share_group`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the subscription is undone.
    pub async fn subscribe_with_group(
        &self,
        key: &str,
        channel: &str,
        share_group: &str,
        options: SubscribeOptions,
    ) -> Result<Subscription, Error> {
        self.begin(key, channel, Some(share_group), &options).await
    }

    /// Subscribes, in a share group or not, and has `handler` called with each
    /// message. Once it is accepted, it has the place of the handler that this channel,
    /// in this group or in none, had before.
    ///
    /// A handler is told of no gap; [`Event::Gap`](crate::Event) is.
    ///
    /// # Errors
    ///
    /// As [`subscribe_with_group`](Self::subscribe_with_group).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the subscription is undone.
    pub async fn subscribe_with_handler(
        &self,
        key: &str,
        channel: &str,
        share_group: Option<&str>,
        options: SubscribeOptions,
        handler: impl Fn(Message) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let subscription =
            proto::Subscription::new(&self.config, key, channel, share_group, &options)?;
        let serial = self.next_serial();
        let out = Out::Handler(Arc::new(handler));
        let undo = Undo::new(&self.ended, serial);
        let begun =
            |to| Command::Subscribe { serial, subscription, out, to: Reply::Begun { to, serial } };
        self.done(begun).await?;
        undo.disarm();
        Ok(())
    }

    /// Ends every subscription of a channel, streams and handlers, and waits for the
    /// broker's word. Subscriptions above and below stay, and so do share groups.
    ///
    /// # Wire
    ///
    /// UNSUBSCRIBE and UNSUBACK (docs/protocols/emitter.md, 6).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish). Here the subscriptions end in any case.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn unsubscribe(&self, key: &str, channel: &str) -> Result<(), Error> {
        self.leave(key, channel, None).await
    }

    /// Ends every subscription of this client in a share group of a channel.
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn unsubscribe_from_group(
        &self,
        key: &str,
        channel: &str,
        share_group: &str,
    ) -> Result<(), Error> {
        self.leave(key, channel, Some(share_group)).await
    }

    /// Watches who is on a channel: who is there now, and who comes and goes.
    ///
    /// # Wire
    ///
    /// `presence` with status and changes (docs/protocols/emitter.md, 9).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the watch is undone.
    pub async fn presence_subscribe(
        &self,
        key: &str,
        channel: &str,
        options: PresenceOptions,
    ) -> Result<Presence, Error> {
        let watcher = Watcher::new(&self.config, key, channel, true)?;
        let (out, reader) = inbox(options.inbox, options.overflow);
        let serial = self.next_serial();
        let (ended, over) = (Arc::clone(&self.ended), false);
        // Made before the request, so that dropping this future drops it.
        let presence = Presence::new(channel.into(), Held { serial, reader, ended, over });
        let (out, begun) = (Out::Stream(out), |to| Reply::Begun { to, serial });
        self.done(|to| Command::Watch { serial, watcher, out, to: begun(to) }).await?;
        Ok(presence)
    }

    /// Watches who is on a channel, beginning with everybody if `status`, and has
    /// `handler` called with each event. It replaces the handler that this channel
    /// had.
    ///
    /// # Errors
    ///
    /// As [`presence_subscribe`](Self::presence_subscribe).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, the watch is undone.
    pub async fn presence_with_handler(
        &self,
        key: &str,
        channel: &str,
        status: bool,
        handler: impl Fn(crate::PresenceEvent) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let watcher = Watcher::new(&self.config, key, channel, status)?;
        let serial = self.next_serial();
        let out = Out::Handler(Arc::new(handler));
        let undo = Undo::new(&self.ended, serial);
        let begun = |to| Reply::Begun { to, serial };
        self.done(|to| Command::Watch { serial, watcher, out, to: begun(to) }).await?;
        undo.disarm();
        Ok(())
    }

    /// Ends every watch of a channel, streams and handlers.
    ///
    /// # Wire
    ///
    /// `presence` without changes (docs/protocols/emitter.md, 9).
    ///
    /// # Errors
    ///
    /// As [`me`](Self::me).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn presence_unsubscribe(&self, key: &str, channel: &str) -> Result<(), Error> {
        let watcher = Watcher::new(&self.config, key, channel, false)?;
        let serial = self.next_serial();
        self.done(|to| Command::Unwatch { serial, watcher, to: Reply::Answer(to) }).await
    }

    /// Stops taking requests, waits at most `wait` for what was accepted, and ends the
    /// connection with a DISCONNECT. The broker publishes the last will all the same.
    ///
    /// Returns what became of the requests. Calling it again, or from several tasks,
    /// returns the same.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client may go on closing.
    pub async fn close(&self, wait: Duration) -> CloseReport {
        // A driver that takes no command any more is closed already.
        drop(self.done(|to| Command::Close { wait, to: Reply::Answer(to) }).await);
        *self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the handlers, to be read and replaced.
    #[must_use]
    pub fn handlers(&self) -> &Handlers {
        &self.handlers
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

    async fn begin(
        &self,
        key: &str,
        channel: &str,
        share: Option<&str>,
        options: &SubscribeOptions,
    ) -> Result<Subscription, Error> {
        let subscription = proto::Subscription::new(&self.config, key, channel, share, options)?;
        let (out, reader) = inbox::<Delivery>(options.inbox, options.overflow);
        let serial = self.next_serial();
        let (ended, over) = (Arc::clone(&self.ended), false);
        // Made before the request, so that dropping this future drops it.
        let begun = Subscription::new(channel.into(), Held { serial, reader, ended, over });
        let out = Out::Stream(out);
        let to = |to| Reply::Begun { to, serial };
        self.done(|sender| Command::Subscribe { serial, subscription, out, to: to(sender) })
            .await?;
        Ok(begun)
    }

    async fn leave(&self, key: &str, channel: &str, share: Option<&str>) -> Result<(), Error> {
        let options = SubscribeOptions::new();
        let subscription = proto::Subscription::new(&self.config, key, channel, share, &options)?;
        let asked = self.done(|to| Command::Unsubscribe { subscription, to: Reply::Answer(to) });
        let in_time = tokio::time::timeout(self.config.request_timeout, asked);
        in_time.await.unwrap_or(Err(Error::Timeout))
    }

    /// Hands a message over; waits for its acknowledgement if it has one.
    async fn hand_in(&self, publish: Publish) -> Result<(), Error> {
        let reserved = self.gauge.reserve(publish.size()).map_err(|_| self.full(publish.size()))?;
        let acknowledged = publish.qos() == QoS::AtLeastOnce;
        let publish = publish.with(reserved);
        if acknowledged {
            let to = |to| Some(Reply::Answer(to));
            return self.done(|sender| Command::Publish { publish, to: to(sender) }).await;
        }
        let command = Command::Publish { publish, to: None };
        self.commands.send(command).await.map_err(|_| Error::Closed)
    }

    /// Sends a request to the broker; returns its answer.
    pub(super) async fn ask_broker(&self, ask: Ask) -> Result<bytes::Bytes, Error> {
        let size = ask.body().len();
        crate::channel::check_size("emitter/presence/?req=3w5e11264sgsf", size, true)?;
        let reserved = self.gauge.reserve(size).map_err(|_| self.full(size))?;
        let to = Reply::Answer;
        match self.ask(|sender| Command::Ask { ask, reserved, to: to(sender) }).await? {
            Answer::Json(json) => Ok(json),
            Answer::Done => Ok(bytes::Bytes::new()),
        }
    }

    fn full(&self, bytes: usize) -> Error {
        match bytes > self.config.outbox.max_bytes {
            true => {
                let reason = format!("a request of {bytes} bytes is over the outbox's bound");
                Error::misuse("message_too_big", reason)
            }
            false => Error::Full,
        }
    }

    async fn done(
        &self,
        command: impl FnOnce(oneshot::Sender<Answered>) -> Command,
    ) -> Result<(), Error> {
        self.ask(command).await.map(drop)
    }

    /// Sends a command and waits for its answer. Every command is answered: by
    /// the broker, by a deadline, or by the client's end.
    async fn ask(&self, command: impl FnOnce(oneshot::Sender<Answered>) -> Command) -> Answered {
        let (to, answer) = oneshot::channel();
        self.commands.send(command(to)).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    fn next_serial(&self) -> u64 {
        self.serials.fetch_add(1, Ordering::Relaxed)
    }
}

/// Ends what has begun, unless somebody takes it.
struct Undo {
    ended: Arc<Ended<Fate>>,
    serial: u64,
    taken: bool,
}

impl Undo {
    fn new(ended: &Arc<Ended<Fate>>, serial: u64) -> Self {
        Self { ended: Arc::clone(ended), serial, taken: false }
    }

    fn disarm(mut self) {
        self.taken = true;
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        self.ended.push(match self.taken {
            true => Fate::Taken(self.serial),
            false => Fate::Dropped(self.serial),
        });
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}
