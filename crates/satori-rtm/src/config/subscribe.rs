//! How to subscribe.

use std::time::Duration;

use client_core::{InboxLimits, Overflow};

use crate::{
    codec::{Field, Payload, Protocol},
    delivery::Position,
    error::Error,
    value::Value,
};

/// What a subscription does after a loss, and when it is slower than the service.
///
/// | | goes on at its position | skips ahead when it is too slow | ends when it is too slow |
/// |---|---|---|---|
/// | `Reliable` | yes | yes, with a [`Gap`](crate::Gap) | no |
/// | `Simple` | no: with a [`Gap`](crate::Gap) | yes, with a [`Gap`](crate::Gap) | no |
/// | `Advanced` | yes | no | yes, after a [`Gap`](crate::Gap) |
///
/// Wire: docs/protocols/satori-rtm.md, 12.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// Nothing is lost that the service still keeps.
    #[default]
    Reliable,
    /// Live messages only: what was missed is not asked for.
    Simple,
    /// As `Reliable`, but whoever is too slow is told by an error (`out_of_sync`).
    Advanced,
}

impl Mode {
    pub(crate) const fn tracks(self) -> bool {
        !matches!(self, Self::Simple)
    }

    pub(crate) const fn fast_forwards(self) -> bool {
        !matches!(self, Self::Advanced)
    }
}

/// How to subscribe: to what, where to start, and what to do when the consumer is
/// slow.
///
/// # Examples
///
/// ```
/// use satori_rtm::{Overflow, Position, Subscribe};
///
/// let from_there = Subscribe::new().from(Position::from("1700000000:41"));
/// let last_ten = Subscribe::new().history_count(10).overflow(Overflow::DropOldest);
/// let view = Subscribe::new().filter("select who from zebras where age > 3");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Subscribe {
    pub(crate) mode: Mode,
    filter: Option<String>,
    period: Option<Duration>,
    position: Option<Position>,
    history: Option<History>,
    fast_forward: Option<bool>,
    force: bool,
    only_value_changes: bool,
    prefix: bool,
    fields: Vec<(String, Value)>,
    pub(crate) inbox: InboxLimits,
    pub(crate) overflow: Overflow,
}

#[derive(Clone, Copy, Debug)]
enum History {
    Count(u64),
    Age(Duration),
}

impl Subscribe {
    /// Starts with the next message to be published.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what happens after a loss. Default [`Mode::Reliable`].
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Subscribes to a view: `filter` is what the service takes for a query, and names
    /// the channel; the subscription's id is then a name of your own.
    ///
    /// Wire: `filter`, `subscription_id` (docs/protocols/satori-rtm.md, 3.5 and 3.8).
    #[must_use]
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// Sets the window of a view that sums up, in whole seconds, at most 60 for the
    /// original service.
    ///
    /// Wire: `period` (docs/protocols/satori-rtm.md, 3.5).
    #[must_use]
    pub const fn period(mut self, period: Duration) -> Self {
        self.period = Some(period);
        self
    }

    /// Starts at `position`, that message included. Counts until the service has
    /// accepted it once.
    ///
    /// Wire: `position` (docs/protocols/satori-rtm.md, 3.5).
    #[must_use]
    pub fn from(mut self, position: impl Into<Option<Position>>) -> Self {
        self.position = position.into();
        self
    }

    /// Starts `count` messages before the starting point. Replaces an age. Counts until
    /// the service has accepted it once.
    ///
    /// Wire: `history.count` (docs/protocols/satori-rtm.md, 3.5).
    #[must_use]
    pub const fn history_count(mut self, count: u64) -> Self {
        self.history = Some(History::Count(count));
        self
    }

    /// Starts with the oldest message that is not older than `age`, in whole
    /// seconds, counted back from the starting point. Replaces a count. Counts until
    /// the service has accepted it once.
    ///
    /// Wire: `history.age` (docs/protocols/satori-rtm.md, 3.5).
    #[must_use]
    pub const fn history_age(mut self, age: Duration) -> Self {
        self.history = Some(History::Age(age));
        self
    }

    /// Skips ahead when falling behind, or does not, whatever the mode says.
    ///
    /// Wire: `fast_forward` (docs/protocols/satori-rtm.md, 3.5 and 12).
    #[must_use]
    pub const fn fast_forward(mut self, skip: bool) -> Self {
        self.fast_forward = Some(skip);
        self
    }

    /// Takes the place of a subscription that the service has under this id.
    ///
    /// Wire: `force` (docs/protocols/satori-rtm.md, 3.5).
    #[must_use]
    pub const fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Leaves out a message that is equal to the one delivered before it.
    ///
    /// Wire: `only` (docs/protocols/satori-rtm.md, 3.5).
    #[must_use]
    pub const fn only_value_changes(mut self) -> Self {
        self.only_value_changes = true;
        self
    }

    /// Subscribes to all channels whose names begin with the subscription's id.
    ///
    /// Wire: `prefix` (docs/protocols/satori-rtm.md, 3.5).
    #[must_use]
    pub const fn prefix(mut self) -> Self {
        self.prefix = true;
        self
    }

    /// Adds a field to the body as it is, for what this crate has no name for. Sent on
    /// every connection. A byte string needs CBOR.
    ///
    /// Wire: docs/protocols/satori-rtm.md, 3.5.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Bounds what is received and not consumed. Default 1,024 messages and
    /// 4 MiB, in which a message counts with the place that it takes; exceeded by at
    /// most one PDU.
    #[must_use]
    pub const fn inbox(mut self, limits: InboxLimits) -> Self {
        self.inbox = limits;
        self
    }

    /// Sets what happens when those bounds are reached. Default
    /// [`Overflow::Block`].
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// The service has accepted where to start: from now on the tracked position says
    /// where to go on, and history is not asked for again.
    pub(crate) fn started(&mut self) {
        self.position = None;
        self.history = None;
    }

    /// Whether it says where to start.
    pub(crate) const fn has_period(&self) -> bool {
        self.period.is_some()
    }

    pub(crate) const fn has_start(&self) -> bool {
        self.position.is_some() || self.history.is_some()
    }

    /// Writes the body of `rtm/subscribe` for the subscription `id`.
    pub(crate) fn body(
        &self,
        protocol: Protocol,
        id: &str,
        tracked: Option<&Position>,
        force: bool,
    ) -> Result<Payload, Error> {
        let history = self.history.map(|history| match history {
            History::Count(count) => Value::from([("count", Value::from(count))]),
            History::Age(age) => Value::from([("age", Value::from(age.as_secs()))]),
        });
        let filter = self.filter.as_deref().filter(|filter| !filter.is_empty());
        let mut fields = Vec::with_capacity(8);
        match filter {
            Some(filter) => {
                fields.push(("subscription_id", Field::Text(id)));
                fields.push(("filter", Field::Text(filter)));
            }
            None => fields.push(("channel", Field::Text(id))),
        }
        if self.prefix {
            fields.extend(filter.is_none().then_some(("subscription_id", Field::Text(id))));
            fields.push(("prefix", Field::Flag(true)));
        }
        match self.fast_forward {
            Some(skip) => fields.push(("fast_forward", Field::Flag(skip))),
            None if self.mode.fast_forwards() => fields.push(("fast_forward", Field::Flag(true))),
            None => {}
        }
        let position = tracked.or(self.position.as_ref());
        fields.extend(position.map(|position| ("position", Field::Text(position.as_str()))));
        fields.extend(history.as_ref().map(|history| ("history", Field::Value(history))));
        fields.extend(self.period.map(|period| ("period", Field::Number(period.as_secs()))));
        fields.extend((self.force || force).then_some(("force", Field::Flag(true))));
        let only = self.only_value_changes.then_some(("only", Field::Text("value_changes")));
        fields.extend(only);
        add_own(&mut fields, &self.fields);
        protocol.body(&fields)
    }
}

/// Adds a caller's own fields; they win over ours.
pub(crate) fn add_own<'a>(fields: &mut Vec<(&'a str, Field<'a>)>, own: &'a [(String, Value)]) {
    fields.retain(|(name, _)| own.iter().all(|(own, _)| own != name));
    fields.extend(own.iter().map(|(name, value)| (name.as_str(), Field::Value(value))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(options: &Subscribe, tracked: Option<&str>) -> String {
        let tracked = tracked.map(Position::from);
        match options.body(Protocol::Json, "fleet", tracked.as_ref(), false) {
            Ok(Payload::Json(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn modes_differ_in_what_they_ask_for() {
        for (mode, expected) in [
            (Mode::Reliable, r#"{"channel":"fleet","fast_forward":true,"position":"1:9"}"#),
            (Mode::Advanced, r#"{"channel":"fleet","position":"1:9"}"#),
        ] {
            assert_eq!(body(&Subscribe::new().mode(mode), Some("1:9")), expected);
        }
        let simple = Subscribe::new().mode(Mode::Simple).fast_forward(false);
        assert_eq!(body(&simple, None), r#"{"channel":"fleet","fast_forward":false}"#);
    }

    #[test]
    fn the_starting_point_counts_until_it_was_accepted() {
        let mut options = Subscribe::new().from(Position::from("1:1")).history_count(2);
        assert_eq!(
            body(&options, None),
            r#"{"channel":"fleet","fast_forward":true,"position":"1:1","history":{"count":2}}"#
        );
        options.started();
        assert_eq!(
            body(&options, Some("1:9")),
            r#"{"channel":"fleet","fast_forward":true,"position":"1:9"}"#
        );
    }

    #[test]
    fn every_option_has_its_field() {
        let options = Subscribe::new()
            .mode(Mode::Advanced)
            .filter("select * from `fleet`")
            .period(Duration::from_secs(10))
            .history_age(Duration::from_secs(60))
            .force()
            .only_value_changes()
            .field("end_position", "1:7")
            .field("period", 20);
        let expected = concat!(
            r#"{"subscription_id":"fleet","filter":"select * from `fleet`","#,
            r#""history":{"age":60},"force":true,"only":"value_changes","#,
            r#""end_position":"1:7","period":20}"#
        );
        assert_eq!(body(&options, None), expected);
        let prefix = Subscribe::new().mode(Mode::Advanced).prefix();
        let expected = r#"{"channel":"fleet","subscription_id":"fleet","prefix":true}"#;
        assert_eq!(body(&prefix, None), expected);
        assert_eq!(
            body(&Subscribe::new().mode(Mode::Advanced).filter(""), None),
            r#"{"channel":"fleet"}"#
        );
    }
}
