//! The tokio client: a cheap handle, one task that owns the connection, and one that
//! calls handlers.

mod calls;
mod command;
mod handle;
mod handlers;
mod history;
mod machine;
mod presence;
mod subscription;

pub use handle::Client;
#[cfg(feature = "blocking")]
pub(crate) use handlers::Runner;
pub use handlers::{Handlers, Slot};
pub use history::History;
pub use presence::Presence;
pub use subscription::Subscription;
