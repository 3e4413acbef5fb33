//! Connections over pipes in paused time and over loopback sockets: messages,
//! the end, what a dropped future leaves behind, engines that are not ours, and
//! the rows of the fault catalogue (docs/TESTING.md) that are about connections.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

mod batches;
mod cancellation;
#[cfg(feature = "ring")]
mod certificates;
mod closing;
mod faults;
#[cfg(feature = "futures")]
mod futures;
mod halves;
mod peers;
mod proxied;
mod support;
mod task;
