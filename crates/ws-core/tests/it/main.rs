//! Connections over pipes in paused time: the handshake, messages, the end, and
//! what a dropped future leaves behind.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

mod cancellation;
mod closing;
mod peers;
mod support;
