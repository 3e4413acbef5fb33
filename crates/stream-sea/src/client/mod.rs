//! The tokio client: a cheap handle, one task that owns the WebSocket, and HTTP
//! calls beside it.

mod caller;
mod command;
mod handle;
mod machine;
mod subscription;

pub use handle::Client;
pub use subscription::Subscription;
