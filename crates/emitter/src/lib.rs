#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answers;
mod channel;
mod config;
mod delivery;
mod error;
mod history;
mod matcher;
mod options;
mod payload;
mod permissions;
mod requests;

#[cfg(feature = "blocking")]
mod blocking;
#[cfg(feature = "client")]
mod client;
pub mod proto;

pub use client_core::{
    Backoff, CloseReport, ConnectError, ConnectStep, Dropped, ErrorKind, InboxLimits, OutboxLimits,
    Overflow, State,
};

#[cfg(feature = "blocking")]
pub use crate::blocking::{BlockingClient, BlockingPresence, BlockingSubscription};
#[cfg(feature = "client")]
pub use crate::client::{Client, Handlers, History, Presence, Slot, Subscription};
pub use crate::{
    answers::{GeneratedKey, KeyBan, Link, Me, PresenceEvent, PresenceInfo, PresenceKind},
    config::{Address, Config, LastWill},
    delivery::{Delivery, Gap, GapReason, Message},
    error::{Error, ProtocolError, Refusal},
    history::{HistoryMessage, MessageId},
    matcher::Matcher,
    options::{
        HistoryOptions, LinkOptions, PresenceOptions, PublishOptions, QoS, SubscribeOptions,
        Timestamp,
    },
    payload::Payload,
    permissions::Permissions,
};

#[cfg(feature = "client")]
pub use client_core::{ByteStream, Connector, Target};

/// What happened to a client; see [`Client::events`](crate::Client::events).
pub type Event = client_core::Event<Error>;
/// A stream of [`Event`]s.
pub type Events = client_core::Events<Error>;
/// Counters of a client; see [`Client::stats`](crate::Client::stats).
pub type Stats = client_core::Stats<Error>;
