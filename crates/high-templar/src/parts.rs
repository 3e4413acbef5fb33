//! What all connections of a server share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    backend::Backend,
    bus::{Bus, Node},
    config::Config,
    hooks::Hooks,
    hub::{Ended, Hub, Outlet},
};

pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) hooks: Option<Box<dyn Hooks>>,
    pub(crate) bus: Box<dyn Bus>,
    pub(crate) hub: Arc<Hub>,
    /// Connections that are open, to be ended with the server.
    outlets: Mutex<HashMap<u64, Arc<Outlet>>>,
    next: AtomicU64,
    /// Connections are named by it and their number.
    name: Uuid,
    /// Whether the server ends.
    ending: watch::Sender<bool>,
}

impl Parts {
    pub(crate) fn new(
        config: Config,
        backend: Box<dyn Backend>,
        hooks: Option<Box<dyn Hooks>>,
        bus: Box<dyn Bus>,
    ) -> Self {
        let hub = Arc::new(Hub::new(config.compat, config.overflow));
        bus.attach(Node(Arc::downgrade(&hub)));
        let (outlets, next, name) = (Mutex::default(), AtomicU64::new(1), Uuid::new_v4());
        let ending = watch::Sender::new(false);
        Self { config, backend, hooks, bus, hub, outlets, next, name, ending }
    }

    /// Counts a connection; one that comes while the server ends is ended at once.
    pub(crate) fn join(&self) -> Arc<Outlet> {
        let number = self.next.fetch_add(1, Relaxed);
        let outlet = Arc::new(Outlet::new(number, self.config.max_queue));
        self.hub.counters.connections.fetch_add(1, Relaxed);
        self.outlets().insert(number, Arc::clone(&outlet));
        if self.has_ended() {
            outlet.end(Ended::Shutdown);
        }
        outlet
    }

    /// Forgets a connection, its rooms, and what waits for it.
    pub(crate) fn leave(&self, outlet: &Outlet) {
        self.hub.leave(outlet);
        self.outlets().remove(&outlet.number);
        self.hub.counters.connections.fetch_sub(1, Relaxed);
        self.hub.lost(outlet.close());
    }

    /// Ends every connection when what waits for it is sent.
    pub(crate) fn close_all(&self) {
        for outlet in self.outlets().values() {
            outlet.end(Ended::Shutdown);
        }
    }

    /// Ends every connection, those that are still to come included.
    pub(crate) fn end(&self) {
        self.ending.send_replace(true);
        self.close_all();
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.ending.borrow()
    }

    /// Ready when the server ends.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as this.
        let mut ending = self.ending.subscribe();
        let _ended = ending.wait_for(|ending| *ending).await;
    }

    /// The name of a connection, a UUID.
    pub(crate) fn name_of(&self, number: u64) -> String {
        let bits = self.name.as_u128().wrapping_add(u128::from(number) << 64);
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
    }

    fn outlets(&self) -> MutexGuard<'_, HashMap<u64, Arc<Outlet>>> {
        // No code of others runs under the lock, so a poisoned one is still whole.
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
