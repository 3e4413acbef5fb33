//! What the server says of itself.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The counters of one server. Those of what is open or waits also shrink.
#[derive(Debug)]
pub(crate) struct Counters {
    started: SystemTime,
    pub(crate) connections: AtomicU64,
    pub(crate) triggers: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) queued: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) slow: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            started: SystemTime::now(),
            connections: zero(),
            triggers: zero(),
            received: zero(),
            sent: zero(),
            failed: zero(),
            queued: zero(),
            refused: zero(),
            slow: zero(),
            dropped: zero(),
        }
    }

    pub(crate) fn read(&self, rooms: usize) -> Status {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        Status {
            open_connections: of(&self.connections),
            num_rooms: rooms as u64,
            online_since: iso_8601(self.started),
            triggers_received: of(&self.triggers),
            messages_received: of(&self.received),
            messages_sent: of(&self.sent),
            messages_failed: of(&self.failed),
            messages_queued: of(&self.queued),
            connections_refused: of(&self.refused),
            slow_consumers: of(&self.slow),
            messages_dropped: of(&self.dropped),
        }
    }
}

/// The counters of a server at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// Authorized connections.
    pub open_connections: u64,
    /// Rooms with a subscriber.
    pub num_rooms: u64,
    /// When the server started: ISO 8601 in UTC, to the microsecond, without a zone.
    pub online_since: String,
    /// Triggers that came, broken ones included.
    pub triggers_received: u64,
    /// Messages of clients.
    pub messages_received: u64,
    /// Published messages handed to the network.
    pub messages_sent: u64,
    /// Published messages whose connection ended before.
    pub messages_failed: u64,
    /// Published messages that wait for their reader.
    pub messages_queued: u64,
    /// Users that were not let in.
    pub connections_refused: u64,
    /// Connections that ended because their reader was too slow.
    pub slow_consumers: u64,
    /// Published messages dropped for slow readers.
    pub messages_dropped: u64,
}

impl Status {
    /// The reply to a client, in the order that clients know.
    ///
    /// Wire: docs/protocols/high-templar.md, 13.
    #[must_use]
    pub fn reply(&self) -> String {
        format!(
            r#"{{"open_connections": {}, "num_rooms": {}, "online_since": "{}", "rabbitmq_messages_received": {}, "ws_messages_received": {}, "ws_messages_send": {}, "ws_messages_send_error": {}, "ws_messages_send_queued": {}}}"#,
            self.open_connections,
            self.num_rooms,
            self.online_since,
            self.triggers_received,
            self.messages_received,
            self.messages_sent,
            self.messages_failed,
            self.messages_queued,
        )
    }

    /// The answer of the HTTP route: the same, and what clients do not know.
    #[must_use]
    pub fn page(&self) -> String {
        let reply = self.reply();
        let known = reply.trim_end_matches('}');
        format!(
            "{known}, \"connections_refused\": {}, \"slow_consumers\": {}, \
             \"messages_dropped\": {}}}\n",
            self.connections_refused, self.slow_consumers, self.messages_dropped,
        )
    }
}

fn iso_8601(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}")
}

/// The date of a day after 1970-01-01, counted in years that begin in March.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
    let year = era * 400 + year;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000"),
            (951_782_400, "2000-02-29T00:00:00.000000"),
            (1_709_251_199, "2024-02-29T23:59:59.000000"),
            (1_763_763_580, "2025-11-21T22:19:40.000000"),
            (4_107_542_399, "2100-02-28T23:59:59.000000"),
            (4_107_542_400, "2100-03-01T00:00:00.000000"),
        ] {
            assert_eq!(iso_8601(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn both_forms_are_json() {
        let status = Counters::new().read(3);
        for text in [status.reply(), status.page()] {
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["num_rooms"], 3);
        }
    }
}
