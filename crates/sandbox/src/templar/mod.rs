//! High-Templar: the real server, with a backend that says what it is told.

mod backend;
mod bridge;
mod config;
mod server;

pub use backend::{Asked, FakeBackend};
pub use config::HighTemplarConfig;
pub use server::HighTemplarServer;
