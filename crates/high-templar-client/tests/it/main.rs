//! The client and the publishers against the sandbox's server, on both engines: over
//! loopback sockets, and over pipes in paused time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

mod document;
mod faults;
mod life;
mod load;
mod network;
mod scripted;
mod service;
mod support;
mod triggers;
