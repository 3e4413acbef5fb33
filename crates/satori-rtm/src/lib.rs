#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod delivery;
mod error;
pub mod proto;

#[cfg(feature = "client")]
mod client;

pub use client_core::{
    Backoff, CloseReport, ConnectError, ConnectStep, Dropped, ErrorKind, InboxLimits, OutboxLimits,
    Overflow, State,
};

#[cfg(feature = "client")]
pub use crate::client::{Client, Subscription};
pub use crate::{
    config::{Config, Subscribe},
    delivery::{Delivery, Gap, GapReason, Message, Position},
    error::{Error, ProtocolError, Refusal},
};
#[cfg(feature = "client")]
pub use client_core::{ByteStream, Connector, Target};

/// What happened to a client; see [`Client::events`](crate::Client::events).
pub type Event = client_core::Event<Error>;
/// A stream of [`Event`]s.
pub type Events = client_core::Events<Error>;
/// Counters of a client; see [`Client::stats`](crate::Client::stats).
pub type Stats = client_core::Stats<Error>;
