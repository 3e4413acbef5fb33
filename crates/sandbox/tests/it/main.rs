//! The servers as a client without any SDK sees them, and the program.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

mod centrifugo;
mod emitter;
mod program;
mod rtm;
