#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod delivery;
mod error;
pub mod proto;
mod room;
mod status;
mod trigger;

#[cfg(feature = "client")]
mod client;
#[cfg(any(feature = "client", feature = "blocking"))]
mod publisher;

pub use client_core::{
    Backoff, CloseReport, ConnectError, ConnectStep, Dropped, ErrorKind, InboxLimits, Overflow,
    State,
};

#[cfg(feature = "client")]
pub use crate::client::{Client, Subscription};
#[cfg(feature = "blocking")]
pub use crate::publisher::BlockingPublisher;
#[cfg(feature = "client")]
pub use crate::publisher::Publisher;
#[cfg(any(feature = "client", feature = "blocking"))]
pub use crate::publisher::PublisherConfig;
pub use crate::{
    config::{Config, Credentials, Protocol, Subscribe},
    delivery::{Delivery, Gap, GapReason, Message},
    error::{Error, ProtocolError, Reason, Refusal},
    room::{AllowedRooms, Room, Value},
    status::Status,
    trigger::Trigger,
};
#[cfg(feature = "client")]
pub use client_core::{ByteStream, Connector, Target};

/// What happened to a client; see [`Client::events`](crate::Client::events).
pub type Event = client_core::Event<Error>;
/// A stream of [`Event`]s.
pub type Events = client_core::Events<Error>;
/// Counters of a client; see [`Client::stats`](crate::Client::stats).
pub type Stats = client_core::Stats<Error>;
