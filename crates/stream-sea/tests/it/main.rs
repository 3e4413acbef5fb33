//! The clients against the sandbox server: real HTTP and WebSockets, on both
//! engines, over loopback sockets and over pipes in paused time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

mod calls;
mod conformance;
mod document;
mod faults;
mod life;
mod load;
mod network;
mod raw;
mod support;
mod tokens;
