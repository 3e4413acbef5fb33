//! The tokio client: a cheap handle, and one task that owns the socket.

mod calls;
mod command;
mod handle;
mod machine;
mod subscription;

pub use handle::Client;
pub use subscription::Subscription;
