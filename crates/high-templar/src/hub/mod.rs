//! Who is in which room.

mod outlet;
mod rooms;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
};

use high_templar_client::{Room, Trigger};

pub(crate) use outlet::{Ended, Outgoing, Outlet, Push};

use self::rooms::Rooms;
use crate::{
    config::{Compat, Overflow},
    frames,
    status::{Counters, Status},
};

/// All rooms of a server, and its counters.
#[derive(Debug)]
pub(crate) struct Hub {
    rooms: Mutex<Rooms>,
    pub(crate) counters: Counters,
    compat: Compat,
    overflow: Overflow,
}

/// What came of a request to subscribe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Subscribed {
    Done,
    /// The connection has as many as it may have.
    TooMany,
}

/// Who gets a trigger: those who are in each of its rooms, looked up once, and the order
/// in which they are served.
#[derive(Debug, Default)]
struct Reached {
    entered: Vec<Vec<(Arc<Outlet>, Arc<str>)>>,
    order: Vec<usize>,
}

impl Reached {
    /// The place of a room, and whether it is a new one.
    fn look_up(
        &mut self,
        rooms: &Rooms,
        places: &mut HashMap<Box<str>, usize>,
        identity: &str,
    ) -> (usize, bool) {
        if let Some(place) = places.get(identity) {
            return (*place, false);
        }
        let place = self.entered.len();
        places.insert(identity.into(), place);
        self.entered.push(rooms.find(identity));
        (place, true)
    }

    fn once(&mut self, rooms: &Rooms, places: &mut HashMap<Box<str>, usize>, identity: &str) {
        if let (place, true) = self.look_up(rooms, places, identity) {
            self.order.push(place);
        }
    }
}

impl Hub {
    pub(crate) fn new(compat: Compat, overflow: Overflow) -> Self {
        Self { rooms: Mutex::default(), counters: Counters::new(), compat, overflow }
    }

    /// Puts a connection into a room. `answer` is queued before anything that is
    /// published there.
    pub(crate) fn subscribe(
        &self,
        outlet: &Arc<Outlet>,
        room: &Room,
        id: &str,
        most: usize,
        answer: impl FnOnce(Subscribed) -> String,
    ) {
        let mut rooms = self.rooms();
        let subscribed = rooms.subscribe(outlet, room, id, most);
        // Under the lock, so that no publication comes in between.
        self.queue(outlet, Outgoing::Answer(answer(subscribed)));
    }

    /// Takes what has this id out of its rooms; false if there is nothing.
    pub(crate) fn unsubscribe(&self, outlet: &Outlet, id: &str) -> bool {
        self.rooms().unsubscribe(outlet.number, id)
    }

    /// Takes a connection out of all rooms.
    pub(crate) fn leave(&self, outlet: &Outlet) {
        self.rooms().leave(outlet.number);
    }

    /// Sends the data of a trigger to all who are in its rooms.
    pub(crate) fn deliver(&self, trigger: &Trigger) {
        let data: Arc<str> = frames::data(self.compat, trigger.data()).into();
        let Reached { entered, order } = self.reached(trigger);
        for (outlet, id) in order.iter().filter_map(|place| entered.get(*place)).flatten() {
            self.counters.queued.fetch_add(1, Relaxed);
            let (data, id) = (Arc::clone(&data), Arc::clone(id));
            self.queue(outlet, Outgoing::Publish { data, id });
        }
    }

    /// Counts a trigger, also one that cannot be read.
    pub(crate) fn received(&self) {
        self.counters.triggers.fetch_add(1, Relaxed);
    }

    /// Queues what a connection is to be sent.
    pub(crate) fn queue(&self, outlet: &Outlet, outgoing: Outgoing) {
        match outlet.push(outgoing, self.overflow) {
            Push::Queued => {}
            Push::Dropped(publications) => {
                self.counters.dropped.fetch_add(publications, Relaxed);
                self.counters.queued.fetch_sub(publications, Relaxed);
            }
            Push::Ended(publications) => {
                self.counters.slow.fetch_add(1, Relaxed);
                self.lost(publications);
            }
            Push::Gone(publications) => self.lost(publications),
        }
    }

    /// Publications that will not be sent.
    pub(crate) fn lost(&self, publications: u64) {
        self.counters.failed.fetch_add(publications, Relaxed);
        self.counters.queued.fetch_sub(publications, Relaxed);
    }

    pub(crate) fn status(&self) -> Status {
        let rooms = self.rooms().len();
        self.counters.read(rooms)
    }

    /// Who gets a trigger. By the document everyone once, and a star names every room that
    /// it covers; in the Python server a star is a star, and a room that is named twice is
    /// served twice.
    fn reached(&self, trigger: &Trigger) -> Reached {
        let rooms = self.rooms();
        let (mut reached, mut places) = (Reached::default(), HashMap::new());
        let mut stars = HashSet::new();
        for room in trigger.rooms() {
            match self.compat {
                Compat::V3_1 => {
                    let place = reached.look_up(&rooms, &mut places, room.identity());
                    reached.order.push(place.0);
                }
                Compat::Document if room.has_star() => {
                    if !stars.insert(room.identity()) {
                        continue;
                    }
                    for covered in rooms.covered_by(room) {
                        reached.once(&rooms, &mut places, &covered);
                    }
                }
                Compat::Document => reached.once(&rooms, &mut places, room.identity()),
            }
        }
        reached
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        // No code of others runs under the lock, so a poisoned one is still whole.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
