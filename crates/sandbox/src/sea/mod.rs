//! A Stream-sea server (docs/protocols/stream-sea.md): HTTP calls and the WebSocket
//! of subscribers on one port. The original was never published: what the clients
//! need and say decides, and the rest is chosen, and listed in section 13 there.
//!
//! ```text
//!   server ---- HTTP ---> http ----> api ----.
//!       \--- WebSocket -> socket -> session -+--> hub: jails, clients, streams, groups
//!                                                   \--> schema, filter, token
//! ```

mod api;
mod config;
mod filter;
mod http;
mod hub;
mod schema;
mod server;
mod session;
mod socket;
mod token;

pub use config::StreamSeaConfig;
pub use server::StreamSeaServer;
