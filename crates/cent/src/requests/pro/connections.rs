//! A user's connections.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    error::Error,
    proto::Params,
    requests::Idempotent,
    requests::{Nullable, ReadError, Reply, Request, channel::or_default, sealed::Sealed},
    version::Version,
};

/// Asks for connections: of a user, or those that an expression holds for. The
/// commercial server, v3 and later; in v3 it is called `user_connections`.
///
/// Wire: `connections`, docs/protocols/cent.md, 7.17.
#[derive(Clone, Debug, Default)]
#[must_use = "a request is sent by a client"]
pub struct Connections(Params);

impl Connections {
    /// The connections of `user`.
    pub fn of(user: &str) -> Self {
        let mut params = Params::default();
        params.put("user", user);
        Self(params)
    }

    /// The connections for which `expression` (CEL) holds. v4 and later.
    pub fn matching(expression: &str) -> Self {
        Self::default().expression(expression)
    }

    /// Of these, those for which `expression` (CEL) holds. v4 and later.
    pub fn expression(mut self, expression: &str) -> Self {
        self.0.put("expression", expression);
        self
    }

    /// Those whose labels a filter holds for, of any serde type. v6.8.2 and later.
    pub fn label_filter<T: Serialize + ?Sized>(mut self, filter: &T) -> Self {
        self.0.put("label_filter", filter);
        self
    }
}

/// A connection.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct ConnectionInfo {
    /// The client's program.
    pub app_name: Option<String>,
    /// Its version.
    pub app_version: Option<String>,
    /// How it is connected, e.g. `websocket`.
    pub transport: Option<String>,
    /// `json` or `protobuf`.
    pub protocol: Option<String>,
    /// The user's id. v4 and later.
    pub user: Option<String>,
    /// What the server knows of it.
    #[serde(deserialize_with = "or_default")]
    pub state: ConnectionState,
    /// When it was made, in milliseconds since 1970.
    pub connected_at_ms: Option<i64>,
    /// How long a ping takes, in milliseconds; -1 if that is not known. v6.3 and
    /// later.
    pub ping_pong_latency_ms: Option<i64>,
    /// Its labels. v6.8.2 and later.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    // v3 has these beside the rest.
    meta: Option<Box<RawValue>>,
    token_uid: Option<String>,
    token_issued_at: Option<i64>,
}

/// What the server knows of a connection.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct ConnectionState {
    /// The channels it is subscribed to. v4 and later.
    #[serde(deserialize_with = "names")]
    pub channels: Vec<String>,
    /// The token that it was made with.
    pub connection_token: Option<TokenInfo>,
    /// The tokens of its subscriptions, by channel. v4 and later.
    #[serde(deserialize_with = "or_default")]
    pub subscription_tokens: BTreeMap<String, TokenInfo>,
    /// What its token says that clients do not see.
    pub meta: Option<Box<RawValue>>,
}

/// A token.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
#[serde(default)]
pub struct TokenInfo {
    /// Its `jti`.
    pub uid: Option<String>,
    /// When it was issued, in seconds since 1970.
    pub issued_at: Option<i64>,
}

/// v4.0.0 has a list, later releases a map.
fn names<'de, D>(deserializer: D) -> Result<Vec<String>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Channels {
        Listed(Vec<String>),
        Mapped(BTreeMap<String, IgnoredAny>),
    }
    Ok(match Option::<Channels>::deserialize(deserializer)? {
        Some(Channels::Listed(names)) => names,
        Some(Channels::Mapped(all)) => all.into_keys().collect(),
        None => Vec::new(),
    })
}

impl ConnectionInfo {
    /// v3's fields to where later versions have them.
    fn settled(mut self) -> Self {
        if self.token_uid.is_some() || self.token_issued_at.is_some() {
            let (uid, issued_at) = (self.token_uid.take(), self.token_issued_at.take());
            self.state.connection_token.get_or_insert(TokenInfo { uid, issued_at });
        }
        if let Some(meta) = self.meta.take() {
            self.state.meta.get_or_insert(meta);
        }
        self
    }
}

impl Sealed for Connections {}

impl Request for Connections {
    type Reply = BTreeMap<String, ConnectionInfo>;
    const METHOD: &'static str = "connections";
    const IDEMPOTENT: Idempotent = Idempotent::Yes;

    fn method(&self, version: Version) -> &'static str {
        if version.major() < 4 { "user_connections" } else { Self::METHOD }
    }

    fn params(self, _version: Version) -> Result<Params, Error> {
        Ok(self.0)
    }

    fn read(reply: Reply<'_>) -> Result<Self::Reply, ReadError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Found {
            #[serde(deserialize_with = "or_default")]
            connections: Nullable<ConnectionInfo>,
        }
        let found = reply.parse::<Found>()?.connections.into_iter();
        Ok(found.map(|(id, info)| (id, info.unwrap_or_default().settled())).collect())
    }
}
