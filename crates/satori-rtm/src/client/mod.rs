//! The tokio client: a cheap handle, and one task that owns the socket.

mod command;
mod connect;
mod driver;
mod handle;
mod subscription;

pub use handle::Client;
pub use subscription::Subscription;
