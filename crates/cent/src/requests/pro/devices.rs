//! Devices for push notifications, and the topics they follow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::requests::{ReadError, Reply, channel::or_default, define::request};

request! {
    /// Registers a device. The commercial server, v5 and later; returns its id.
    ///
    /// Wire: `device_register`, docs/protocols/cent.md, 7.19.
    DeviceRegister("device_register", Yes) -> String = registered;
    /// Names who pushes to it (`fcm`, `hms`, `apns`), by which token, and what it is
    /// (`ios`, `android`, `web`).
    new(provider: &str, token: &str, platform: &str);
    /// The device of before, which this one replaces.
    id: &str;
    /// The user it belongs to.
    user: &str;
    /// What the application keeps of it.
    meta: &BTreeMap<String, String>;
    /// The topics it follows.
    topics: &[&str];
    /// Its time zone, as IANA names it.
    timezone: &str;
    /// Its language, as BCP 47 names it.
    locale: &str;
}

fn registered(reply: Reply<'_>) -> Result<String, ReadError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Registered {
        #[serde(deserialize_with = "or_default")]
        id: String,
    }
    reply.parse::<Registered>().map(|device| device.id)
}

/// What is done to a list of topics.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "lowercase")]
pub enum TopicOp {
    /// Follows these as well.
    Add,
    /// Follows these no more.
    Remove,
    /// Follows these alone.
    Set,
}

#[derive(Serialize)]
struct UserUpdate<'a> {
    user: &'a str,
}

#[derive(Serialize)]
struct MetaUpdate<'a> {
    meta: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct TopicsUpdate<'a> {
    op: TopicOp,
    topics: &'a [&'a str],
}

#[derive(Serialize)]
struct TimezoneUpdate<'a> {
    timezone: &'a str,
}

#[derive(Serialize)]
struct LocaleUpdate<'a> {
    locale: &'a str,
}

request! {
    /// Changes devices. The commercial server, v5 and later.
    ///
    /// Wire: `device_update`, docs/protocols/cent.md, 7.19.
    DeviceUpdate("device_update", Yes) -> () = Reply::nothing;
    /// Names none yet.
    new();
    /// The devices with these ids.
    ids: &[&str];
    /// The devices of these users.
    users: &[&str];
}

impl DeviceUpdate {
    /// Gives them to another user.
    pub fn user(mut self, user: &str) -> Self {
        self.0.put("user_update", &UserUpdate { user });
        self
    }

    /// Replaces what the application keeps of them.
    pub fn meta(mut self, meta: &BTreeMap<String, String>) -> Self {
        self.0.put("meta_update", &MetaUpdate { meta });
        self
    }

    /// Changes the topics they follow.
    pub fn topics(mut self, op: TopicOp, topics: &[&str]) -> Self {
        self.0.put("topics_update", &TopicsUpdate { op, topics });
        self
    }

    /// Sets their time zone.
    pub fn timezone(mut self, timezone: &str) -> Self {
        self.0.put("timezone_update", &TimezoneUpdate { timezone });
        self
    }

    /// Sets their language.
    pub fn locale(mut self, locale: &str) -> Self {
        self.0.put("locale_update", &LocaleUpdate { locale });
        self
    }
}

request! {
    /// Removes devices. The commercial server, v5 and later.
    ///
    /// Wire: `device_remove`, docs/protocols/cent.md, 7.19.
    DeviceRemove("device_remove", Yes) -> () = Reply::nothing;
    /// Names none yet.
    new();
    /// The devices with these ids.
    ids: &[&str];
    /// The devices of these users.
    users: &[&str];
}

/// Which devices; an empty list leaves them all.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeviceFilter {
    /// With these ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Of these users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// That follow one of these topics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Pushed to by these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// Of these platforms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
}

request! {
    /// Asks for devices, a page at a time. The commercial server, v5 and later.
    ///
    /// Wire: `device_list`, docs/protocols/cent.md, 7.19.
    DeviceList("device_list", Yes) -> DeviceListResult = Reply::parse;
    /// Asks for all of them.
    new();
    /// Only these.
    filter: &DeviceFilter;
    /// Also how many there are.
    include_total_count: bool;
    /// Also what the application keeps of them.
    include_meta: bool;
    /// Also the topics they follow.
    include_topics: bool;
    /// Also the keys of web push. v6.8.2 and later.
    include_webpush_keys: bool;
    /// Goes on where the last page ended.
    cursor: &str;
    /// At most so many.
    limit: u32;
}

/// A page of devices.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct DeviceListResult {
    /// The devices.
    #[serde(deserialize_with = "or_default")]
    pub items: Vec<Device>,
    /// Where the next page begins; empty after the last.
    #[serde(deserialize_with = "or_default")]
    pub next_cursor: String,
    /// How many there are, if that was asked.
    pub total_count: Option<u64>,
}

/// A device.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
#[serde(default)]
pub struct Device {
    /// Its id.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// What it is.
    #[serde(deserialize_with = "or_default")]
    pub platform: String,
    /// Who pushes to it.
    #[serde(deserialize_with = "or_default")]
    pub provider: String,
    /// By which token.
    #[serde(deserialize_with = "or_default")]
    pub token: String,
    /// The user it belongs to.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// When it was registered, in seconds since 1970.
    pub created_at: Option<i64>,
    /// When it was changed last.
    pub updated_at: Option<i64>,
    /// What the application keeps of it, if that was asked.
    #[serde(deserialize_with = "or_default")]
    pub meta: BTreeMap<String, String>,
    /// The topics it follows, if that was asked.
    #[serde(deserialize_with = "or_default")]
    pub topics: Vec<String>,
    /// Its time zone.
    pub timezone: Option<String>,
    /// Its language.
    pub locale: Option<String>,
}

/// Which topics of devices; an empty list leaves them all.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeviceTopicFilter {
    /// Of devices with these ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_ids: Vec<String>,
    /// Of devices pushed to by these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_providers: Vec<String>,
    /// Of devices of these platforms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_platforms: Vec<String>,
    /// Of devices of these users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_users: Vec<String>,
    /// These topics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Topics that begin so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic_prefix: String,
}

request! {
    /// Asks which devices follow which topics. The commercial server, v5 and later.
    ///
    /// Wire: `device_topic_list`, docs/protocols/cent.md, 7.19.
    DeviceTopicList("device_topic_list", Yes) -> DeviceTopicListResult = Reply::parse;
    /// Asks for all of them.
    new();
    /// Only these.
    filter: &DeviceTopicFilter;
    /// Also how many there are.
    include_total_count: bool;
    /// Also the devices.
    include_device: bool;
    /// Goes on where the last page ended.
    cursor: &str;
    /// At most so many.
    limit: u32;
}

/// A page of topics that devices follow.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct DeviceTopicListResult {
    /// The topics.
    #[serde(deserialize_with = "or_default")]
    pub items: Vec<DeviceTopic>,
    /// Where the next page begins; empty after the last.
    #[serde(deserialize_with = "or_default")]
    pub next_cursor: String,
    /// How many there are, if that was asked.
    pub total_count: Option<u64>,
}

/// A topic that a device follows.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
#[serde(default)]
pub struct DeviceTopic {
    /// Its own id.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// The topic.
    #[serde(deserialize_with = "or_default")]
    pub topic: String,
    /// The device, if that was asked.
    pub device: Option<Device>,
}

request! {
    /// Changes the topics that a device follows. The commercial server, v5 and
    /// later.
    ///
    /// Wire: `device_topic_update`, docs/protocols/cent.md, 7.19.
    DeviceTopicUpdate("device_topic_update", Yes) -> () = Reply::nothing;
    /// Names the device, and what is done with which topics.
    new(device_id: &str, op: TopicOp, topics: &[&str]);
    /// The user it must belong to. v6.8.2 and later.
    user: &str;
}

/// Which topics of users; an empty list leaves them all.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UserTopicFilter {
    /// Of these users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// These topics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Topics that begin so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic_prefix: String,
}

request! {
    /// Asks which users follow which topics. The commercial server, v5 and later.
    ///
    /// Wire: `user_topic_list`, docs/protocols/cent.md, 7.19.
    UserTopicList("user_topic_list", Yes) -> UserTopicListResult = Reply::parse;
    /// Asks for all of them.
    new();
    /// Only these.
    filter: &UserTopicFilter;
    /// Also how many there are.
    include_total_count: bool;
    /// Goes on where the last page ended.
    cursor: &str;
    /// At most so many.
    limit: u32;
}

/// A page of topics that users follow.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct UserTopicListResult {
    /// The topics.
    #[serde(deserialize_with = "or_default")]
    pub items: Vec<UserTopic>,
    /// Where the next page begins; empty after the last.
    #[serde(deserialize_with = "or_default")]
    pub next_cursor: String,
    /// How many there are, if that was asked.
    pub total_count: Option<u64>,
}

/// A topic that a user follows.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
#[serde(default)]
pub struct UserTopic {
    /// Its own id.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// The user's id.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// The topic.
    #[serde(deserialize_with = "or_default")]
    pub topic: String,
}

request! {
    /// Changes the topics that a user follows. The commercial server, v5 and later.
    ///
    /// Wire: `user_topic_update`, docs/protocols/cent.md, 7.19.
    UserTopicUpdate("user_topic_update", Yes) -> () = Reply::nothing;
    /// Names the user, and what is done with which topics.
    new(user: &str, op: TopicOp, topics: &[&str]);
}
