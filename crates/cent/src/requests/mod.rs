//! Every method with its parameters and its result, the same for all
//! generations (docs/protocols/cent.md, 6 and 7).

mod broadcast;
mod channel;
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
pub use publish::{Publish, Published};
pub use server::{Info, Node, Rpc};
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
    fn is_idempotent(&self) -> bool {
        false
    }

    #[doc(hidden)]
    fn params(self, version: Version) -> Result<Params, Error>;

    #[doc(hidden)]
    fn read(reply: Reply<'_>) -> Result<Self::Reply, ReadError>;
}

pub(crate) mod sealed {
    /// Only this crate knows how its types are encoded.
    pub trait Sealed {}
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
            // v0 has no wrapper around it.
            0 => Body { data: self.result.ok() },
            _ => self.parse()?,
        };
        self.nothing()?;
        let Some(data) = body.data else { return Ok(T::default()) };
        let value: Option<T> = serde_json::from_str(data.get()).map_err(ReadError::Shape)?;
        Ok(value.unwrap_or_default())
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
    Ok(Command { method: method.into(), params: params.into_object()? })
}

/// Map of a result in which every value may be `null`.
pub(crate) type Nullable<T> = BTreeMap<String, Option<T>>;
