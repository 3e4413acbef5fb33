#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(not(any(
    feature = "cent",
    feature = "emitter",
    feature = "high-templar",
    feature = "satori-rtm",
    feature = "stream-sea"
)))]
compile_error!("a sandbox needs a server: enable the feature of a protocol");

mod auditor;
mod door;
mod engine;
mod fault;
pub mod kit;
mod log;
mod sandbox;
mod tasks;
mod totals;

#[cfg(feature = "cent")]
mod centrifugo;

#[cfg(feature = "emitter")]
mod emitter;

#[cfg(feature = "satori-rtm")]
mod rtm;

#[cfg(feature = "stream-sea")]
mod sea;

#[cfg(feature = "high-templar")]
mod templar;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "cent")]
pub use crate::centrifugo::{CentrifugoConfig, CentrifugoServer, ChannelOptions};
#[cfg(feature = "emitter")]
pub use crate::emitter::{EmitterConfig, EmitterServer};
#[cfg(feature = "satori-rtm")]
pub use crate::rtm::{RtmConfig, RtmRights, RtmServer};
#[cfg(feature = "stream-sea")]
pub use crate::sea::{StreamSeaConfig, StreamSeaServer};
#[cfg(feature = "high-templar")]
pub use crate::templar::{Asked, FakeBackend, HighTemplarConfig, HighTemplarServer};
#[cfg(feature = "tls")]
pub use crate::tls::Authority;
pub use crate::{
    auditor::{Auditor, Finding, Verdict},
    engine::Engine,
    fault::{Action, At, Cut, Direction, Faults, Pipe, Proxy, Rule},
    log::{Entry, EventLog, What},
    sandbox::{Builder, Sandbox},
    totals::Totals,
};
