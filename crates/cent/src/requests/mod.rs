//! Every method with its parameters and its result, the same for all
//! generations (docs/protocols/cent.md, 6 and 7).

mod broadcast;
mod channel;
mod define;
mod map;
mod pro;
mod publish;
mod server;
mod user;

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub use broadcast::{Broadcast, Broadcasted};
pub use channel::{
    ChannelInfo, Channels, ClientInfo, History, HistoryRemove, HistoryResult, Order, Position,
    Presence, PresenceStats, PresenceStatsResult, Publication,
};
pub use map::{
    KeyMode, MapClear, MapEntries, MapEntry, MapPublish, MapPublished, MapReadState, MapReadStream,
    MapRemove, MapStats, MapStatsResult, SharedPollPublish,
};
pub use pro::{
    BlockUser, CancelPush, ConnectionInfo, ConnectionState, Connections, DeleteUserStatus, Device,
    DeviceFilter, DeviceList, DeviceListResult, DeviceRegister, DeviceRemove, DeviceTopic,
    DeviceTopicFilter, DeviceTopicList, DeviceTopicListResult, DeviceTopicUpdate, DeviceUpdate,
    GetUserStatus, InvalidateUserTokens, PushRecipient, RevokeToken, SendPushNotification,
    TokenInfo, TopicOp, UnblockUser, UpdatePushStatus, UpdateUserStatus, UserStatus, UserTopic,
    UserTopicFilter, UserTopicList, UserTopicListResult, UserTopicUpdate,
};
pub use publish::{Publish, Published};
pub use server::{Info, Node, NodeInfo, Rpc};
pub use user::{Disconnect, Override, Refresh, Subscribe, Unsubscribe, User};

use crate::{
    error::{ApiError, Error},
    proto::{Command, Params, guard},
    version::Version,
};

/// A call that Centrifugo knows: a method, its parameters, and how its result is
/// read.
///
/// Implemented by the types of this crate only.
pub trait Request: sealed::Sealed {
    /// What a success returns.
    type Reply;

    #[doc(hidden)]
    const METHOD: &'static str;

    /// The method's name where the version has another one for the same.
    #[doc(hidden)]
    fn method(&self, _version: Version) -> &'static str {
        Self::METHOD
    }

    /// Whether carrying it out twice does what once does.
    #[doc(hidden)]
    const IDEMPOTENT: Idempotent = Idempotent::No;

    /// Whether it may travel with other calls.
    #[doc(hidden)]
    const COMBINES: bool = false;

    #[doc(hidden)]
    fn params(self, version: Version) -> Result<Params, Error>;

    #[doc(hidden)]
    fn read(reply: Reply<'_>) -> Result<Self::Reply, ReadError>;
}

pub(crate) mod sealed {
    /// Only this crate knows how its types are encoded.
    pub trait Sealed {}
}

/// When a call may be made again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[doc(hidden)]
#[non_exhaustive]
pub enum Idempotent {
    No,
    /// If it has an idempotency key that the server looks at.
    WithKey,
    Yes,
}

/// A result as the server wrote it, and what is needed to read it.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Reply<'a> {
    pub(crate) version: Version,
    pub(crate) result: Result<&'a RawValue, &'a ApiError>,
    /// The parameters that were sent.
    pub(crate) params: &'a str,
}

/// Why a result was not read.
#[derive(Debug)]
#[doc(hidden)]
#[non_exhaustive]
pub enum ReadError {
    Api(ApiError),
    Shape(serde_json::Error),
}

impl<'a> Reply<'a> {
    /// Reads a result into `T`; `null` is the empty result.
    pub(crate) fn parse<T: Default + Deserialize<'a>>(self) -> Result<T, ReadError> {
        let result = self.result.map_err(|error| ReadError::Api(error.clone()))?;
        let value: Option<T> = serde_json::from_str(result.get()).map_err(ReadError::Shape)?;
        Ok(value.unwrap_or_default())
    }

    /// A success without a result.
    pub(crate) fn nothing(self) -> Result<(), ReadError> {
        self.result.map(drop).map_err(|error| ReadError::Api(error.clone()))
    }

    /// v1 puts results into `data` of the body.
    pub(crate) fn parse_data<T: Default + DeserializeOwned>(self) -> Result<T, ReadError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Body<'a> {
            #[serde(borrow)]
            data: Option<&'a RawValue>,
        }
        let body: Body<'a> = match self.version.major() {
            // The Python server has no wrapper around it, Centrifugo 0.x has.
            0 if !self.is_wrapped() => Body { data: self.result.ok() },
            _ => self.parse()?,
        };
        self.nothing()?;
        let Some(data) = body.data else { return Ok(T::default()) };
        let value: Option<T> = serde_json::from_str(data.get()).map_err(ReadError::Shape)?;
        Ok(value.unwrap_or_default())
    }
}

impl Reply<'_> {
    /// Whether the body is an object of nothing but `data` and perhaps `channel`.
    fn is_wrapped(&self) -> bool {
        let body = self.result.map_or("null", RawValue::get);
        let fields: Option<BTreeMap<String, serde::de::IgnoredAny>> =
            serde_json::from_str(body).unwrap_or_default();
        fields.is_some_and(|fields| {
            fields.contains_key("data") && fields.keys().all(|n| n == "data" || n == "channel")
        })
    }
}

/// Checks a request against the version, and makes the command of it. With
/// `relaxed`, fields that the version does not know are left out.
pub(crate) fn command<R: Request>(
    request: R,
    version: Version,
    relaxed: bool,
) -> Result<Command, Error> {
    let method = request.method(version);
    let mut params = request.params(version)?;
    if relaxed {
        params.retain(|field| guard::check(version, method, [field]).is_ok());
    }
    guard::check(version, method, params.names())?;
    let is_idempotent = match R::IDEMPOTENT {
        Idempotent::No => false,
        // Here is only what will be sent.
        Idempotent::WithKey => params.has_text("idempotency_key"),
        Idempotent::Yes => true,
    };
    let (params, combines) = (params.into_object()?, R::COMBINES);
    Ok(Command { method: method.into(), params, is_idempotent, combines })
}

/// Map of a result in which every value may be `null`.
pub(crate) type Nullable<T> = BTreeMap<String, Option<T>>;
