//! Push notifications.

use serde::{Deserialize, Serialize};

use super::DeviceFilter;
use crate::{
    error::Error,
    proto::Params,
    requests::{
        Idempotent, ReadError, Reply, Request, channel::or_default, define::request, sealed::Sealed,
    },
    version::Version,
};

/// Who gets a notification: one of these.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum PushRecipient {
    /// Tokens of Apple's service.
    ApnsTokens(Vec<String>),
    /// A condition over topics of Google's service.
    FcmCondition(String),
    /// Tokens of Google's service.
    FcmTokens(Vec<String>),
    /// A topic of Google's service.
    FcmTopic(String),
    /// Devices that are registered.
    Filter(DeviceFilter),
    /// A condition over topics of Huawei's service.
    HmsCondition(String),
    /// Tokens of Huawei's service.
    HmsTokens(Vec<String>),
    /// A topic of Huawei's service.
    HmsTopic(String),
    /// Tokens of web push. v6.8.2 and later.
    WebpushTokens(Vec<String>),
}

/// Sends a push notification; returns its uid. The commercial server, v5 and later.
///
/// Wire: `send_push_notification`, docs/protocols/cent.md, 7.20.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by a client"]
pub struct SendPushNotification {
    params: Params,
    webpush: bool,
}

impl SendPushNotification {
    /// Says who gets what. The notification is an object with a member for each
    /// service (`fcm`, `hms`, `apns`, `webpush`), in that service's own form, and
    /// perhaps `expire_at`; of any serde type, or raw JSON.
    pub fn new<T: Serialize + ?Sized>(recipient: &PushRecipient, notification: &T) -> Self {
        let mut params = Params::default();
        params.put("recipient", recipient);
        params.put("notification", notification);
        Self { params, webpush: matches!(recipient, PushRecipient::WebpushTokens(_)) }
    }

    fn with<T: Serialize + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        self.params.put(name, value);
        self
    }

    /// Sets the uid, by which it can be cancelled; one that exists is error 113.
    pub fn uid(self, uid: &str) -> Self {
        self.with("uid", uid)
    }

    /// Sends it at this second since 1970.
    pub fn send_at(self, seconds: i64) -> Self {
        self.with("send_at", &seconds)
    }

    /// Rather sends it twice than not at all.
    pub fn optimize_for_reliability(self) -> Self {
        self.with("optimize_for_reliability", &true)
    }

    /// Bounds how much, and when of the day, a device gets: an object with
    /// `rate_limit` and `time_limit`.
    pub fn limit_strategy<T: Serialize + ?Sized>(self, strategy: &T) -> Self {
        self.with("limit_strategy", strategy)
    }

    /// Names it for counting.
    pub fn analytics_uid(self, uid: &str) -> Self {
        self.with("analytics_uid", uid)
    }

    /// Translations of its texts: an object by language.
    pub fn localizations<T: Serialize + ?Sized>(self, localizations: &T) -> Self {
        self.with("localizations", localizations)
    }

    /// Fills what stands in braces.
    pub fn use_templating(self) -> Self {
        self.with("use_templating", &true)
    }

    /// Fills from what is kept of the device, too.
    pub fn use_meta(self) -> Self {
        self.with("use_meta", &true)
    }
}

impl Sealed for SendPushNotification {}

impl Request for SendPushNotification {
    type Reply = String;
    const METHOD: &'static str = "send_push_notification";
    const IDEMPOTENT: Idempotent = Idempotent::No;

    fn params(self, version: Version) -> Result<Params, Error> {
        if self.webpush && version < Version::new(6, 8, 2) {
            return Err(Error::misuse(
                "recipient",
                "tokens of web push came with Centrifugo 6.8.2",
            ));
        }
        Ok(self.params)
    }

    fn read(reply: Reply<'_>) -> Result<String, ReadError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Sent {
            #[serde(deserialize_with = "or_default")]
            uid: String,
        }
        reply.parse::<Sent>().map(|sent| sent.uid)
    }
}

/// Says what became of a notification. The commercial server, v5 and later.
///
/// Wire: `update_push_status`, docs/protocols/cent.md, 7.20.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by a client"]
pub struct UpdatePushStatus {
    uid: String,
    params: Params,
}

impl UpdatePushStatus {
    /// Names the notification by its uid for counting, and what became of it:
    /// `delivered` or `interacted`.
    pub fn new(analytics_uid: &str, status: &str) -> Self {
        let mut params = Params::default();
        params.put("status", status);
        Self { uid: analytics_uid.to_owned(), params }
    }

    /// On which device.
    pub fn device_id(mut self, id: &str) -> Self {
        self.params.put("device_id", id);
        self
    }

    /// Which message, as its service names it.
    pub fn msg_id(mut self, id: &str) -> Self {
        self.params.put("msg_id", id);
        self
    }
}

impl Sealed for UpdatePushStatus {}

impl Request for UpdatePushStatus {
    type Reply = ();
    const METHOD: &'static str = "update_push_status";
    const IDEMPOTENT: Idempotent = Idempotent::Yes;

    fn params(mut self, version: Version) -> Result<Params, Error> {
        let is_new = version >= Version::new(5, 3, 0);
        self.params.put(if is_new { "analytics_uid" } else { "uid" }, &self.uid);
        Ok(self.params)
    }

    fn read(reply: Reply<'_>) -> Result<(), ReadError> {
        reply.nothing()
    }
}

request! {
    /// Cancels a notification that is not sent yet. The commercial server, v5.0.3
    /// and later.
    ///
    /// Wire: `cancel_push`, docs/protocols/cent.md, 7.20.
    CancelPush("cancel_push", Yes) -> () = Reply::nothing;
    /// Names it by its uid.
    new(uid: &str);
}
