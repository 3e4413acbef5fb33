//! What a connection holds, counted by the allocator: idle, after large
//! messages, and against peers that mean harm (rows C4 to C7 of the fault
//! catalogue). Each test counts its own thread only.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

mod hostile;
mod kept;
mod script;
