//! A Satori RTM v2 server in memory (docs/protocols/satori-rtm.md).
//!
//! ```text
//!   server: accepts, checks the appkey
//!     connection: one client; requests in, answers and deliveries out
//!       hub: channels, positions, history, who must be woken
//!     kv: a channel's value by plain HTTP
//! ```

mod auth;
mod config;
mod connection;
mod hub;
mod kv;
mod lenient;
mod message;
mod reply;
mod request;
mod server;
mod subscription;
mod view;
mod wire;

pub use config::{RtmConfig, RtmRights};
pub use server::RtmServer;
