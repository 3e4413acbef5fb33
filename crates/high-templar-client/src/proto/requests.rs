//! What was asked and not answered yet (docs/protocols/high-templar.md, 8.1): a 3.x
//! server answers in order, a 2.x server by request id.

use std::{collections::VecDeque, time::Instant};

/// A request whose answer is to come.
#[derive(Debug)]
pub(super) enum Asked {
    Ping,
    /// With the serial number of the subscription.
    Subscribe {
        serial: u64,
        id: String,
    },
    /// With the number of the call, if somebody waits.
    Unsubscribe {
        id: String,
        call: Option<u64>,
    },
    /// With the number of the call.
    Status(u64),
}

impl Asked {
    fn id(&self) -> Option<&str> {
        match self {
            Self::Subscribe { id, .. } | Self::Unsubscribe { id, .. } => Some(id),
            Self::Ping | Self::Status(_) => None,
        }
    }
}

/// The requests of one connection, oldest first.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Those that are not pings are overdue in this order.
    waiting: VecDeque<(Asked, Instant)>,
    /// When the one ping among them is overdue.
    ping: Option<Instant>,
}

impl Requests {
    /// A request was sent, and its answer is `overdue` at that time.
    pub(super) fn push(&mut self, asked: Asked, overdue: Instant) {
        if matches!(asked, Asked::Ping) {
            self.ping = Some(overdue);
        }
        self.waiting.push_back((asked, overdue));
    }

    /// The oldest.
    pub(super) fn pop(&mut self) -> Option<Asked> {
        let asked = self.waiting.pop_front().map(|(asked, _)| asked);
        self.popped(asked)
    }

    /// The oldest ping, wherever it stands.
    pub(super) fn pop_ping(&mut self) -> Option<Asked> {
        self.take(|asked| matches!(asked, Asked::Ping))
    }

    /// The oldest that has this request id.
    pub(super) fn pop_id(&mut self, id: &str) -> Option<Asked> {
        self.take(|asked| asked.id() == Some(id))
    }

    /// Whether a ping waits for its answer.
    pub(super) fn has_ping(&self) -> bool {
        self.ping.is_some()
    }

    /// When the first answer is overdue.
    pub(super) fn overdue(&self) -> Option<Instant> {
        let first = self.waiting.front().map(|(_, overdue)| *overdue);
        first.into_iter().chain(self.ping).min()
    }

    /// Nothing was read for a while: no answer is overdue before `at`.
    pub(super) fn forgive(&mut self, at: Instant) {
        for overdue in self.waiting.iter_mut().map(|(_, at)| at).chain(&mut self.ping) {
            *overdue = at.max(*overdue);
        }
    }

    /// Forgets everything: the connection is gone.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.ping = None;
    }

    fn take(&mut self, wanted: impl Fn(&Asked) -> bool) -> Option<Asked> {
        let at = self.waiting.iter().position(|(asked, _)| wanted(asked))?;
        let asked = self.waiting.remove(at).map(|(asked, _)| asked);
        self.popped(asked)
    }

    fn popped(&mut self, asked: Option<Asked>) -> Option<Asked> {
        if matches!(asked, Some(Asked::Ping)) {
            self.ping = None;
        }
        asked
    }
}
