#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(not(feature = "satori-rtm"))]
compile_error!("a sandbox needs a server: enable the feature `satori-rtm`");

mod auditor;
mod engine;
mod fault;
mod log;
mod sandbox;
mod tasks;

#[cfg(feature = "satori-rtm")]
mod rtm;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "satori-rtm")]
pub use crate::rtm::{RtmConfig, RtmServer};
#[cfg(feature = "tls")]
pub use crate::tls::Authority;
pub use crate::{
    auditor::{Auditor, Finding, Verdict},
    engine::Engine,
    fault::{Action, At, Cut, Direction, Faults, Pipe, Proxy, Rule},
    log::{Entry, EventLog, What},
    sandbox::{Builder, Sandbox},
};
