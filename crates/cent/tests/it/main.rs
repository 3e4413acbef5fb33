//! The blocking client against scripted HTTP servers on loopback.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

mod calls;
#[cfg(feature = "cli")]
mod console;
mod document;
mod failures;
mod recorded;
mod refusals;
mod sandbox;
mod server;
mod service;
#[cfg(feature = "ring")]
mod tls;
