//! What a client asks for (docs/protocols/satori-rtm.md, 2 and 3).

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Handshake {
    pub(super) method: String,
    pub(super) data: HandshakeData,
}

#[derive(Debug, Deserialize)]
pub(super) struct HandshakeData {
    pub(super) role: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Authenticate {
    pub(super) method: String,
    pub(super) credentials: Credentials,
}

#[derive(Debug, Deserialize)]
pub(super) struct Credentials {
    pub(super) hash: String,
}

/// `rtm/publish` and `rtm/write`, but for the message.
#[derive(Debug, Deserialize)]
pub(super) struct Publish {
    pub(super) channel: String,
    /// Compare-and-set, for writes.
    #[serde(default)]
    pub(super) position: Option<String>,
    /// Whether the answer tells what was there before.
    #[serde(default)]
    pub(super) read: Option<String>,
}

/// `rtm/read` and `rtm/delete`.
#[derive(Debug, Deserialize)]
pub(super) struct Value {
    pub(super) channel: String,
    #[serde(default)]
    pub(super) position: Option<String>,
    #[serde(default)]
    pub(super) purge: bool,
    #[serde(default)]
    pub(super) read: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Subscribe {
    #[serde(default)]
    pub(super) channel: Option<String>,
    #[serde(default)]
    pub(super) subscription_id: Option<String>,
    #[serde(default)]
    pub(super) filter: Option<String>,
    #[serde(default)]
    pub(super) position: Option<String>,
    #[serde(default)]
    pub(super) history: Option<History>,
    #[serde(default)]
    pub(super) fast_forward: bool,
    #[serde(default)]
    pub(super) force: bool,
    #[serde(default)]
    pub(super) only: Option<String>,
    #[serde(default)]
    pub(super) period: Option<u64>,
    #[serde(default)]
    pub(super) prefix: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct History {
    #[serde(default)]
    pub(super) count: Option<u64>,
    #[serde(default)]
    pub(super) age: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Unsubscribe {
    pub(super) subscription_id: String,
}
