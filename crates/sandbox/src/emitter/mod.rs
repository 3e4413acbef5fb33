//! An emitter broker: MQTT 3.1.1 with channel keys (docs/protocols/emitter.md).

mod config;
mod hub;
mod keys;
mod line;
mod refusal;
mod requests;
mod server;
mod session;
mod store;
mod topic;

pub use config::EmitterConfig;
pub use server::EmitterServer;
