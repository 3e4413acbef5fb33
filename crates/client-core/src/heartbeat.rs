//! Finding out that a peer is gone without a word.

use std::time::{Duration, Instant};

/// Watches one connection: asks after silence, gives up without an answer.
///
/// Anything received counts as an answer. A dead peer is found at most
/// `idle + patience` after its last byte.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    idle: Duration,
    patience: Duration,
    last_heard: Instant,
    asked: Option<Instant>,
}

/// What a heartbeat asks its owner to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a heartbeat asks or gives up")]
pub enum Beat {
    /// Send a ping.
    Ping,
    /// The peer did not answer: the connection is dead.
    Dead,
}

impl Heartbeat {
    /// Watches a connection opened at `now`: ping after `idle` of silence, dead
    /// after `patience` without an answer.
    #[must_use]
    pub const fn new(idle: Duration, patience: Duration, now: Instant) -> Self {
        Self { idle, patience, last_heard: now, asked: None }
    }

    /// Notes that something was received.
    pub const fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.asked = None;
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        match self.asked {
            Some(asked) => asked + self.patience,
            None => self.last_heard + self.idle,
        }
    }

    /// Returns what to do at `now`; nothing before
    /// [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Beat> {
        if now < self.poll_timeout() {
            return None;
        }
        // After a suspended process wakes, the ping is asked first: one chance
        // to answer, and never a burst of pings for the time that was missed.
        match self.asked {
            Some(_) => Some(Beat::Dead),
            None => {
                self.asked = Some(now);
                Some(Beat::Ping)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(20);
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn silence_is_asked_after_and_then_dead() {
        let start = Instant::now();
        let mut beat = Heartbeat::new(IDLE, PATIENCE, start);
        assert_eq!(beat.handle_timeout(start + IDLE - Duration::from_nanos(1)), None);
        assert_eq!(beat.handle_timeout(start + IDLE), Some(Beat::Ping));
        assert_eq!(beat.handle_timeout(start + IDLE), None);
        assert_eq!(beat.poll_timeout(), start + IDLE + PATIENCE);
        assert_eq!(beat.handle_timeout(start + IDLE + PATIENCE), Some(Beat::Dead));
    }

    #[test]
    fn anything_heard_is_an_answer() {
        let start = Instant::now();
        let mut beat = Heartbeat::new(IDLE, PATIENCE, start);
        assert_eq!(beat.handle_timeout(start + IDLE), Some(Beat::Ping));
        beat.heard(start + IDLE + PATIENCE / 2);
        assert_eq!(beat.poll_timeout(), start + IDLE + PATIENCE / 2 + IDLE);
    }

    #[test]
    fn an_hour_of_suspension_costs_one_ping() {
        let start = Instant::now();
        let later = start + Duration::from_secs(3600);
        let mut beat = Heartbeat::new(IDLE, PATIENCE, start);
        assert_eq!(beat.handle_timeout(later), Some(Beat::Ping));
        assert_eq!(beat.handle_timeout(later), None);
    }
}
