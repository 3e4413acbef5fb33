//! `publish`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Idempotent, ReadError, Reply, Request, sealed::Sealed};
use crate::{error::Error, proto::Params, version::Version};

/// Publishes into one channel.
///
/// Wire: `publish`, docs/protocols/cent.md, 7.1.
///
/// # Examples
///
/// ```
/// let news = cent::Publish::new("news", &["zebra"]).idempotency_key("news-7");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a request is sent by a client"]
pub struct Publish(pub(super) Content);

/// What a publication holds, into one channel or into several.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) params: Params,
    /// Bytes that are no JSON, and nobody said that this is meant.
    pub(super) poison: bool,
}

/// Where a publication stands in its channel's history.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
#[serde(default)]
pub struct Published {
    /// Its number; absent without a history, and before v3.
    pub offset: Option<u64>,
    /// The life of the history to which the number belongs.
    pub epoch: Option<String>,
}

macro_rules! content_options {
    () => {
        /// The client id of the sender, which subscribers see. v1 only.
        pub fn client(mut self, client: &str) -> Self {
            self.0.params.put("client", client);
            self
        }

        /// Sets the message's own id. v1.7.7 to v2.1.
        pub fn uid(mut self, uid: &str) -> Self {
            self.0.params.put("uid", uid);
            self
        }

        /// Keeps the message out of the history. v3 and later.
        pub fn skip_history(mut self) -> Self {
            self.0.params.put("skip_history", &true);
            self
        }

        /// Attaches tags. v3.2 and later.
        pub fn tags(mut self, tags: &BTreeMap<String, String>) -> Self {
            self.0.params.put("tags", tags);
            self
        }

        /// Makes a repeated call with this key return the first one's result and
        /// deliver nothing, for about five minutes. v5.2 and later.
        pub fn idempotency_key(mut self, key: &str) -> Self {
            self.0.params.put("idempotency_key", key);
            self
        }

        /// Sends subscribers only what has changed. v5.4 and later.
        pub fn delta(mut self) -> Self {
            self.0.params.put("delta", &true);
            self
        }

        /// Sets the version of a document, older ones of which are dropped. v6.2
        /// and later.
        pub fn version(mut self, version: u64) -> Self {
            self.0.params.put("version", &version);
            self
        }

        /// Sets the life of the document to which versions belong. v6.2 and later.
        pub fn version_epoch(mut self, epoch: &str) -> Self {
            self.0.params.put("version_epoch", epoch);
            self
        }

        /// Publishes bytes that are no JSON all the same. The server takes them,
        /// and every later history that would return them fails, until they are
        /// gone.
        pub fn allow_poison(mut self) -> Self {
            self.0.poison = false;
            self
        }
    };
}
pub(super) use content_options;

impl Publish {
    /// A publication of `data` into `channel`. Raw JSON
    /// (`serde_json::value::RawValue`) is sent to the letter.
    pub fn new<T: Serialize + ?Sized>(channel: &str, data: &T) -> Self {
        let mut content = Content::default();
        content.params.put("channel", channel);
        content.params.put("data", data);
        Self(content)
    }

    /// A publication of JSON as bytes in base64. v4.0.2 and later.
    pub fn base64(channel: &str, data: &[u8]) -> Self {
        let mut content = Content::default();
        content.params.put("channel", channel);
        content.put_bytes(data);
        Self(content)
    }

    content_options!();
}

impl Content {
    pub(super) fn put_bytes(&mut self, data: &[u8]) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        self.poison = serde_json::from_slice::<serde::de::IgnoredAny>(data).is_err();
        self.params.put("b64data", &STANDARD.encode(data));
    }

    pub(super) fn into_params(self) -> Result<Params, Error> {
        match self.poison {
            false => Ok(self.params),
            true => Err(Error::misuse(
                "poison",
                "these bytes are no JSON: a history that would return them fails, until they are \
                 gone; allow_poison() sends them",
            )),
        }
    }
}

impl Sealed for Publish {}

impl Request for Publish {
    type Reply = Published;
    const METHOD: &'static str = "publish";
    const IDEMPOTENT: Idempotent = Idempotent::WithKey;
    const COMBINES: bool = true;

    fn params(self, _version: Version) -> Result<Params, Error> {
        self.0.into_params()
    }

    fn read(reply: Reply<'_>) -> Result<Published, ReadError> {
        published(reply)
    }
}

/// v1 and v2 return nothing, v0 `true`.
pub(super) fn published(reply: Reply<'_>) -> Result<Published, ReadError> {
    match reply.version.major() {
        0..=2 => reply.nothing().map(|()| Published::default()),
        _ => reply.parse(),
    }
}
