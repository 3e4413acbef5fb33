#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backoff;
mod connect;
mod error;
mod gauge;
mod heartbeat;
mod inbox;
mod life;
mod link;
mod listeners;
mod monitor;
mod outbox;
mod rng;
mod secret;
mod traffic;

#[cfg(feature = "tokio")]
mod connector;
#[cfg(feature = "driver")]
pub mod driver;
#[cfg(any(feature = "http", feature = "http-blocking", feature = "tls"))]
pub mod http;

#[cfg(feature = "tokio")]
pub use crate::connector::{ByteStream, Connector, Target};
pub use crate::{
    backoff::{Advice, Backoff, Retry},
    connect::{ConnectError, ConnectStep},
    error::ErrorKind,
    gauge::{Gauge, Reserved},
    heartbeat::{Beat, Heartbeat},
    inbox::{InboxLimits, Overflow, Reader, Received, Writer, inbox},
    life::{CloseReport, Dropped, Event, State, Stats},
    link::{Link, LinkError, LinkOrder, LinkSettings, LinkTimeout, Lost, Started, after},
    listeners::Listeners,
    monitor::{Events, Monitor},
    outbox::{Outbox, OutboxFull, OutboxLimits, Token},
    rng::Rng,
    secret::Secret,
    traffic::{Input, Transmit},
};
