//! Who is on a channel, and who is told of it (docs/protocols/emitter.md, 9).

use bytes::Bytes;
use serde::Serialize;

use super::{
    super::{
        keys,
        refusal::{Refusal, is_zero, json},
        topic::{Topic, segments},
    },
    Hub, Inner, delivery,
    subscriptions::Member,
};

/// Who is listed when more are present: a random choice.
const MOST: usize = 1000;

#[derive(Debug, Serialize)]
struct Who {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

#[derive(Serialize)]
struct Change<'a> {
    time: u64,
    event: &'a str,
    channel: &'a str,
    who: Who,
}

/// The answer to a request.
#[derive(Debug, Serialize)]
pub(crate) struct Presence {
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) req: u16,
    status: u16,
    time: u64,
    event: &'static str,
    channel: String,
    who: Option<Vec<Who>>,
}

impl Hub {
    /// Answers who is on a channel if `status`, and begins or ends to tell changes.
    pub(crate) fn presence(
        &self,
        number: u64,
        key: &str,
        channel: &str,
        status: bool,
        changes: Option<bool>,
    ) -> Result<Presence, Refusal> {
        let now = self.now();
        let slash = if channel.ends_with('/') { "" } else { "/" };
        let topic = Topic::parse(&format!("{key}/{channel}{slash}"))?;
        if channel.contains('?') {
            return Err(Refusal::BAD_REQUEST);
        }
        let mut inner = self.inner();
        inner.keys.authorize(&topic.key, &topic.channel, keys::PRESENCE, now)?;
        let most = self.config.max_subscriptions;
        if let (Some(changes), Some(member)) = (changes, inner.members.get_mut(&number)) {
            if changes && member.watched.len() >= most {
                return Err(Refusal::FULL);
            }
            match changes {
                true => drop(member.watched.insert(topic.channel.clone())),
                false => drop(member.watched.remove(&topic.channel)),
            }
        }
        if !status {
            let (time, event, channel) = (0, "", String::new());
            return Ok(Presence { req: 0, status: 200, time, event, channel, who: None });
        }
        let present = match topic.has_wildcard() {
            true => Vec::new(),
            false => inner.present(&topic.channel, self.config.mqtt_matcher),
        };
        let (event, channel, who) = ("status", topic.channel, Some(present));
        Ok(Presence { req: 0, status: 200, time: now, event, channel, who })
    }
}

impl Inner {
    /// Everybody who would get a message on this channel.
    fn present(&mut self, channel: &str, mqtt: bool) -> Vec<Who> {
        let mut numbers: Vec<u64> = self.receivers(channel, None, mqtt).into_iter().collect();
        while numbers.len() > MOST {
            let lot = usize::try_from(self.next_random()).unwrap_or_default();
            numbers.swap_remove(lot % numbers.len());
        }
        let members = numbers.iter().filter_map(|number| self.members.get(number));
        members.map(who).collect()
    }

    /// Tells those who watch that somebody has come or gone.
    pub(super) fn tell(&self, time: u64, event: &str, about: &Member, filter: &str) {
        let channel = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        let channel = channel.map_or(filter, |(_, channel)| channel);
        let change = json(&Change { time, event, channel, who: who(about) });
        let packet = delivery("emitter/presence/", &Bytes::from(change));
        let is_told = |watched: &String| {
            let mut parts = segments(channel);
            segments(watched)
                .all(|wanted| parts.next().is_some_and(|found| wanted == "+" || wanted == found))
        };
        for member in self.members.values() {
            if member.watched.iter().any(is_told) {
                member.outlet.push(&packet);
            }
        }
    }
}

fn who(member: &Member) -> Who {
    Who { id: member.id.clone(), username: member.username.clone() }
}
