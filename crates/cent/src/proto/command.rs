//! One command for the server, and what came of it.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::params::is_object;
use crate::{
    error::{ApiError, Error},
    version::Version,
};

/// A method and its parameters, as they are sent.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) method: Cow<'static, str>,
    /// A JSON object.
    pub(crate) params: String,
    /// Carrying it out twice does what once does.
    pub(crate) is_idempotent: bool,
    /// It may travel with the commands of others: it is quick, its answer is
    /// short, and it cannot fail in a way that takes others with it.
    pub(crate) combines: bool,
}

/// The result of a command as the server wrote it, or its error.
pub(crate) type Outcome = Result<Box<RawValue>, ApiError>;

impl Command {
    /// A command that this crate has no type for. Its parameters must be an
    /// object: a server may die of a `null`.
    pub(crate) fn raw<P>(method: &str, params: &P) -> Result<Self, Error>
    where
        P: Serialize + ?Sized,
    {
        let params = serde_json::value::to_raw_value(params).map_err(|e| {
            Error::misuse("encode", format!("the parameters have no JSON form: {e}"))
        })?;
        if !is_object(&params) {
            return Err(Error::misuse("params", "params must be dictionary"));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if method.is_empty() || !method.bytes().all(plain) {
            return Err(Error::misuse("method", format!("{method:?} is no name of a method")));
        }
        if method.eq_ignore_ascii_case("batch") {
            let reason = "a batch is made of commands: add each of them, and send them together";
            return Err(Error::misuse("method", reason));
        }
        let (method, params) = (method.to_owned().into(), params.get().to_owned());
        Ok(Self { method, params, is_idempotent: false, combines: false })
    }

    /// Refuses what real servers do badly with, as the typed requests do.
    pub(crate) fn check(&self, version: Version) -> Result<(), Error> {
        let method = self.method.to_ascii_lowercase();
        let of_user = ["subscribe", "unsubscribe", "disconnect", "refresh"];
        // The servers read names in any case.
        let fields: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(&self.params).unwrap_or_default();
        let field = |name: &str| {
            let found = fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
            let text = found.and_then(|(_, raw)| serde_json::from_str::<String>(raw.get()).ok());
            text.unwrap_or_default()
        };
        if of_user.contains(&method.as_str())
            && field("user").is_empty()
            && version >= Version::new(3, 2, 0)
        {
            return Err(Error::misuse("user", ANONYMOUS));
        }
        let bytes = field("b64data");
        let is_poison = |bytes: &[u8]| serde_json::from_slice::<IgnoredAny>(bytes).is_err();
        // What is no base64 the server refuses by itself.
        match STANDARD.decode(bytes) {
            Ok(bytes) if !bytes.is_empty() && is_poison(&bytes) => {
                Err(Error::misuse("poison", POISON))
            }
            _ => Ok(()),
        }
    }
}

const ANONYMOUS: &str =
    "an empty user means all anonymous connections: add_unchecked() sends it, if that is meant";
const POISON: &str = "these bytes are no JSON: a history that would return them fails, until they \
                      are gone; add_unchecked() sends them";
