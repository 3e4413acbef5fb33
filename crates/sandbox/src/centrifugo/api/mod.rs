//! The methods of v2 and later, whatever dialect asks for them. v1 and v0 use
//! the same hub and have results of their own.

pub(super) mod channels;
mod info;
mod publish;
pub(super) mod users;

use super::{
    config::CentrifugoConfig,
    fault::{Code, Fault},
    hub::Hub,
    json::{Fields, write},
};

pub(super) use info::metrics;

/// The methods that are known, in the order that decides which of several in
/// one command of a batch is carried out. Their numbers in the Stream dialect
/// are beside them.
pub(super) const METHODS: [(&str, u32); 13] = [
    ("publish", 0),
    ("broadcast", 1),
    ("subscribe", 11),
    ("unsubscribe", 2),
    ("disconnect", 3),
    ("presence", 4),
    ("presence_stats", 5),
    ("history", 6),
    ("history_remove", 7),
    ("info", 9),
    ("rpc", 10),
    ("refresh", 12),
    ("channels", 8),
];

/// Methods of the commercial server whose names a server knows.
const COMMERCIAL: [&str; 19] = [
    "update_user_status",
    "get_user_status",
    "delete_user_status",
    "block_user",
    "unblock_user",
    "revoke_token",
    "invalidate_user_tokens",
    "device_register",
    "device_update",
    "device_remove",
    "device_list",
    "device_topic_list",
    "device_topic_update",
    "user_topic_list",
    "user_topic_update",
    "send_push_notification",
    "update_push_status",
    "cancel_push",
    "connections",
];

/// Carries methods out as one release does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Api<'a> {
    pub(super) hub: &'a Hub,
    pub(super) config: &'a CentrifugoConfig,
}

/// The result as JSON; a method without one has none.
pub(super) type Answer = Result<Option<String>, Fault>;

/// Whether a release has `method`.
pub(super) fn is_method(release: (u8, u8), method: &str) -> bool {
    let since = match method {
        "rpc" => (2, 6),
        "subscribe" | "refresh" => (3, 0),
        _ => (2, 0),
    };
    METHODS.iter().any(|(name, _)| *name == method) && release >= since
}

impl Api<'_> {
    pub(super) const fn release(&self) -> (u8, u8) {
        self.config.release
    }

    /// Whether the release has `method`.
    pub(super) fn has(&self, method: &str) -> bool {
        is_method(self.release(), method)
    }

    /// Whether the release knows the name of a method that it does not have.
    pub(super) fn knows_of(&self, method: &str) -> bool {
        match method {
            "user_connections" => self.release().0 == 3,
            "connections" => self.release().0 > 3,
            _ => self.release().0 > 2 && COMMERCIAL.contains(&method),
        }
    }

    /// Carries out one method.
    pub(super) fn run(&self, method: &str, params: &Fields) -> Answer {
        match method {
            _ if !self.has(method) => Err(Fault::Error(Code::MethodNotFound)),
            "publish" => self.publish(params),
            "broadcast" => self.broadcast(params),
            "subscribe" => self.subscribe(params),
            "unsubscribe" => self.unsubscribe(params),
            "disconnect" => self.disconnect(params),
            "refresh" => self.refresh(params),
            "presence" => self.presence(params),
            "presence_stats" => self.presence_stats(params),
            "history" => self.history(params),
            "history_remove" => self.history_remove(params),
            "channels" => self.channels(params),
            "info" => Ok(Some(write(&self.info()))),
            _ => {
                let named = !params.text("method")?.is_empty();
                Err(Fault::Error(if named { Code::MethodNotFound } else { Code::BadRequest }))
            }
        }
    }
}
