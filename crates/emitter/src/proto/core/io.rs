//! What goes into the core and what comes out of it.

use std::{fmt, sync::Arc, time::Instant};

use bytes::Bytes;
use client_core::{CloseReport, Reserved, Writer};

use crate::{
    answers::PresenceEvent,
    channel::Filter,
    config::Config,
    delivery::{Delivery, Message},
    error::{Error, Refusal},
    options::{PublishOptions, QoS, SubscribeOptions},
};

/// A function that is called with what is delivered. It is called in the order of
/// deliveries, one call after the other.
pub type Handler<T> = Arc<dyn Fn(T) + Send + Sync>;

/// What the core asks its driver to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect<R> {
    /// Open a connection, and report [`Core::connected`](super::Core::connected) or
    /// [`Core::disconnected`](super::Core::disconnected), at the latest at `deadline`.
    Connect {
        /// The end of the attempt, the broker's CONNACK included.
        deadline: Instant,
    },
    /// Give the connection or the attempt up, and report nothing.
    Disconnect {
        /// Whether a DISCONNECT is worth its time.
        graceful: bool,
    },
    /// Answer somebody.
    Reply {
        /// Who waits.
        to: R,
        /// What came of it.
        result: Answered,
    },
    /// The client is closed; no call changes anything any more.
    Closed {
        /// Who asked for it.
        to: Vec<R>,
        /// What became of the requests.
        report: CloseReport,
    },
}

/// What somebody who waits is told.
pub type Answered = Result<Answer, Error>;

/// An answer that is no error. Its `Debug` hides the JSON: it may hold a key.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// Done.
    Done,
    /// What the broker wrote, as JSON.
    Json(Bytes),
}

/// A message on its way out. Its `Debug` hides the topic, which holds the key.
pub struct Publish {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// Its room in the outbox.
    pub(super) reserved: Option<Reserved>,
}

impl Publish {
    /// Publishes to a channel.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] naming what the broker would refuse.
    pub fn channel(
        config: &Config,
        key: &str,
        channel: &str,
        payload: Bytes,
        options: &PublishOptions,
    ) -> Result<Self, Error> {
        let key = config.key_or_default(key)?;
        let channel = crate::channel::Channel::exact(channel)?;
        let topic = crate::channel::topic(key, channel.as_str(), &options.query()?);
        Self::new(topic, payload, options.qos, options.retain)
    }

    /// Publishes through a link.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] naming what the broker would refuse.
    pub fn link(name: &str, payload: Bytes, qos: QoS, retain: bool) -> Result<Self, Error> {
        Self::new(crate::channel::link_name(name)?.to_owned(), payload, qos, retain)
    }

    fn new(topic: String, payload: Bytes, qos: QoS, retain: bool) -> Result<Self, Error> {
        crate::channel::check_size(&topic, payload.len(), qos == QoS::AtLeastOnce)?;
        Ok(Self { topic, payload, qos, retain, reserved: None })
    }

    /// Whether it is acknowledged.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// Bytes that count in the outbox.
    #[must_use]
    pub fn size(&self) -> usize {
        self.topic.len() + self.payload.len()
    }

    /// Brings the room with it that was reserved.
    #[must_use]
    pub fn with(mut self, reserved: Reserved) -> Self {
        self.reserved = Some(reserved);
        self
    }
}

/// What a subscription is. Its `Debug` hides the key.
pub struct Subscription {
    pub(super) key: String,
    pub(super) filter: Filter,
    pub(super) query: String,
    pub(super) fill: Option<u32>,
}

impl Subscription {
    /// A subscription to `channel`, in a share group or not.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] naming what the broker would refuse.
    pub fn new(
        config: &Config,
        key: &str,
        channel: &str,
        share: Option<&str>,
        options: &SubscribeOptions,
    ) -> Result<Self, Error> {
        let key = config.key_or_default(key)?.to_owned();
        let filter = Filter::new(channel, share)?;
        if filter.is_shared() && options.fill.is_some() {
            let reason = "a gap of a share group was filled by its other members";
            return Err(Error::misuse("fill_gaps", reason));
        }
        if filter.begins_with_wildcard() && options.fill.is_some() {
            let reason = "the broker finds stored messages by the first segment of their channel";
            return Err(Error::misuse("fill_gaps", reason));
        }
        let query = options.query()?;
        let size = key.len() + filter.as_str().len() + query.len();
        if size > crate::channel::MAX_PACKET - 8 {
            return Err(Error::misuse("channel", "a channel fits into a packet"));
        }
        Ok(Self { key, filter, query, fill: options.fill })
    }
}

/// Where the deliveries of a subscription go.
#[non_exhaustive]
pub enum Out<T> {
    /// To a stream of its own.
    Stream(Writer<Delivery<T>>),
    /// To a handler, which comes back in a [`Notice`] to be called.
    Handler(Handler<T>),
}

impl<T> fmt::Debug for Out<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream(_) => "Stream",
            Self::Handler(_) => "Handler",
        })
    }
}

/// Somebody who watches who is on a channel. Its `Debug` hides the key.
pub struct Watcher {
    pub(super) key: String,
    pub(super) channel: String,
    pub(super) status: bool,
}

impl Watcher {
    /// Watches `channel`, beginning with everybody who is there if `status`.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] naming what the broker would refuse.
    pub fn new(config: &Config, key: &str, channel: &str, status: bool) -> Result<Self, Error> {
        let key = config.key_or_default(key)?.to_owned();
        let channel = crate::channel::Channel::filter(channel)?.as_str().to_owned();
        Ok(Self { key, channel, status })
    }
}

/// What handlers are told, in this order.
#[non_exhaustive]
pub enum Notice {
    /// Connected, for the first time or again.
    Connected,
    /// The connection has ended.
    Disconnected,
    /// The broker refused something; whoever waits for that is told as well.
    Refused(Refusal),
    /// A message for the handler of a subscription, or for that of all others.
    Message(Option<Handler<Message>>, Message),
    /// A presence event for the handler of a watcher, or for that of all others.
    Presence(Option<Handler<PresenceEvent>>, PresenceEvent),
    /// The broker's answer to a request of this name.
    Answer(&'static str, Bytes),
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "Connected",
            Self::Disconnected => "Disconnected",
            Self::Refused(_) => "Refused",
            Self::Message(..) => "Message",
            Self::Presence(..) => "Presence",
            Self::Answer(name, _) => name,
        })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("Done"),
            Self::Json(json) => write!(f, "Json({} bytes)", json.len()),
        }
    }
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Publish({} bytes, {:?})", self.payload.len(), self.qos)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({}{})", self.filter.as_str(), self.query)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watcher({})", self.channel)
    }
}
