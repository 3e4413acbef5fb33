//! Rooms by their identity, and the connections in them.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use high_templar_client::Room;

use super::{Outlet, Subscribed};

#[derive(Debug, Default)]
pub(super) struct Rooms {
    /// By identity; a room is there as long as somebody is in it.
    rooms: HashMap<Arc<str>, Entered>,
    /// The identities of rooms with the same keys, for stars.
    shapes: HashMap<Box<[String]>, BTreeMap<Arc<str>, Room>>,
    connections: HashMap<u64, Held>,
}

/// What a connection has.
#[derive(Debug, Default)]
struct Held {
    /// Identities of rooms, by request id.
    ids: HashMap<Arc<str>, HashSet<Arc<str>>>,
    rooms: usize,
    /// Of their identities and request ids.
    bytes: usize,
}

/// Most bytes of the rooms of one connection together, with their request ids.
const MAX_BYTES: usize = 4 << 20;

/// Who is in a room: connections, and their request ids.
type Entered = BTreeMap<(u64, Arc<str>), Arc<Outlet>>;

impl Rooms {
    pub(super) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(super) fn subscribe(
        &mut self,
        outlet: &Arc<Outlet>,
        room: &Room,
        id: &str,
        most: usize,
    ) -> Subscribed {
        let held = self.connections.entry(outlet.number).or_default();
        let identity: Arc<str> = match self.rooms.get_key_value(room.identity()) {
            Some((identity, _)) => Arc::clone(identity),
            None => room.identity().into(),
        };
        let id: Arc<str> = match held.ids.get_key_value(id) {
            Some((_, rooms)) if rooms.contains(&identity) => return Subscribed::Done,
            Some((id, _)) => Arc::clone(id),
            None => id.into(),
        };
        let bytes = identity.len() + id.len();
        if held.rooms >= most || held.bytes + bytes > MAX_BYTES {
            return Subscribed::TooMany;
        }
        held.rooms += 1;
        held.bytes += bytes;
        held.ids.entry(Arc::clone(&id)).or_default().insert(Arc::clone(&identity));
        if let Entry::Vacant(place) = self.rooms.entry(Arc::clone(&identity)) {
            place.insert(BTreeMap::new());
            let shape = self.shapes.entry(shape(room)).or_default();
            shape.insert(Arc::clone(&identity), room.clone());
        }
        if let Some(entered) = self.rooms.get_mut(&identity) {
            entered.insert((outlet.number, id), Arc::clone(outlet));
        }
        Subscribed::Done
    }

    pub(super) fn unsubscribe(&mut self, connection: u64, id: &str) -> bool {
        let Some(held) = self.connections.get_mut(&connection) else { return false };
        let Some((id, rooms)) = held.ids.remove_entry(id) else { return false };
        held.rooms -= rooms.len();
        held.bytes -= rooms.iter().map(|room| room.len() + id.len()).sum::<usize>();
        for room in rooms {
            self.exit(&room, connection, &id);
        }
        true
    }

    pub(super) fn leave(&mut self, connection: u64) {
        let held = self.connections.remove(&connection).unwrap_or_default();
        for (id, rooms) in held.ids {
            for room in rooms {
                self.exit(&room, connection, &id);
            }
        }
    }

    /// Everyone who is in a room, and under which ids.
    pub(super) fn find(&self, identity: &str) -> Vec<(Arc<Outlet>, Arc<str>)> {
        let entered = self.rooms.get(identity).into_iter().flatten();
        entered.map(|((_, id), outlet)| (Arc::clone(outlet), Arc::clone(id))).collect()
    }

    /// The rooms that a star stands for. Looks at all with the same keys.
    pub(super) fn covered_by(&self, star: &Room) -> Vec<Arc<str>> {
        let same = self.shapes.get(&shape(star)).into_iter().flatten();
        let covered = same.filter(|(_, room)| star.covers(room));
        covered.map(|(identity, _)| Arc::clone(identity)).collect()
    }

    fn exit(&mut self, room: &Arc<str>, connection: u64, id: &Arc<str>) {
        let Some(entered) = self.rooms.get_mut(room) else { return };
        entered.remove(&(connection, Arc::clone(id)));
        if !entered.is_empty() {
            return;
        }
        self.rooms.remove(room);
        // The identity is the room's JSON.
        let Ok(parsed) = room.parse::<Room>() else { return };
        if let Entry::Occupied(mut shape) = self.shapes.entry(shape(&parsed)) {
            shape.get_mut().remove(room);
            if shape.get().is_empty() {
                shape.remove();
            }
        }
    }
}

/// The keys of a room, in order.
fn shape(room: &Room) -> Box<[String]> {
    let mut keys: Vec<String> = room.fields().iter().map(|(key, _)| key.clone()).collect();
    keys.sort_unstable();
    keys.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(text: &str) -> Room {
        text.parse().unwrap()
    }

    fn ids(rooms: &Rooms, name: &str) -> Vec<String> {
        let found = rooms.find(room(name).identity());
        found.iter().map(|(outlet, id)| format!("{}{id}", outlet.number)).collect()
    }

    #[test]
    fn an_id_may_have_several_rooms_and_leaves_all_of_them() {
        let (mut rooms, one) = (Rooms::default(), Arc::new(Outlet::new(1, 100)));
        for _ in 0..2 {
            for name in [r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, r#"{"c":1}"#] {
                assert_eq!(rooms.subscribe(&one, &room(name), "x", 2), Subscribed::Done);
            }
        }
        assert_eq!(rooms.subscribe(&one, &room("{}"), "y", 2), Subscribed::TooMany);
        assert_eq!((rooms.len(), ids(&rooms, r#"{"b":2,"a":1}"#)), (2, vec!["1x".to_owned()]));
        assert!(rooms.unsubscribe(1, "x") && !rooms.unsubscribe(1, "x"));
        assert!(!rooms.unsubscribe(1, "y"));
        assert_eq!((rooms.len(), rooms.shapes.len()), (0, 0));
    }

    #[test]
    fn who_leaves_is_nowhere() {
        let mut rooms = Rooms::default();
        for number in 1..=3 {
            let outlet = Arc::new(Outlet::new(number, 100));
            rooms.subscribe(&outlet, &room(r#"{"a":1}"#), "x", 9);
            rooms.subscribe(&outlet, &room(&format!("{{\"a\":\"n{number}\"}}")), "y", 9);
        }
        rooms.leave(2);
        rooms.leave(2);
        assert_eq!(ids(&rooms, r#"{"a":1}"#), ["1x", "3x"]);
        assert_eq!(rooms.covered_by(&room(r#"{"a":"*"}"#)).len(), 3);
        assert!(rooms.covered_by(&room(r#"{"b":"*"}"#)).is_empty());
        rooms.leave(1);
        rooms.leave(3);
        assert_eq!((rooms.len(), rooms.shapes.len(), rooms.connections.len()), (0, 0, 0));
    }
}
