//! What a user may subscribe to.

use super::Room;

/// The rooms that a server lets the user into, as it told on connecting. They hold as
/// long as the connection.
///
/// Wire: `allowed_rooms` (docs/protocols/high-templar.md, 6 and 9.2).
///
/// # Examples
///
/// ```
/// use high_templar_client::{AllowedRooms, Room};
///
/// let chats = Room::new().with("target", "chat").with("customer", "*");
/// let allowed: AllowedRooms = [chats].into_iter().collect();
/// assert!(allowed.is_allowed(&Room::new().with("target", "chat").with("customer", "1")));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllowedRooms(Vec<Room>);

impl AllowedRooms {
    /// Returns whether the server would let the user into `room`: some allowed room has
    /// the same keys and, of each, the same value or `"*"`. Numbers are compared
    /// loosely: 1, 1.0 and `true` are the same here.
    #[must_use]
    pub fn is_allowed(&self, room: &Room) -> bool {
        self.0.iter().any(|allowed| allowed.allows(room))
    }

    /// Returns the rooms, each once.
    #[must_use]
    pub fn rooms(&self) -> &[Room] {
        &self.0
    }
}

impl FromIterator<Room> for AllowedRooms {
    /// Keeps the order, and of equal rooms the first.
    fn from_iter<I: IntoIterator<Item = Room>>(rooms: I) -> Self {
        let mut seen = std::collections::HashSet::new();
        Self(rooms.into_iter().filter(|room| seen.insert(room.identity().to_owned())).collect())
    }
}
