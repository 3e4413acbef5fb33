//! A Satori RTM v2 server in memory (docs/protocols/satori-rtm.md).
//!
//! ```text
//!   server: accepts, checks the appkey
//!     connection: one client; requests in, answers and deliveries out
//!       hub: channels, positions, history, who must be woken
//! ```

mod auth;
mod config;
mod connection;
mod hub;
mod reply;
mod request;
mod server;
mod subscription;

pub use config::RtmConfig;
pub use server::RtmServer;
