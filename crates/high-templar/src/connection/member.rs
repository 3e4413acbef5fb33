//! That a connection is known, for exactly as long as it is there.

use std::sync::Arc;

use crate::{hub::Outlet, parts::Parts};

/// Counts a connection, and forgets it when it is dropped, however that comes.
pub(super) struct Member<'a> {
    parts: &'a Parts,
    outlet: Arc<Outlet>,
    has_left: bool,
}

impl<'a> Member<'a> {
    pub(super) fn new(parts: &'a Parts) -> Self {
        let outlet = parts.join();
        Self { parts, outlet, has_left: false }
    }

    pub(super) const fn outlet(&self) -> &Arc<Outlet> {
        &self.outlet
    }

    /// Forgets the connection, before its client can know that it is gone.
    pub(super) fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.parts.leave(&self.outlet);
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
