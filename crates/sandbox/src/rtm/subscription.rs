//! One subscription of one connection.

use std::sync::Arc;

use serde_json::json;

use super::{
    hub::{Batch, Hub},
    reply::{Reply, data, unsolicited},
};

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) channel: String,
    /// The next message to deliver.
    pub(super) next: u64,
    pub(super) fast_forward: bool,
    /// Leaves out a message that equals the one before it.
    pub(super) changes_only: bool,
    last: Option<Arc<str>>,
}

/// What a subscription has to say, and whether it is over.
pub(super) struct Step {
    pub(super) reply: Reply,
    pub(super) ended: bool,
}

impl Subscription {
    pub(super) const fn new(channel: String, next: u64) -> Self {
        Self { channel, next, fast_forward: false, changes_only: false, last: None }
    }

    /// Takes the next batch.
    pub(super) fn step(&mut self, id: &str, hub: &Hub) -> Option<Step> {
        loop {
            let step = self.try_step(id, hub);
            // A batch in which nothing was new says nothing; the next one may.
            if !matches!(step, Some(None)) {
                return step.flatten();
            }
        }
    }

    fn try_step(&mut self, id: &str, hub: &Hub) -> Option<Option<Step>> {
        Some(Some(match hub.batch(&self.channel, self.next) {
            Batch::Empty => return None,
            Batch::Messages(mut messages, next) => {
                self.next = next;
                if self.changes_only {
                    messages.retain(|message| {
                        self.last.replace(Arc::clone(message)).as_ref() != Some(message)
                    });
                    if messages.is_empty() {
                        return Some(None);
                    }
                }
                let reply = data(id, &hub.at(next).to_string(), &messages);
                Step { reply, ended: false }
            }
            Batch::Missed(missed, first) if self.fast_forward => {
                self.next = first;
                let reply = fallen_behind(id, hub, "info", "fast_forward", missed, first);
                Step { reply, ended: false }
            }
            Batch::Missed(missed, first) => {
                let reply = fallen_behind(id, hub, "error", "out_of_sync", missed, first);
                Step { reply, ended: true }
            }
        }))
    }
}

/// The same words, as an information or as an error.
fn fallen_behind(id: &str, hub: &Hub, kind: &str, what: &str, missed: u64, first: u64) -> Reply {
    unsolicited(
        &format!("rtm/subscription/{kind}"),
        &json!({
            kind: what,
            "reason": "Traffic is faster than the subscriber",
            "position": hub.at(first).to_string(),
            "subscription_id": id,
            "missed_message_count": missed,
        }),
    )
}
