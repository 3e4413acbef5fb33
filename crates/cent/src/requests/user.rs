//! What is done to a user's connections: `subscribe`, `unsubscribe`,
//! `disconnect`, `refresh`.

use serde::Serialize;

use super::{Position, ReadError, Reply, Request, sealed::Sealed};
use crate::{error::Error, proto::Params, version::Version};

/// Whose connections a call is about. The server takes the connections of the
/// user first, and only then looks for a client or session id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum User<'a> {
    /// All connections without a user. v3.2 and later.
    Anonymous,
    /// The user with this id, which is not empty.
    Id(&'a str),
}

impl<'a> From<&'a str> for User<'a> {
    fn from(id: &'a str) -> Self {
        Self::Id(id)
    }
}

impl<'a> From<&'a String> for User<'a> {
    fn from(id: &'a String) -> Self {
        Self::Id(id)
    }
}

/// Parameters that begin with a user.
#[derive(Clone, Debug)]
struct OfUser {
    params: Params,
    anonymous: bool,
    /// Why it must not be sent.
    refused: Option<&'static str>,
}

impl OfUser {
    fn new(user: User<'_>) -> Self {
        let mut params = Params::default();
        let (id, anonymous) = match user {
            User::Anonymous => ("", true),
            User::Id(id) => (id, false),
        };
        params.put("user", id);
        let refused = (id.is_empty() && !anonymous).then_some(
            "an empty user means all anonymous connections: say User::Anonymous if that is meant",
        );
        Self { params, anonymous, refused }
    }

    fn into_params(self, version: Version) -> Result<Params, Error> {
        if let Some(reason) = self.refused {
            return Err(Error::misuse("user", reason));
        }
        if self.anonymous && version < Version::new(3, 2, 0) {
            let reason = "anonymous connections can be meant from Centrifugo 3.2 on";
            return Err(Error::misuse("user", reason));
        }
        Ok(self.params)
    }
}

macro_rules! of_user {
    ($name:ident, $method:literal) => {
        impl Sealed for $name {}

        impl Request for $name {
            type Reply = ();
            const METHOD: &'static str = $method;
            const COMBINES: bool = true;

            fn params(self, version: Version) -> Result<Params, Error> {
                self.0.into_params(version)
            }

            fn read(reply: Reply<'_>) -> Result<(), ReadError> {
                reply.nothing()
            }
        }

        impl $name {
            /// Only the connection with this client id. v3 and later.
            pub fn client(mut self, client: &str) -> Self {
                self.0.params.put("client", client);
                self
            }

            /// Only the connection with this session id. v3.2 and later.
            pub fn session(mut self, session: &str) -> Self {
                self.0.params.put("session", session);
                self
            }
        }
    };
}

/// Subscribes a user's connections to a channel. v3 and later.
///
/// Wire: `subscribe`, docs/protocols/cent.md, 7.3.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by a client"]
pub struct Subscribe(OfUser);

of_user!(Subscribe, "subscribe");

/// Options of a channel that one subscription has otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Override {
    /// v4 and later.
    ForcePositioning(bool),
    /// v4 and later.
    ForcePushJoinLeave(bool),
    /// v4 and later.
    ForceRecovery(bool),
    /// Whether joins and leaves are told.
    JoinLeave(bool),
    /// v3 only.
    Position(bool),
    /// Whether the subscription is seen in the presence.
    Presence(bool),
    /// v3 only.
    Recover(bool),
}

impl Subscribe {
    /// Subscribes all connections of `user` to `channel`.
    pub fn new<'a>(user: impl Into<User<'a>>, channel: &str) -> Self {
        let mut of = OfUser::new(user.into());
        of.params.put("channel", channel);
        Self(of)
    }

    /// Ends the subscription at this second since 1970.
    pub fn expire_at(mut self, seconds: i64) -> Self {
        self.0.params.put("expire_at", &seconds);
        self
    }

    /// What others see of the subscriber.
    pub fn info<T: Serialize + ?Sized>(mut self, info: &T) -> Self {
        self.0.params.put("info", info);
        self
    }

    /// What the subscriber is given with the subscription.
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        self.0.params.put("data", data);
        self
    }

    /// Begins with what came after this position.
    pub fn recover_since(mut self, position: &Position) -> Self {
        self.0.params.put("recover_since", position);
        self
    }

    /// Changes options of the channel for this subscription.
    pub fn overrides(mut self, overrides: &[Override]) -> Self {
        #[derive(Serialize)]
        struct Value {
            value: bool,
        }
        for option in overrides {
            let (name, value) = match *option {
                Override::ForcePositioning(value) => ("override.force_positioning", value),
                Override::ForcePushJoinLeave(value) => ("override.force_push_join_leave", value),
                Override::ForceRecovery(value) => ("override.force_recovery", value),
                Override::JoinLeave(value) => ("override.join_leave", value),
                Override::Position(value) => ("override.position", value),
                Override::Presence(value) => ("override.presence", value),
                Override::Recover(value) => ("override.recover", value),
            };
            self.0.params.put(name, &Value { value });
        }
        self
    }
}

/// Ends subscriptions of a user's connections.
///
/// Wire: `unsubscribe`, docs/protocols/cent.md, 7.4.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by a client"]
pub struct Unsubscribe(OfUser);

of_user!(Unsubscribe, "unsubscribe");

impl Unsubscribe {
    /// Ends the subscriptions of `user` to `channel`.
    pub fn new<'a>(user: impl Into<User<'a>>, channel: &str) -> Self {
        let mut of = OfUser::new(user.into());
        of.params.put("channel", channel);
        Self(of)
    }

    /// Ends all subscriptions of `user`.
    pub fn all<'a>(user: impl Into<User<'a>>) -> Self {
        Self(OfUser::new(user.into()))
    }
}

/// Closes a user's connections.
///
/// Wire: `disconnect`, docs/protocols/cent.md, 7.5.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by a client"]
pub struct Disconnect(OfUser);

of_user!(Disconnect, "disconnect");

impl Disconnect {
    /// Closes all connections of `user`.
    pub fn new<'a>(user: impl Into<User<'a>>) -> Self {
        Self(OfUser::new(user.into()))
    }

    /// Keeps the connections with these client ids. v3 and later.
    pub fn whitelist(mut self, clients: &[&str]) -> Self {
        self.0.params.put("whitelist", clients);
        self
    }

    /// Says why: a code from 3001 to 4999, and a text of at most 123 bytes; any
    /// other closes without a word. v3 and later.
    pub fn reason(mut self, code: u32, reason: &str) -> Self {
        #[derive(Serialize)]
        struct Why<'a> {
            code: u32,
            reason: &'a str,
        }
        if !(3001..=4999).contains(&code) {
            self.0.refused.get_or_insert("the code to disconnect with is 3001 to 4999");
        } else if reason.len() > 123 {
            self.0.refused.get_or_insert("the reason to disconnect with has at most 123 bytes");
        }
        self.0.params.put("disconnect", &Why { code, reason });
        self
    }
}

/// Prolongs or ends the life of a user's connections. v3 and later.
///
/// Wire: `refresh`, docs/protocols/cent.md, 7.6.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by a client"]
pub struct Refresh(OfUser);

of_user!(Refresh, "refresh");

impl Refresh {
    /// Refreshes all connections of `user`.
    pub fn new<'a>(user: impl Into<User<'a>>) -> Self {
        Self(OfUser::new(user.into()))
    }

    /// Closes them as expired.
    pub fn expired(mut self) -> Self {
        self.0.params.put("expired", &true);
        self
    }

    /// Lets them live until this second since 1970; one that has passed closes
    /// them.
    pub fn expire_at(mut self, seconds: i64) -> Self {
        self.0.params.put("expire_at", &seconds);
        self
    }

    /// Replaces what others see of the connection.
    pub fn info<T: Serialize + ?Sized>(mut self, info: &T) -> Self {
        self.0.params.put("info", info);
        self
    }
}
