//! `broadcast`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Idempotent, ReadError, Reply, Request,
    channel::or_default,
    publish::{Content, Published, content_options},
    sealed::Sealed,
};
use crate::{
    error::{ApiError, Error},
    proto::Params,
    version::Version,
};

/// Publishes the same into several channels. v1.2 and later.
///
/// Wire: `broadcast`, docs/protocols/cent.md, 7.2.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by a client"]
pub struct Broadcast(Content);

/// What came of one channel of a broadcast.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Broadcasted {
    /// The channel has it.
    Published(Published),
    /// The channel does not have it.
    Refused(ApiError),
    /// v1 and v2 stop at the first channel that they refuse, and do not say
    /// which: this one may have it or not.
    Unknown(ApiError),
}

impl Broadcast {
    /// A publication of `data` into each of `channels`.
    pub fn new<T: Serialize + ?Sized>(channels: &[&str], data: &T) -> Self {
        let mut content = Content::default();
        content.params.put("channels", channels);
        content.params.put("data", data);
        Self(content)
    }

    /// A publication of JSON as bytes in base64. v3 and later.
    pub fn base64(channels: &[&str], data: &[u8]) -> Self {
        let mut content = Content::default();
        content.params.put("channels", channels);
        content.put_bytes(data);
        Self(content)
    }

    content_options!();
}

impl Sealed for Broadcast {}

impl Request for Broadcast {
    type Reply = Vec<Broadcasted>;
    const METHOD: &'static str = "broadcast";
    const IDEMPOTENT: Idempotent = Idempotent::WithKey;
    const COMBINES: bool = true;

    fn params(self, _version: Version) -> Result<Params, Error> {
        self.0.into_params()
    }

    fn read(reply: Reply<'_>) -> Result<Vec<Broadcasted>, ReadError> {
        if reply.version.major() >= 3 {
            return responses(reply);
        }
        let channels = sent_to(reply.params).map_err(ReadError::Shape)?;
        let outcome = match reply.result {
            // Nobody is there to whom it could be told.
            Err(error) if channels == 0 => return Err(ReadError::Api(error.clone())),
            Ok(_) => Broadcasted::Published(Published::default()),
            Err(error) => Broadcasted::Unknown(error.clone()),
        };
        Ok(vec![outcome; channels])
    }
}

/// How many channels the parameters name.
fn sent_to(params: &str) -> Result<usize, serde_json::Error> {
    #[derive(Deserialize)]
    struct To {
        channels: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_str(params).map(|to: To| to.channels.len())
}

fn responses(reply: Reply<'_>) -> Result<Vec<Broadcasted>, ReadError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Responses {
        #[serde(deserialize_with = "or_default")]
        responses: Vec<Response>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Response {
        error: Option<Code>,
        result: Option<Published>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Code {
        code: u32,
        #[serde(deserialize_with = "or_default")]
        message: String,
        #[serde(deserialize_with = "or_default")]
        temporary: bool,
    }
    let responses: Responses = reply.parse()?;
    let channels = sent_to(reply.params).map_err(ReadError::Shape)?;
    if responses.responses.len() != channels {
        let told = format!("{} outcomes for {channels} channels", responses.responses.len());
        return Err(ReadError::Shape(serde::de::Error::custom(told)));
    }
    let outcome = |response: Response| match response.error {
        Some(Code { code, message, temporary }) => {
            let mut error = ApiError::new(code, message);
            error.temporary |= temporary;
            Broadcasted::Refused(error)
        }
        None => Broadcasted::Published(response.result.unwrap_or_default()),
    };
    Ok(responses.responses.into_iter().map(outcome).collect())
}
