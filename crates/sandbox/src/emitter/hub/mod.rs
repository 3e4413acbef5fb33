//! All that a broker knows, under one lock: what happens, happens in one order.

mod outlet;
mod presence;
mod subscriptions;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};
use rumqttc::{Publish, QoS};
use tokio::time::Instant;

pub(super) use outlet::Outlet;

use self::subscriptions::Member;
use super::{
    config::EmitterConfig,
    keys::{self, Keys},
    refusal::Refusal,
    store::{Query, Store, Stored},
    topic::{Topic, mend},
};

/// Bytes that a link may stand for.
const MAX_LINK: usize = 4 << 10;

#[derive(Debug)]
pub(super) struct Hub {
    pub(super) config: EmitterConfig,
    /// When the hub was made: by the system's clock, and by the runtime's, which
    /// tests may pause.
    began: (u64, Instant),
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    keys: Keys,
    store: Store,
    members: BTreeMap<u64, Member>,
    random: u64,
}

impl Hub {
    pub(super) fn new(config: EmitterConfig) -> Self {
        let mut random = [0; 12];
        // Without randomness ids repeat from run to run, and nothing else.
        let _best_effort = getrandom::fill(&mut random);
        let [a, b, c, d, rest @ ..] = random;
        let mut keys = Keys::new(config.secret_key.clone());
        let own = (config.channel_key.clone(), format!("{}#/", config.channel), "rwslp".to_owned());
        for (key, target, letters) in config.keys.iter().chain([&own]) {
            keys.insert(key, target, keys::permissions(letters), None);
        }
        let store = Store::new([a, b, c, d]);
        let random = u64::from_le_bytes(rest) | 1;
        let inner = Mutex::new(Inner { keys, store, members: BTreeMap::new(), random });
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { config, began: (unix, Instant::now()), inner }
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.began.0 + self.began.1.elapsed().as_secs()
    }

    /// Lets a connection in; returns where it is written to, and its id.
    pub(super) fn join(&self, number: u64, username: Option<String>) -> Arc<Outlet> {
        let mut inner = self.inner();
        let id = inner.new_id();
        let outlet = Arc::new(Outlet::new(self.config.max_queue_bytes));
        inner.members.insert(number, Member::new(id, username, Arc::clone(&outlet)));
        outlet
    }

    /// Lets a connection go, and says so to who watches its channels.
    pub(super) fn leave(&self, number: u64) {
        let now = self.now();
        let mut inner = self.inner();
        let Some(member) = inner.members.remove(&number) else { return };
        for filter in member.filters() {
            inner.tell(now, "unsubscribe", &member, filter);
        }
    }

    /// Publishes; returns who has more waiting than it should.
    pub(super) fn publish(
        &self,
        number: u64,
        topic: &str,
        payload: &Bytes,
        retain: bool,
    ) -> Result<Vec<Arc<Outlet>>, Refusal> {
        let now = self.now();
        let mut inner = self.inner();
        let topic = inner.expand(number, topic);
        let topic = Topic::parse(&topic)?;
        if topic.has_wildcard() {
            return Err(Refusal::FORBIDDEN);
        }
        let granted = inner.keys.authorize(&topic.key, &topic.channel, keys::WRITE, now)?;
        if let Some(auditor) = &self.config.auditor {
            auditor.received(&topic.channel, &String::from_utf8_lossy(payload));
        }
        // A greater number of seconds is cut to 32 bits.
        let bits = |ttl: i64| u32::try_from(ttl.cast_unsigned() & u64::from(u32::MAX));
        let retained = if retain { 30 * 24 * 3600 } else { 0 };
        let ttl = topic.number("ttl").filter(|ttl| *ttl > 0);
        let ttl = ttl.map_or(retained, |ttl| bits(ttl).unwrap_or_default());
        if ttl > 0 && granted & keys::STORE != 0 {
            inner.store.keep(&topic.channel, payload.clone(), now, ttl);
        }
        let except = (topic.number("me") == Some(0)).then_some(number);
        let packet = delivery(&topic.channel, payload);
        let mut over = Vec::new();
        for receiver in inner.receivers(&topic.channel, except, self.config.mqtt_matcher) {
            let Some(member) = inner.members.get(&receiver) else { continue };
            member.outlet.push(&packet);
            if member.outlet.is_over() {
                over.push(Arc::clone(&member.outlet));
            }
        }
        Ok(over)
    }

    /// Subscribes, and writes what is stored.
    pub(super) fn subscribe(&self, number: u64, filter: &str) -> Result<(), Refusal> {
        let now = self.now();
        let mut inner = self.inner();
        let topic = Topic::parse(&mend(filter))?;
        let granted = inner.keys.authorize(&topic.key, &topic.channel, keys::READ, now)?;
        inner.enter(number, &topic.channel, self.config.max_subscriptions, now)?;
        if granted & keys::LOAD != 0 {
            let (_, channel) = topic.share();
            let query = Query { channel, window: topic.window(), last: topic.last(), start: None };
            for stored in inner.store.find(&query, now) {
                let packet = delivery(&stored.channel, &stored.payload);
                if let Some(member) = inner.members.get(&number) {
                    member.outlet.push(&packet);
                }
            }
        }
        Ok(())
    }

    pub(super) fn unsubscribe(&self, number: u64, filter: &str) -> Result<(), Refusal> {
        let now = self.now();
        let mut inner = self.inner();
        let topic = Topic::parse(filter)?;
        inner.keys.authorize(&topic.key, &topic.channel, keys::READ, now)?;
        inner.withdraw(number, &topic.channel, now);
        Ok(())
    }

    /// Makes a key; returns it with its channel.
    pub(super) fn generate(
        &self,
        number: u64,
        by: &str,
        channel: &str,
        letters: &str,
        ttl: i32,
    ) -> Result<(String, String), Refusal> {
        let now = self.now();
        let mut inner = self.inner();
        let expires = match ttl {
            0 => None,
            ttl => Some(now.saturating_add_signed(ttl.into())),
        };
        let id = inner.id(number);
        inner.keys.generate(by, channel, letters, expires, now, &id)
    }

    pub(super) fn ban(&self, secret: &str, target: &str, banned: bool) -> Result<(), Refusal> {
        self.inner().keys.ban(secret, target, banned)
    }

    /// Makes a link: its key is looked at when it is used.
    pub(super) fn link(
        &self,
        number: u64,
        key: &str,
        channel: &str,
        name: &str,
        subscribe: bool,
    ) -> Result<(), Refusal> {
        let is_name =
            (1..=2).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let text = format!("{key}/{channel}");
        let topic = Topic::parse(&text)?;
        if !is_name || text.len() > MAX_LINK {
            return Err(Refusal::BAD_REQUEST);
        }
        let now = self.now();
        let mut inner = self.inner();
        let may_read = inner.keys.authorize(&topic.key, &topic.channel, keys::READ, now);
        if let Some(member) = inner.members.get_mut(&number) {
            member.links.insert(name.to_owned(), text);
        }
        if subscribe && may_read.is_ok() {
            // Nobody is told when that fails.
            let _silent = inner.enter(number, &topic.channel, self.config.max_subscriptions, now);
        }
        Ok(())
    }

    /// The id and the links of a connection, without their keys.
    pub(super) fn me(&self, number: u64) -> (String, BTreeMap<String, String>) {
        let inner = self.inner();
        let Some(member) = inner.members.get(&number) else { return Default::default() };
        let channel = |text: &String| text.split_once('/').map(|(_, channel)| channel.to_owned());
        let links = member.links.iter();
        let links = links.filter_map(|(name, text)| Some((name.clone(), channel(text)?)));
        (member.id.clone(), links.collect())
    }

    pub(super) fn history(&self, text: &str, start: Option<&[u8]>) -> Result<Vec<Stored>, Refusal> {
        let now = self.now();
        let inner = self.inner();
        let topic = Topic::parse(text)?;
        inner.keys.authorize(&topic.key, &topic.channel, keys::LOAD, now)?;
        let (_, channel) = topic.share();
        let query = Query { channel, window: topic.window(), last: topic.last(), start };
        Ok(inner.store.find(&query, now))
    }

    /// Writes bytes as they are to every connection, or ends them all; returns how many
    /// those are.
    pub(super) fn tell_all(&self, act: impl Fn(&Outlet)) -> usize {
        let inner = self.inner();
        inner.members.values().for_each(|member| act(&member.outlet));
        inner.members.len()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What a link stands for, or the topic itself.
    fn expand(&self, number: u64, topic: &str) -> String {
        let links = self.members.get(&number).map(|member| &member.links);
        links.and_then(|links| links.get(topic)).map_or(topic, String::as_str).to_owned()
    }

    fn id(&self, number: u64) -> String {
        self.members.get(&number).map(|member| member.id.clone()).unwrap_or_default()
    }

    /// 26 characters, as the broker's ids are.
    fn new_id(&mut self) -> String {
        const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut digit = || DIGITS.get(usize::try_from(self.next_random() % 32).ok()?);
        (0..26).filter_map(|_| digit()).map(|byte| char::from(*byte)).collect()
    }

    /// Good enough to draw lots with.
    const fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}

/// A message as a subscriber gets it.
pub(super) fn delivery(topic: &str, payload: &Bytes) -> Bytes {
    let mut packet = Publish::new(topic, QoS::AtMostOnce, Vec::new());
    packet.payload = payload.clone();
    let mut out = BytesMut::new();
    // Topics and payloads have come in packets of the same bound.
    let _written = packet.write(&mut out);
    out.freeze()
}
