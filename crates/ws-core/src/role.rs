//! The two ends of a connection.

/// Which end of the connection we are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Role {
    /// Masks what it sends, refuses masked frames.
    Client,
    /// Sends unmasked, refuses unmasked frames.
    Server,
}
