//! One subscription of one connection.

use std::{collections::VecDeque, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use super::{
    hub::{BATCH, BATCH_BYTES, Batch, Hub},
    message::Message,
    reply::{Content, Reply, unsolicited},
    view::{Counts, View},
};

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) channel: String,
    /// The next message to deliver.
    pub(super) next: u64,
    pub(super) fast_forward: bool,
    /// Leaves out a message that equals the one before it.
    pub(super) changes_only: bool,
    last: Option<Message>,
    view: Option<View>,
    window: Option<Window>,
}

/// The period of a view that counts.
#[derive(Debug)]
struct Window {
    period: Duration,
    end: Instant,
    counts: Counts,
    /// Of periods that are over, and not said yet.
    rows: VecDeque<Message>,
}

/// What a subscription has to say, and whether it is over.
pub(super) struct Step {
    pub(super) reply: Reply,
    pub(super) ended: bool,
}

impl Subscription {
    pub(super) const fn new(channel: String, next: u64) -> Self {
        Self {
            channel,
            next,
            fast_forward: false,
            changes_only: false,
            last: None,
            view: None,
            window: None,
        }
    }

    /// Shows the channel as `view` does; one that counts does so every `period`.
    pub(super) fn through(mut self, view: View, period: Duration) -> Self {
        let end = Instant::now() + period;
        let window = || Window { period, end, counts: Counts::default(), rows: VecDeque::new() };
        self.window = view.counts().then(window);
        self.view = Some(view);
        self
    }

    /// When a view that counts has something to say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.window.as_ref().map(|window| window.end)
    }

    /// Takes the next batch.
    pub(super) fn step(&mut self, id: &str, hub: &Hub) -> Option<Step> {
        if let Some(rows) = self.rows() {
            return Some(self.batch(id, hub, rows));
        }
        loop {
            let messages = match hub.batch(&self.channel, self.next) {
                Batch::Empty => return None,
                Batch::Messages(messages, next) => {
                    self.next = next;
                    messages
                }
                Batch::Missed(missed, first) => {
                    self.next = first;
                    let (kind, what) = match self.fast_forward {
                        true => ("info", "fast_forward"),
                        false => ("error", "out_of_sync"),
                    };
                    let reply = fallen_behind(id, hub, kind, what, missed, first);
                    return Some(Step { reply, ended: !self.fast_forward });
                }
            };
            // A batch in which nothing is to be seen says nothing; the next one may.
            let messages = self.shown(messages);
            if !messages.is_empty() {
                return Some(self.batch(id, hub, messages));
            }
        }
    }

    fn batch(&self, id: &str, hub: &Hub, messages: Vec<Message>) -> Step {
        let (id, position) = (id.to_owned(), hub.at(self.next).to_string());
        let content = Content::Batch { id, position, messages };
        Step { reply: unsolicited("rtm/subscription/data", content), ended: false }
    }

    fn shown(&mut self, messages: Vec<Message>) -> Vec<Message> {
        let mut messages = match (&self.view, &mut self.window) {
            (None, _) => messages,
            (Some(view), None) => {
                messages.iter().filter_map(|message| view.show(message)).collect()
            }
            (Some(view), Some(window)) => {
                messages.iter().for_each(|message| view.count(message, &mut window.counts));
                Vec::new()
            }
        };
        if self.changes_only {
            messages.retain(|message| self.last.replace(message.clone()).as_ref() != Some(message));
        }
        messages
    }

    /// What was counted, if the period is over and there was anything: as much of it as
    /// a batch holds.
    fn rows(&mut self) -> Option<Vec<Message>> {
        let (view, window) = (self.view.as_ref()?, self.window.as_mut()?);
        let now = Instant::now();
        if window.rows.is_empty() && now >= window.end {
            window.end = now + window.period;
            window.rows.extend(view.rows(&mut window.counts));
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = window.rows.front() {
            bytes += row.json().len();
            if rows.len() == BATCH || (bytes > BATCH_BYTES && !rows.is_empty()) {
                break;
            }
            rows.extend(window.rows.pop_front());
        }
        Some(rows).filter(|rows| !rows.is_empty())
    }
}

/// The same words, as an information or as an error.
fn fallen_behind(id: &str, hub: &Hub, kind: &str, what: &str, missed: u64, first: u64) -> Reply {
    let fields = json!({
        kind: what,
        "reason": "Traffic is faster than the subscriber",
        "position": hub.at(first).to_string(),
        "subscription_id": id,
        "missed_message_count": missed,
    });
    unsolicited(&format!("rtm/subscription/{kind}"), Content::Fields(fields))
}
