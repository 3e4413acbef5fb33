//! The protocol of clients without I/O: [`Core`] takes what was received and what time
//! it is, and says what to send, what to tell, and when to be called again.
//!
//! It compiles without tokio and for `wasm32-unknown-unknown`: whoever has a
//! WebSocket of another kind can drive it. Semantic versioning does not cover
//! this module before 1.0.

mod core;
mod ids;
mod message;
mod requests;
mod subscription;

pub use self::core::{Answer, Core, Effect, Input, Transmit};
