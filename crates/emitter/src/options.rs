//! What can be said along with a call (docs/protocols/emitter.md, 3).

use std::time::{SystemTime, UNIX_EPOCH};

use client_core::{InboxLimits, Overflow};

use crate::error::Error;

/// Most stored messages that can be asked for: the broker makes room for all of them
/// before it looks.
pub(crate) const MAX_LAST: u32 = 10_000;

/// Whether a publish is acknowledged. The broker has no third quality of service.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the broker has these two")]
pub enum QoS {
    /// Written and forgotten: QoS 0.
    AtMostOnce,
    /// Kept until the broker acknowledges it, and sent again after a lost
    /// connection: QoS 1.
    #[default]
    AtLeastOnce,
}

/// A time in whole seconds, as the broker counts it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Returns the seconds since 1970.
    #[must_use]
    pub const fn unix(self) -> u64 {
        self.0
    }
}

impl From<u64> for Timestamp {
    /// Seconds since 1970.
    fn from(unix: u64) -> Self {
        Self(unix)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let since = std::time::Duration::from_secs(time.0);
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }
}

/// Options in the order in which they were given; a later one replaces an earlier
/// one of its name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Query(Vec<(&'static str, u64)>);

impl Query {
    fn set(&mut self, name: &'static str, value: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(option) => option.1 = value,
            None => self.0.push((name, value)),
        }
    }

    fn unset(&mut self, name: &'static str) {
        self.0.retain(|(known, _)| *known != name);
    }

    fn get(&self, name: &'static str) -> Option<u64> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// `?a=1&b=2`, or nothing.
    fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.push_str(&format!("{name}={value}"));
        }
        text
    }

    fn checked(&self, name: &'static str, least: u64, most: u64) -> Result<(), Error> {
        match self.get(name) {
            Some(value) if !(least..=most).contains(&value) => {
                Err(Error::misuse(name, format!("{name} takes {least} to {most}")))
            }
            _ => Ok(()),
        }
    }

    /// 0 is "not stored", the greatest number the broker's own sign for retained.
    fn check_ttl(&self) -> Result<(), Error> {
        self.checked("ttl", 1, u64::from(u32::MAX) - 1)
    }

    /// Times outside 2018 to 2066 would be ignored in silence.
    fn check_window(&self) -> Result<(), Error> {
        self.checked("last", 0, MAX_LAST.into())?;
        for name in ["from", "until"] {
            self.checked(name, 1_514_764_800, 3_029_529_600)?;
        }
        match (self.get("from"), self.get("until")) {
            (Some(from), Some(until)) if from > until => {
                Err(Error::misuse("from", "the window ends before it begins"))
            }
            _ => Ok(()),
        }
    }
}

/// How a message is published.
///
/// # Examples
///
/// ```
/// let one_week = emitter::PublishOptions::new().ttl(604_800).without_echo();
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PublishOptions {
    query: Query,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

impl PublishOptions {
    /// Acknowledged, not stored, delivered also to this client if it is subscribed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has the message stored for so many seconds, 1 to 4,294,967,294, if the key
    /// allows it.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.query.set("ttl", seconds.into());
        self
    }

    /// Does not deliver the message to the connection that publishes it.
    #[must_use]
    pub fn without_echo(mut self) -> Self {
        self.query.set("me", 0);
        self
    }

    /// Has the message stored for the broker's own period (30 days), if the key
    /// allows it. Each such message is kept: this is not the retain of MQTT.
    #[must_use]
    pub const fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// Writes the message and forgets it.
    #[must_use]
    pub const fn at_most_once(mut self) -> Self {
        self.qos = QoS::AtMostOnce;
        self
    }

    /// Keeps the message until the broker acknowledges it. Default.
    #[must_use]
    pub const fn at_least_once(mut self) -> Self {
        self.qos = QoS::AtLeastOnce;
        self
    }

    pub(crate) fn query(&self) -> Result<String, Error> {
        self.query.check_ttl()?;
        Ok(self.query.text())
    }
}

/// What a subscription begins with, and how it is read.
///
/// # Examples
///
/// ```
/// let five = emitter::SubscribeOptions::new().last(5);
/// ```
#[derive(Clone, Debug, Default)]
pub struct SubscribeOptions {
    query: Query,
    pub(crate) inbox: InboxLimits,
    pub(crate) overflow: Overflow,
    pub(crate) fill: Option<u32>,
}

impl SubscribeOptions {
    /// The broker's default: the newest stored message first, if the key loads.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins with the newest `messages` stored ones, 0 to 10,000. Without it the
    /// broker takes 1.
    #[must_use]
    pub fn last(mut self, messages: u32) -> Self {
        self.query.set("last", messages.into());
        self
    }

    /// Takes only stored messages from this second on; how many, says
    /// [`last`](Self::last).
    #[must_use]
    pub fn from(mut self, time: impl Into<Timestamp>) -> Self {
        self.query.set("from", time.into().unix());
        self
    }

    /// Takes only stored messages up to this second.
    #[must_use]
    pub fn until(mut self, time: impl Into<Timestamp>) -> Self {
        self.query.set("until", time.into().unix());
        self
    }

    /// After a lost connection, fetches what was stored meanwhile, at most
    /// `messages` (1 to 10,000) and 4 MiB, in the place of a [`Gap`](crate::Gap), within
    /// six times [`Config::request_timeout`](crate::Config::request_timeout). They come
    /// at one go, before what is published from then on, which waits for them.
    ///
    /// The channel's first segment has to be a name: the broker finds stored messages by
    /// it. The key has to allow to load. Messages that were published without a ttl are not
    /// stored and cannot be fetched; those of this client's own come back also if they
    /// were published without echo. The clocks of broker and client must agree within
    /// 5 s. Delivered messages are known again by content and time: of equal ones within
    /// two seconds, one may be taken for the other.
    #[must_use]
    pub const fn fill_gaps(mut self, messages: u32) -> Self {
        self.fill = Some(messages);
        self
    }

    /// Sets how many messages and bytes wait for a slow consumer. Default 1,024 and
    /// 4 MiB.
    #[must_use]
    pub const fn inbox(mut self, limits: InboxLimits) -> Self {
        self.inbox = limits;
        self
    }

    /// Sets what happens when that is full. Default [`Overflow::Block`].
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    pub(crate) fn query(&self) -> Result<String, Error> {
        self.query.check_window()?;
        if self.fill.is_some_and(|most| !(1..=MAX_LAST).contains(&most)) {
            return Err(Error::misuse("fill_gaps", "fill_gaps takes 1 to 10000"));
        }
        let is_waited_for = self.overflow == Overflow::Block;
        let fits = |most: u32| 2 * (most as usize) <= self.inbox.max_messages;
        if !is_waited_for && !self.fill.is_none_or(fits) {
            let reason = "what fills a gap comes at one go, with what came meanwhile: the inbox holds \
                          twice as many, or waits";
            return Err(Error::misuse("fill_gaps", reason));
        }
        Ok(self.query.text())
    }
}

/// How a presence subscription is read.
#[derive(Clone, Debug, Default)]
pub struct PresenceOptions {
    pub(crate) inbox: InboxLimits,
    pub(crate) overflow: Overflow,
}

impl PresenceOptions {
    /// Waits for a slow consumer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many events and bytes wait for a slow consumer. Default 1,024 and
    /// 4 MiB.
    #[must_use]
    pub const fn inbox(mut self, limits: InboxLimits) -> Self {
        self.inbox = limits;
        self
    }

    /// Sets what happens when that is full. Default [`Overflow::Block`]. Where events
    /// are dropped, the set of members begins anew.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }
}

/// What a link carries along with each message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkOptions {
    query: Query,
    pub(crate) subscribe: bool,
}

impl LinkOptions {
    /// A link for publishing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Subscribes the connection to the channel as well. Its messages go to the
    /// handlers and subscriptions that match, else to `on_message`.
    #[must_use]
    pub const fn subscribe(mut self) -> Self {
        self.subscribe = true;
        self
    }

    /// Has messages stored for so many seconds, 1 to 4,294,967,294.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.query.set("ttl", seconds.into());
        self
    }

    /// Does not deliver messages to the connection that publishes them.
    #[must_use]
    pub fn without_echo(mut self) -> Self {
        self.query.set("me", 0);
        self
    }

    pub(crate) fn query(&self) -> Result<String, Error> {
        self.query.check_ttl()?;
        Ok(self.query.text())
    }
}

/// Which stored messages are fetched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HistoryOptions {
    query: Query,
    pub(crate) limit: Option<u32>,
}

impl HistoryOptions {
    /// All that the broker has.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends after the newest `messages`.
    #[must_use]
    pub const fn limit(mut self, messages: u32) -> Self {
        self.limit = Some(messages);
        self
    }

    /// Takes only messages from this second on.
    #[must_use]
    pub fn from(mut self, time: impl Into<Timestamp>) -> Self {
        self.query.set("from", time.into().unix());
        self
    }

    /// Takes only messages up to this second.
    #[must_use]
    pub fn until(mut self, time: impl Into<Timestamp>) -> Self {
        self.query.set("until", time.into().unix());
        self
    }

    #[cfg(feature = "client")]
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.query.check_window()
    }

    /// The query of one page, which may end before the whole does.
    pub(crate) fn page(&self, messages: u32, until: Option<u64>) -> String {
        let mut query = self.query.clone();
        if let Some(until) = until {
            query.set("until", until);
        }
        query.unset("last");
        query.set("last", messages.into());
        query.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<String, Error>) -> String {
        result.unwrap_err().code().to_owned()
    }

    #[test]
    fn options_stand_in_the_callers_order() {
        let publish = PublishOptions::new().without_echo().ttl(5).retain().at_most_once();
        assert_eq!(publish.query().unwrap(), "?me=0&ttl=5");
        assert_eq!(PublishOptions::new().at_least_once().query().unwrap(), "");
        let link = LinkOptions::new().ttl(604_800).without_echo();
        assert_eq!(link.query().unwrap(), "?ttl=604800&me=0");
        let subscribe = SubscribeOptions::new().last(5).from(1_600_000_000).last(7);
        assert_eq!(subscribe.query().unwrap(), "?last=7&from=1600000000");
        let history = HistoryOptions::new().until(1_600_000_000);
        assert_eq!(history.page(50, None), "?until=1600000000&last=50");
    }

    #[test]
    fn ranges_are_the_brokers() {
        assert_eq!(code(PublishOptions::new().ttl(0).query()), "ttl");
        assert_eq!(code(LinkOptions::new().ttl(u32::MAX).query()), "ttl");
        PublishOptions::new().ttl(u32::MAX - 1).query().unwrap();
        assert_eq!(code(SubscribeOptions::new().last(10_001).query()), "last");
        SubscribeOptions::new().last(10_000).query().unwrap();
        // Milliseconds, passed by mistake.
        assert_eq!(code(SubscribeOptions::new().from(1_600_000_000_000).query()), "from");
        assert_eq!(code(SubscribeOptions::new().until(1_514_764_799).query()), "until");
        let window = SubscribeOptions::new().from(1_600_000_001).until(1_600_000_000);
        assert_eq!(code(window.query()), "from");
        assert_eq!(code(SubscribeOptions::new().fill_gaps(0).query()), "fill_gaps");
        let time = UNIX_EPOCH + std::time::Duration::from_millis(1_600_000_000_999);
        assert_eq!(Timestamp::from(time).unix(), 1_600_000_000);
    }
}
