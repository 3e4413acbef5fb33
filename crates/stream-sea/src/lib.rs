#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(any(feature = "client", feature = "blocking"))]
mod calls;
mod config;
mod delivery;
mod error;
mod filter;
mod group;
#[cfg(feature = "jwt")]
mod jwt;
pub mod proto;
mod schema;

#[cfg(feature = "blocking")]
mod blocking;
#[cfg(feature = "client")]
mod client;

pub use client_core::{
    Backoff, CloseReport, ConnectError, ConnectStep, Dropped, ErrorKind, InboxLimits, Overflow,
    State,
};

#[cfg(feature = "blocking")]
pub use crate::blocking::BlockingClient;
#[cfg(any(feature = "client", feature = "blocking"))]
pub use crate::calls::{ClientKey, ClientSecret, Defined, Jail};
#[cfg(feature = "client")]
pub use crate::client::{Client, Subscription};
#[cfg(feature = "jwt")]
pub use crate::jwt::{Claims, KeyPair};
pub use crate::{
    config::{Config, Credentials, Subscribe},
    delivery::{Delivery, Gap, GapReason, Message},
    error::{Error, ProtocolError, Refusal},
    filter::Filter,
    group::GroupId,
    schema::{Field, FieldType, Rule, SchemaDefinition, Version, Violation},
};
#[cfg(feature = "client")]
pub use client_core::{ByteStream, Connector, Target};

/// What happened to a client; see [`Client::events`](crate::Client::events).
pub type Event = client_core::Event<Error>;
/// A stream of [`Event`]s.
pub type Events = client_core::Events<Error>;
/// Counters of a client; see [`Client::stats`](crate::Client::stats).
pub type Stats = client_core::Stats<Error>;
