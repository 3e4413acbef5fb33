//! How to subscribe.

use client_core::{InboxLimits, Overflow};

use crate::group::GroupId;

/// How to subscribe: in which group, in which shape, and what to do when the
/// consumer is slow.
///
/// # Examples
///
/// ```
/// use stream_sea::{Overflow, Subscribe};
///
/// let every_message = Subscribe::new().fanout().flatten().overflow(Overflow::DropOldest);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Subscribe {
    pub(crate) group: Group,
    pub(crate) flatten: bool,
    pub(crate) inbox: InboxLimits,
    pub(crate) overflow: Overflow,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Group {
    /// All subscriptions of the same client id share.
    #[default]
    Default,
    Named(GroupId),
    /// Who makes up a name for each request.
    #[cfg_attr(not(feature = "client"), expect(dead_code, reason = "there is no randomness"))]
    Fanout(fn() -> GroupId),
}

impl Subscribe {
    /// Joins the client's default group: processes with the same client id share
    /// the messages of a stream among them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gets every message, in a group of its own: another one on each connection, so
    /// that no lost connection, which the service may not have noticed yet, takes a
    /// share.
    ///
    /// Wire: `groupId` (docs/protocols/stream-sea.md, 8).
    #[cfg(feature = "client")]
    #[must_use]
    pub fn fanout(self) -> Self {
        Self { group: Group::Fanout(GroupId::random), ..self }
    }

    /// Shares with those who name the same group, the same over lost connections.
    ///
    /// Wire: `groupId` (docs/protocols/stream-sea.md, 8).
    #[must_use]
    pub const fn group(mut self, group: GroupId) -> Self {
        self.group = Group::Named(group);
        self
    }

    /// Delivers the elements of a batch one by one. By default a batch is one
    /// message whose payload is an array, as it was published.
    #[must_use]
    pub const fn flatten(mut self) -> Self {
        self.flatten = true;
        self
    }

    /// Bounds what is received and not consumed. Default 1,024 messages and
    /// 4 MiB; exceeded by at most one message of the service.
    #[must_use]
    pub const fn inbox(mut self, limits: InboxLimits) -> Self {
        self.inbox = limits;
        self
    }

    /// Sets what happens when those bounds are reached. Default
    /// [`Overflow::Block`]: with several subscriptions to one client, one that is
    /// not consumed then stops the others once its bounds are reached; the other
    /// policies never do.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }
}
