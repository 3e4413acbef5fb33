//! The client against the sandbox server: real WebSockets, on both engines,
//! over loopback sockets and over pipes in paused time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

mod blocking;
mod cancellation;
mod cli;
mod closing;
mod conformance;
mod faults;
mod hostile;
mod kv;
mod life;
mod load;
mod model;
mod network;
mod refusals;
mod requests;
mod returns;
mod secrets;
mod service;
mod subscriptions;
mod support;
