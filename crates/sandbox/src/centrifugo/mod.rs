//! A Centrifugo server in memory (docs/protocols/cent.md).
//!
//! ```text
//!   server: one port; HTTP, and WebSocket at a path of its own
//!     http: which door a request comes to, and whether it is let in
//!       dialects: commands in a body, replies in another
//!         api: the methods          client: what clients ask for, and are told
//!           hub: channels, histories, who is connected
//! ```

mod api;
mod client;
mod config;
mod dialects;
mod fault;
mod http;
mod hub;
mod json;
mod server;

pub use config::{CentrifugoConfig, ChannelOptions};
pub use server::CentrifugoServer;
