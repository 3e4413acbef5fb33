//! What the server is started with.

use std::time::Duration;

use high_templar::{Config, Room};

/// Rooms, compatibility and limits of the High-Templar server.
///
/// # Examples
///
/// ```
/// use high_templar::Room;
/// use realtime_sandbox::HighTemplarConfig;
///
/// let chat = Room::new().with("target", "chat").with("customer", "*");
/// let config = HighTemplarConfig::default().allowed_rooms([chat]);
/// ```
#[derive(Clone, Debug)]
pub struct HighTemplarConfig {
    pub(super) server: Config,
    pub(super) rooms: Vec<Room>,
    pub(super) with_hooks: bool,
    pub(super) handshake: Duration,
    pub(super) max_connections: usize,
}

impl Default for HighTemplarConfig {
    /// Everybody may enter each room with a `target`, and those with a `customer` as well.
    fn default() -> Self {
        let targets = Room::new().with("target", "*");
        let customers = targets.clone().with("customer", "*");
        Self {
            server: Config::new(),
            rooms: vec![customers, targets],
            with_hooks: false,
            handshake: Duration::from_secs(10),
            max_connections: 1100,
        }
    }
}

impl HighTemplarConfig {
    /// Sets the options of the server itself.
    #[must_use]
    pub fn server(mut self, config: Config) -> Self {
        self.server = config;
        self
    }

    /// Sets the rooms that the backend lets everybody enter.
    #[must_use]
    pub fn allowed_rooms(mut self, rooms: impl IntoIterator<Item = Room>) -> Self {
        self.rooms = rooms.into_iter().collect();
        self
    }

    /// Tells the backend who comes, pings and goes: at `online/`, `ping/` and `offline/`.
    #[must_use]
    pub const fn with_hooks(mut self) -> Self {
        self.with_hooks = true;
        self
    }

    /// Sets how many connections there may be at a time. Default 1,100.
    #[must_use]
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }
}
