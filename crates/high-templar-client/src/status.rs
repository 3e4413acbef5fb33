//! What a server says of itself.

use serde::Deserialize;

/// The counters of one server process.
///
/// Wire: reply to `status` (docs/protocols/high-templar.md, 13).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// Authorized connections.
    pub open_connections: u64,
    /// Rooms with a subscriber.
    #[serde(default)]
    pub num_rooms: u64,
    /// When the process started: ISO 8601, in the server's time, without a zone.
    #[serde(default)]
    pub online_since: String,
    /// Triggers that came, broken ones included.
    #[serde(default)]
    pub rabbitmq_messages_received: u64,
    /// Messages of clients; a Python server does not count them.
    #[serde(default)]
    pub ws_messages_received: u64,
    /// Published messages that were sent to clients.
    #[serde(default)]
    pub ws_messages_send: u64,
    /// Those that could not be sent.
    #[serde(default)]
    pub ws_messages_send_error: u64,
    /// Those that wait for a slow reader.
    #[serde(default)]
    pub ws_messages_send_queued: u64,
}
