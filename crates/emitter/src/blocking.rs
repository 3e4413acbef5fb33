//! The client for programs without a runtime.

use std::{fmt, sync::Arc, time::Duration};

use client_core::{CloseReport, State, driver::OwnRuntime};

use crate::{
    answers::{GeneratedKey, KeyBan, Link, Me, PresenceEvent, PresenceInfo},
    client::{Client, Handlers, Runner},
    config::Config,
    delivery::{Delivery, Message},
    error::Error,
    history::HistoryMessage,
    options::{HistoryOptions, LinkOptions, PresenceOptions, PublishOptions, SubscribeOptions},
    payload::Payload,
    permissions::Permissions,
};

/// A client whose calls wait for their answers, for programs without a runtime. It is
/// used as the original is: handlers are called on a thread of their own, and may make
/// calls themselves. A handler that waits for the broker while more messages come than
/// [`Config::handler_inbox`] holds waits in vain, for the broker's answer is behind
/// them: let another thread do it, or choose another policy there.
///
/// Each call does what that of its name does in [`Client`], with the same errors.
/// Cloning it is cheap; the connection ends with the last clone, and every subscription
/// with it.
///
/// # Examples
///
/// ```no_run
/// use emitter::{BlockingClient, Config, PublishOptions, SubscribeOptions};
///
/// # fn example(key: &'static str) -> Result<(), emitter::Error> {
/// let client = BlockingClient::new(Config::new("mqtt://127.0.0.1:8080".parse()?))?;
/// client.handlers().on_message.set(|message| println!("{message:?}"));
/// client.connect()?;
/// client.subscribe_with_handler(key, "demo", None, SubscribeOptions::new(), |message| {
///     println!("{}: {:?}", message.channel(), message.as_str());
/// })?;
/// client.publish(key, "demo", "hello", PublishOptions::new())?;
/// client.disconnect()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BlockingClient {
    client: Client,
    runtime: Arc<OwnRuntime>,
}

/// Blocks on `future`, unless the caller may not.
fn block_on<F: Future>(runtime: &OwnRuntime, future: F) -> Result<F::Output, Error> {
    runtime.block_on(future).map_err(|_| {
        let reason = "inside a runtime, the client without `Blocking` is the one to use";
        Error::misuse("in_runtime", reason)
    })
}

impl BlockingClient {
    /// Makes a client that is not connected, and its threads.
    ///
    /// # Errors
    ///
    /// - [`Error::Config`] naming an option that cannot be used.
    /// - [`Error::Misuse`] with code `no_thread` if the system gives none.
    pub fn new(config: Config) -> Result<Self, Error> {
        let no_thread = |e: std::io::Error| Error::misuse("no_thread", e.to_string());
        let runtime = Arc::new(OwnRuntime::new().map_err(no_thread)?);
        let handle = runtime.handle().ok_or(Error::Closed)?;
        let (client, runner) = Client::with_runner(config, &handle)?;
        let thread = std::thread::Builder::new().name("emitter-handlers".to_owned());
        thread.spawn(move || call_handlers(&handle, runner)).map_err(no_thread)?;
        Ok(Self { client, runtime })
    }

    /// Connects, for the first time or after [`disconnect`](Self::disconnect), as
    /// [`Client::start`].
    ///
    /// # Errors
    ///
    /// As [`Client::start`], and [`Error::Misuse`] with code `in_runtime` inside a
    /// runtime, as every call here.
    pub fn connect(&self) -> Result<(), Error> {
        block_on(&self.runtime, self.client.start())?
    }

    /// Ends the connection and keeps subscriptions for the next
    /// [`connect`](Self::connect), as [`Client::stop`].
    ///
    /// # Errors
    ///
    /// As [`Client::stop`].
    pub fn disconnect(&self) -> Result<(), Error> {
        block_on(&self.runtime, self.client.stop())?
    }

    /// As [`Client::publish`].
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn publish(
        &self,
        key: &str,
        channel: &str,
        message: impl Into<Payload>,
        options: PublishOptions,
    ) -> Result<(), Error> {
        block_on(&self.runtime, self.client.publish(key, channel, message, options))?
    }

    /// As [`Client::publish_with_link`].
    ///
    /// # Errors
    ///
    /// As [`Client::publish_with_link`].
    pub fn publish_with_link(
        &self,
        link: &str,
        message: impl Into<Payload>,
        options: PublishOptions,
    ) -> Result<(), Error> {
        block_on(&self.runtime, self.client.publish_with_link(link, message, options))?
    }

    /// As [`Client::subscribe`].
    ///
    /// # Errors
    ///
    /// As [`Client::subscribe`].
    pub fn subscribe(
        &self,
        key: &str,
        channel: &str,
        options: SubscribeOptions,
    ) -> Result<BlockingSubscription, Error> {
        let subscribed = block_on(&self.runtime, self.client.subscribe(key, channel, options))?;
        Ok(BlockingSubscription::new(subscribed?, &self.runtime))
    }

    /// As [`Client::subscribe_with_group`].
    ///
    /// # Errors
    ///
    /// As [`Client::subscribe_with_group`].
    pub fn subscribe_with_group(
        &self,
        key: &str,
        channel: &str,
        share_group: &str,
        options: SubscribeOptions,
    ) -> Result<BlockingSubscription, Error> {
        let asked = self.client.subscribe_with_group(key, channel, share_group, options);
        Ok(BlockingSubscription::new(block_on(&self.runtime, asked)??, &self.runtime))
    }

    /// As [`Client::subscribe_with_handler`].
    ///
    /// # Errors
    ///
    /// As [`Client::subscribe_with_handler`].
    pub fn subscribe_with_handler(
        &self,
        key: &str,
        channel: &str,
        share_group: Option<&str>,
        options: SubscribeOptions,
        handler: impl Fn(Message) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let asked = self.client.subscribe_with_handler(key, channel, share_group, options, handler);
        block_on(&self.runtime, asked)?
    }

    /// As [`Client::unsubscribe`].
    ///
    /// # Errors
    ///
    /// As [`Client::unsubscribe`].
    pub fn unsubscribe(&self, key: &str, channel: &str) -> Result<(), Error> {
        block_on(&self.runtime, self.client.unsubscribe(key, channel))?
    }

    /// As [`Client::unsubscribe_from_group`].
    ///
    /// # Errors
    ///
    /// As [`Client::unsubscribe_from_group`].
    pub fn unsubscribe_from_group(
        &self,
        key: &str,
        channel: &str,
        share_group: &str,
    ) -> Result<(), Error> {
        block_on(&self.runtime, self.client.unsubscribe_from_group(key, channel, share_group))?
    }

    /// As [`Client::presence`].
    ///
    /// # Errors
    ///
    /// As [`Client::presence`].
    pub fn presence(
        &self,
        key: &str,
        channel: &str,
        status: bool,
        changes: Option<bool>,
    ) -> Result<Option<PresenceEvent>, Error> {
        block_on(&self.runtime, self.client.presence(key, channel, status, changes))?
    }

    /// As [`Client::presence_with_handler`].
    ///
    /// # Errors
    ///
    /// As [`Client::presence_with_handler`].
    pub fn presence_with_handler(
        &self,
        key: &str,
        channel: &str,
        status: bool,
        handler: impl Fn(PresenceEvent) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        block_on(&self.runtime, self.client.presence_with_handler(key, channel, status, handler))?
    }

    /// As [`Client::presence_status`].
    ///
    /// # Errors
    ///
    /// As [`Client::presence_status`].
    pub fn presence_status(&self, key: &str, channel: &str) -> Result<PresenceEvent, Error> {
        block_on(&self.runtime, self.client.presence_status(key, channel))?
    }

    /// As [`Client::presence_subscribe`].
    ///
    /// # Errors
    ///
    /// As [`Client::presence_subscribe`].
    pub fn presence_subscribe(
        &self,
        key: &str,
        channel: &str,
        options: PresenceOptions,
    ) -> Result<BlockingPresence, Error> {
        let inner =
            block_on(&self.runtime, self.client.presence_subscribe(key, channel, options))??;
        Ok(BlockingPresence { inner, runtime: Arc::clone(&self.runtime), over: false })
    }

    /// As [`Client::presence_unsubscribe`].
    ///
    /// # Errors
    ///
    /// As [`Client::presence_unsubscribe`].
    pub fn presence_unsubscribe(&self, key: &str, channel: &str) -> Result<(), Error> {
        block_on(&self.runtime, self.client.presence_unsubscribe(key, channel))?
    }

    /// As [`Client::keygen`].
    ///
    /// # Errors
    ///
    /// As [`Client::keygen`].
    pub fn keygen(
        &self,
        key: &str,
        channel: &str,
        permissions: Permissions,
        ttl: u32,
    ) -> Result<GeneratedKey, Error> {
        block_on(&self.runtime, self.client.keygen(key, channel, permissions, ttl))?
    }

    /// As [`Client::keyban`].
    ///
    /// # Errors
    ///
    /// As [`Client::keyban`].
    pub fn keyban(&self, master_key: &str, target_key: &str, ban: bool) -> Result<KeyBan, Error> {
        block_on(&self.runtime, self.client.keyban(master_key, target_key, ban))?
    }

    /// As [`Client::link`].
    ///
    /// # Errors
    ///
    /// As [`Client::link`].
    pub fn link(
        &self,
        key: &str,
        channel: &str,
        name: &str,
        options: LinkOptions,
    ) -> Result<Link, Error> {
        block_on(&self.runtime, self.client.link(key, channel, name, options))?
    }

    /// As [`Client::me`].
    ///
    /// # Errors
    ///
    /// As [`Client::me`].
    pub fn me(&self) -> Result<Me, Error> {
        block_on(&self.runtime, self.client.me())?
    }

    /// Fetches what is stored of a channel and everything below it, the oldest message
    /// first. [`HistoryOptions::limit`] bounds it.
    ///
    /// # Errors
    ///
    /// As [`Client::history`].
    pub fn history(
        &self,
        key: &str,
        channel: &str,
        options: HistoryOptions,
    ) -> Result<Vec<HistoryMessage>, Error> {
        let history = self.client.history(key, channel, options)?;
        block_on(&self.runtime, history.all())?
    }

    /// As [`Client::close`].
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `in_runtime` inside a runtime.
    pub fn close(&self, wait: Duration) -> Result<CloseReport, Error> {
        block_on(&self.runtime, self.client.close(wait))
    }

    /// Returns the handlers, to be read and replaced.
    #[must_use]
    pub fn handlers(&self) -> &Handlers {
        self.client.handlers()
    }

    /// Returns where the client stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.client.state()
    }

    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> crate::Stats {
        self.client.stats()
    }
}

impl fmt::Debug for BlockingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingClient").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The messages of a channel, for a thread that waits for them. An iterator that ends
/// when the subscription does.
pub struct BlockingSubscription {
    inner: crate::client::Subscription,
    runtime: Arc<OwnRuntime>,
    over: bool,
}

impl BlockingSubscription {
    fn new(inner: crate::client::Subscription, runtime: &Arc<OwnRuntime>) -> Self {
        Self { inner, runtime: Arc::clone(runtime), over: false }
    }

    /// Waits for the next delivery, at most `wait`; `None` if nothing came or the
    /// subscription has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `in_runtime` inside a runtime.
    pub fn next_within(&mut self, wait: Duration) -> Result<Option<Delivery>, Error> {
        let next = self.inner.next();
        block_on(&self.runtime, async { tokio::time::timeout(wait, next).await.ok().flatten() })
    }
}

impl Iterator for BlockingSubscription {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        if self.over {
            return None;
        }
        match block_on(&self.runtime, self.inner.next()) {
            Ok(delivery) => delivery,
            Err(misuse) => {
                self.over = true;
                Some(Delivery::Ended(misuse))
            }
        }
    }
}

impl fmt::Debug for BlockingSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Who is on a channel, for a thread that waits for what changes. An iterator that ends
/// when the subscription does.
pub struct BlockingPresence {
    inner: crate::client::Presence,
    runtime: Arc<OwnRuntime>,
    over: bool,
}

impl BlockingPresence {
    /// Returns who is there, by all that was returned.
    pub fn members(&self) -> impl Iterator<Item = &PresenceInfo> {
        self.inner.members()
    }

    /// Waits for the next event, at most `wait`; `None` if nothing came or this has
    /// ended.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `in_runtime` inside a runtime.
    pub fn next_within(
        &mut self,
        wait: Duration,
    ) -> Result<Option<Delivery<PresenceEvent>>, Error> {
        let next = self.inner.next();
        block_on(&self.runtime, async { tokio::time::timeout(wait, next).await.ok().flatten() })
    }
}

impl Iterator for BlockingPresence {
    type Item = Delivery<PresenceEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        match block_on(&self.runtime, self.inner.next()) {
            Ok(delivery) => delivery,
            Err(misuse) => {
                self.over = true;
                Some(Delivery::Ended(misuse))
            }
        }
    }
}

impl fmt::Debug for BlockingPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Calls handlers on this thread, outside the runtime: they may make calls that wait.
fn call_handlers(runtime: &tokio::runtime::Handle, mut runner: Runner) {
    while let Some(notice) = runtime.block_on(runner.next()) {
        if let Err(panic) = runner.call(notice) {
            runtime.block_on(runner.warn(panic));
        }
    }
}
