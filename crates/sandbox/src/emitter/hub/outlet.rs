//! What waits to be written to a connection.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

/// Handed over at one go: a WebSocket message of more than this some clients refuse.
const PIECE: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Outlet {
    state: Mutex<State>,
    /// There is something, or there never will be.
    ready: Notify,
    /// Something was taken.
    taken: Notify,
    /// Above this, publishers wait.
    max: usize,
}

#[derive(Debug, Default)]
struct State {
    bytes: BytesMut,
    closed: bool,
}

impl Outlet {
    pub(super) fn new(max: usize) -> Self {
        Self { state: Mutex::default(), ready: Notify::new(), taken: Notify::new(), max }
    }

    pub(crate) fn push(&self, packet: &[u8]) {
        let mut state = self.state();
        if !state.closed {
            state.bytes.extend_from_slice(packet);
        }
        drop(state);
        self.ready.notify_one();
    }

    /// Ends the connection, without what waits.
    pub(crate) fn close(&self) {
        *self.state() = State { bytes: BytesMut::new(), closed: true };
        self.ready.notify_one();
        self.taken.notify_waiters();
    }

    pub(super) fn is_over(&self) -> bool {
        self.state().bytes.len() > self.max
    }

    /// What waits, or its first 64 KiB; `None` when the connection is to end.
    pub(crate) async fn take(&self) -> Option<Bytes> {
        loop {
            let (bytes, closed) = {
                let mut state = self.state();
                let piece = state.bytes.len().min(PIECE);
                (state.bytes.split_to(piece), state.closed)
            };
            if !bytes.is_empty() {
                self.taken.notify_waiters();
                return Some(bytes.freeze());
            }
            if closed {
                return None;
            }
            self.ready.notified().await;
        }
    }

    /// Waits until there is room again.
    pub(crate) async fn room(&self) {
        loop {
            // Registered before it is looked, so that nothing is missed.
            let taken = self.taken.notified();
            if !self.is_over() {
                return;
            }
            taken.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
