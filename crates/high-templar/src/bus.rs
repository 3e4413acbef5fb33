//! How a trigger reaches every server.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use high_templar_client::Trigger;

use crate::{backend::BoxFuture, hub::Hub};

/// Carries triggers to every server that is attached.
pub trait Bus: Send + Sync + 'static {
    /// Hands a trigger over. `Ok` means that it will reach the servers that are there.
    ///
    /// # Errors
    ///
    /// [`BusError`] if it will not: publishers are answered HTTP 503.
    ///
    /// # Cancel safety
    ///
    /// Dropped when its publisher has gone: it may have been handed over.
    fn publish(&self, trigger: Trigger) -> BoxFuture<'_, Result<(), BusError>>;

    /// Attaches a server: from now on it gets every trigger, its own included.
    fn attach(&self, node: Node);
}

/// A trigger could not be handed over.
#[derive(Clone, Debug)]
pub struct BusError(String);

impl BusError {
    /// Says why.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BusError {}

/// A server as a bus sees it.
#[derive(Clone, Debug)]
pub struct Node(pub(crate) Weak<Hub>);

impl Node {
    /// Delivers a trigger to the clients of this server. False if the server is gone.
    #[must_use]
    pub fn deliver(&self, trigger: &Trigger) -> bool {
        let hub = self.0.upgrade();
        if let Some(hub) = &hub {
            hub.received();
            hub.deliver(trigger);
        }
        hub.is_some()
    }

    /// Counts a trigger that cannot be read. False if the server is gone.
    #[must_use]
    pub fn broken(&self) -> bool {
        let hub = self.0.upgrade();
        if let Some(hub) = &hub {
            hub.received();
        }
        hub.is_some()
    }
}

/// A bus within the process, for one server or several. A clone is the same.
///
/// # Examples
///
/// ```
/// let bus = high_templar::LocalBus::new();
/// ```
#[derive(Clone, Debug, Default)]
pub struct LocalBus(Arc<Mutex<Vec<Node>>>);

impl LocalBus {
    /// A bus without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Bus for LocalBus {
    fn publish(&self, trigger: Trigger) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            // Not delivered under the lock.
            let nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let gone = nodes.iter().filter(|node| !node.deliver(&trigger)).count();
            if gone > 0 {
                let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                nodes.retain(|node| node.0.strong_count() > 0);
            }
            Ok(())
        })
    }

    fn attach(&self, node: Node) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(node);
    }
}
