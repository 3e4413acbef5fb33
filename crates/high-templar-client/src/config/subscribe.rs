//! How to subscribe.

use client_core::{InboxLimits, Overflow};

/// How to subscribe: what may wait for the consumer, and what to do when it is slow.
///
/// # Examples
///
/// ```
/// use high_templar_client::{Overflow, Subscribe};
///
/// let newest = Subscribe::new().overflow(Overflow::DropOldest);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Subscribe {
    pub(crate) inbox: InboxLimits,
    pub(crate) overflow: Overflow,
}

impl Subscribe {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bounds what is received and not consumed. Default 1,024 messages and
    /// 4 MiB; exceeded by at most one message of the server.
    #[must_use]
    pub const fn inbox(mut self, limits: InboxLimits) -> Self {
        self.inbox = limits;
        self
    }

    /// Sets what happens when those bounds are reached. Default
    /// [`Overflow::Block`]: with several subscriptions to one client, one that is
    /// not consumed then stops the others once its bounds are reached, and the server
    /// may drop the connection; the other policies never do.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }
}
