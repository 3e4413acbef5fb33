//! The clients against the sandbox broker, over TCP and over WebSockets on both
//! engines: on loopback sockets, and by pipes in paused time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

mod broker;
mod brokers;
mod document;
mod faults;
mod fills;
mod generic;
mod life;
mod load;
mod network;
mod raw;
mod restored;
mod scripted;
mod service;
mod support;
mod vectors;
