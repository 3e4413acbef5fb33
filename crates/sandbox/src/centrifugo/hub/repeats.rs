//! What idempotency keys have brought already.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::Place;

/// How long a first result answers for a repeated call.
const KEPT: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct Repeats {
    results: BTreeMap<(String, String), (Instant, Place)>,
}

impl Repeats {
    pub(super) fn find(&self, channel: &str, key: &str) -> Option<Place> {
        if key.is_empty() {
            return None;
        }
        let (since, place) = self.results.get(&(channel.to_owned(), key.to_owned()))?;
        (since.elapsed() < KEPT).then(|| place.clone())
    }

    /// Remembers up to `most` results; what is over goes before what is not.
    pub(super) fn remember(&mut self, channel: &str, key: &str, place: Place, most: usize) {
        if self.results.len() >= most {
            self.results.retain(|_, (since, _)| since.elapsed() < KEPT);
        }
        if self.results.len() >= most {
            let oldest = self.results.iter().min_by_key(|(_, (since, _))| *since);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.results.remove(&key);
            }
        }
        self.results.insert((channel.to_owned(), key.to_owned()), (Instant::now(), place));
    }
}
