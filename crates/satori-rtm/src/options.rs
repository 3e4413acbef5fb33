//! What a single request may add to its body.

use crate::{delivery::Position, value::Value};

/// Options of one publish, write, read or delete.
///
/// # Examples
///
/// ```
/// use satori_rtm::{Options, Position};
///
/// let only_if_unchanged = Options::new().position(Position::from("1700000000:41")).at_most_once();
/// let for_a_minute = Options::new().field("ttl", 60);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) at_most_once: bool,
    pub(crate) position: Option<Position>,
    pub(crate) fields: Vec<(String, Value)>,
}

impl Options {
    /// Adds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends the request once: if the connection is lost before it is answered, that is
    /// [`Error::Transport`](crate::Error::Transport), and whether the service acted is
    /// not known. Otherwise it is sent again, and the service may act twice.
    #[must_use]
    pub const fn at_most_once(mut self) -> Self {
        self.at_most_once = true;
        self
    }

    /// For a read: the message at this position. For a write: only if the channel's
    /// last message is at this position; send that one at most once, or a second
    /// sending is refused because of the first.
    ///
    /// Wire: `position` (docs/protocols/satori-rtm.md, 3.2 and 3.3).
    #[must_use]
    pub fn position(mut self, position: impl Into<Option<Position>>) -> Self {
        self.position = position.into();
        self
    }

    /// For a delete: forgets the channel's history, too. The answer then names no
    /// position.
    ///
    /// Wire: `purge` (docs/protocols/satori-rtm.md, 3.4).
    #[must_use]
    pub fn purge(self) -> Self {
        self.field("purge", true)
    }

    /// Adds a field to the body as it is, for what this crate has no name for: `ttl`,
    /// `ttl_message`, `read`. A byte string needs CBOR.
    ///
    /// Wire: docs/protocols/satori-rtm.md, 3.1.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }
}
