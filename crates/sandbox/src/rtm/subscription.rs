//! One subscription of one connection.

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
}

/// What a subscription has to say, and whether it is over.
pub(super) struct Step {
    pub(super) reply: Reply,
    pub(super) ended: bool,
}

impl Subscription {
    /// Takes the next batch.
    pub(super) fn step(&mut self, id: &str, hub: &Hub) -> Option<Step> {
        match hub.batch(&self.channel, self.next) {
            Batch::Empty => None,
            Batch::Messages(messages, next) => {
                self.next = next;
                let reply = data(id, &hub.at(next).to_string(), &messages);
                Some(Step { reply, ended: false })
            }
            Batch::Missed(missed, first) if self.fast_forward => {
                self.next = first;
                let reply = fallen_behind(id, hub, "info", "fast_forward", missed, first);
                Some(Step { reply, ended: false })
            }
            Batch::Missed(missed, first) => {
                let reply = fallen_behind(id, hub, "error", "out_of_sync", missed, first);
                Some(Step { reply, ended: true })
            }
        }
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
