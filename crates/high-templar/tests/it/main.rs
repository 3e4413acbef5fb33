//! The server over pipes, frame by frame.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

mod backends;
mod compat;
mod crowd;
mod document;
mod limits;
mod program;
mod support;
mod triggers;
