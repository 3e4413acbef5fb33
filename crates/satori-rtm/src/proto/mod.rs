//! The protocol without I/O: [`Core`] takes what was received and what time it
//! is, and says what to send, what to tell, and when to be called again.
//!
//! It compiles without tokio and for `wasm32-unknown-unknown`: whoever has a
//! WebSocket of another kind can drive it. Semantic versioning does not cover
//! this module before 1.0.

mod auth;
mod core;
mod pdu;
mod subscription;
mod trace;

pub use self::{
    auth::role_secret_hash,
    core::{Core, Effect, Input, Request, Transmit},
};
