//! What calls return.

use std::fmt;

use serde::Deserialize;

use crate::{
    error::{Error, Refusal},
    schema::{SchemaDefinition, Version},
};

/// What became of a definition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Defined {
    /// The service stores it now.
    Stored,
    /// The service had the same already.
    Unchanged,
}

/// A client and its new secret.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct ClientSecret {
    /// The client's id.
    #[serde(rename = "givenId")]
    pub given_id: String,
    /// Its secret, which the service does not tell again.
    pub secret: String,
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSecret").field("given_id", &self.given_id).finish_non_exhaustive()
    }
}

/// A client and the public key of its tokens.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct ClientKey {
    /// The client's id.
    pub given_id: String,
    /// The key in PEM form; `None` if there is none now.
    #[serde(default)]
    pub jwt_public_key: Option<String>,
}

/// A new jail, with its first client.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct Jail {
    /// The jail's id.
    #[serde(rename = "newJailId")]
    pub id: String,
    /// The client's id.
    #[serde(rename = "newClientId")]
    pub client_id: String,
    /// The client's secret, which the service does not tell again.
    #[serde(rename = "newClientSecret")]
    pub client_secret: String,
}

impl fmt::Debug for Jail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jail")
            .field("id", &self.id)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// What became of a definition, given what was stored before. A service that keeps
/// another definition of the same version without a word has refused ours.
pub(crate) fn defined(
    schema: &SchemaDefinition,
    before: Option<SchemaDefinition>,
) -> Result<Defined, Error> {
    match before {
        None => Ok(Defined::Stored),
        Some(before) if before == *schema => Ok(Defined::Unchanged),
        Some(before) if schema.version.is_newer_than(&before.version) => Ok(Defined::Stored),
        Some(_) => {
            let message = "another definition of this version is stored, and stays";
            Err(Error::Refused(Refusal::new("define", message)))
        }
    }
}

/// What is stored before a definition; one that cannot be read is another one, and
/// none that could be told from ours.
pub(crate) fn before(
    described: Result<Option<SchemaDefinition>, Error>,
) -> Result<Option<SchemaDefinition>, Error> {
    match described {
        Err(Error::Protocol(_)) => Ok(None),
        described => described,
    }
}

/// A stream that does not exist is no error.
pub(crate) fn described(
    stream: &str,
    result: Result<SchemaDefinition, Error>,
) -> Result<Option<SchemaDefinition>, Error> {
    match result {
        Ok(mut schema) => {
            if schema.name.is_empty() {
                stream.clone_into(&mut schema.name);
            }
            Ok(Some(schema))
        }
        Err(Error::Refused(refusal)) if refusal.status == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn of_length(
    wanted: usize,
    versions: Vec<Option<Version>>,
) -> Result<Vec<Option<Version>>, Error> {
    match versions.len() == wanted {
        true => Ok(versions),
        false => {
            let detail = format!("{} versions for {wanted} streams", versions.len());
            Err(Error::protocol("answer", &detail))
        }
    }
}
