//! One command for the server, and what came of it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::params::is_object;
use crate::error::{ApiError, Error};

/// A method and its parameters, as they are sent.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) method: Cow<'static, str>,
    /// A JSON object.
    pub(crate) params: String,
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
        Ok(Self { method: method.to_owned().into(), params: params.get().to_owned() })
    }
}
