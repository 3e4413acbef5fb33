#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod auth;
#[cfg(feature = "blocking")]
mod blocking;
mod codec;
mod config;
mod delivery;
mod error;
#[cfg(feature = "kv")]
mod kv;
mod options;
pub mod proto;
mod transition;
mod value;

#[cfg(feature = "client")]
mod client;

pub use client_core::{
    Backoff, CloseReport, ConnectError, ConnectStep, Dropped, ErrorKind, InboxLimits, OutboxLimits,
    Overflow, State,
};

#[cfg(feature = "blocking")]
pub use crate::blocking::{BlockingClient, BlockingSubscription};
#[cfg(feature = "client")]
pub use crate::client::{Client, Subscription};
#[cfg(feature = "kv")]
pub use crate::kv::{Kv, KvConfig};
pub use crate::{
    answer::Answer,
    auth::{AuthDelegate, AuthNext, AuthReply, AuthStep, RoleSecret},
    codec::Protocol,
    config::{Config, Mode, Subscribe},
    delivery::{Delivery, Gap, GapReason, Message, Position},
    error::{AuthError, Error, ProtocolError, Refusal},
    options::Options,
    transition::{Phase, Step, Subject, Transition, Transitions},
    value::Value,
};
#[cfg(feature = "client")]
pub use client_core::{ByteStream, Connector, Target};

/// What happened to a client; see [`Client::events`](crate::Client::events).
pub type Event = client_core::Event<Error>;
/// A stream of [`Event`]s.
pub type Events = client_core::Events<Error>;
/// Counters of a client; see [`Client::stats`](crate::Client::stats).
pub type Stats = client_core::Stats<Error>;
