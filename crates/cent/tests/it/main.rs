//! The clients against scripted HTTP servers and the sandbox, on loopback.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

#[cfg(feature = "tokio")]
mod asynchronous;
mod bodies;
mod calls;
#[cfg(feature = "cli")]
mod console;
mod document;
mod failures;
mod golden;
mod recorded;
mod refusals;
mod sandbox;
mod server;
mod service;
#[cfg(feature = "ring")]
mod tls;
