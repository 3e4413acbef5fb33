//! What a client asks for (docs/protocols/satori-rtm.md, 2 and 3).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::reply::{Reply, general_error};

/// The envelope of a request. The id is kept as it came: it goes back with the
/// same type.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) action: String,
    #[serde(default)]
    pub(super) id: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) body: Option<Box<RawValue>>,
}

impl Request {
    /// Reads a request. What is none is answered by an error of the connection:
    /// with the id, if there is one, so that its request is not left waiting.
    pub(super) fn parse(text: &str) -> Result<Self, Reply> {
        #[derive(Deserialize)]
        struct Loose {
            #[serde(default)]
            id: Option<Box<RawValue>>,
        }
        if text.trim_start().starts_with('{')
            && let Ok(request) = serde_json::from_str(text)
        {
            return Ok(request);
        }
        match serde_json::from_str::<Loose>(text) {
            Ok(loose) if text.trim_start().starts_with('{') => {
                let reason = "Invalid PDU: 'action' was invalid";
                Err(general_error("invalid_format", reason, loose.id.as_deref()))
            }
            _ => Err(general_error("json_parse_error", "Invalid PDU: it is no JSON object", None)),
        }
    }

    /// Reads the body as `T`.
    pub(super) fn body<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ()> {
        let text = self.body.as_ref().map_or("{}", |body| body.get());
        serde_json::from_str(text).map_err(drop)
    }
}

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

/// `rtm/publish` and `rtm/write`.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) channel: String,
    pub(super) message: Box<RawValue>,
    /// Compare-and-set, for writes.
    #[serde(default)]
    pub(super) position: Option<String>,
}

/// `rtm/read` and `rtm/delete`.
#[derive(Debug, Deserialize)]
pub(super) struct Value {
    pub(super) channel: String,
    #[serde(default)]
    pub(super) position: Option<String>,
    #[serde(default)]
    pub(super) purge: bool,
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
