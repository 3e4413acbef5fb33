//! The endpoints, in the order of docs/protocols/stream-sea.md, 3.3.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Call,
    results::{ClientKey, ClientSecret, Jail},
    segment,
};
use crate::{
    error::Error,
    schema::{Field, SchemaDefinition, Version},
};

/// An answer that nobody reads.
fn anything(_body: &[u8]) -> serde_json::Result<()> {
    Ok(())
}

/// An answer that is as its type says.
fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(body)
}

pub(crate) fn publish<T>(stream: &str, payload: &T) -> Result<Call<()>, Error>
where
    T: Serialize + ?Sized,
{
    let payload = serde_json::value::to_raw_value(payload)
        .map_err(|e| Error::misuse("encode", format!("the payload has no JSON form: {e}")))?;
    if !payload.get().starts_with(['{', '[']) {
        return Err(Error::misuse("encode", "a payload is an object, or an array of them"));
    }
    #[derive(Serialize)]
    struct Body {
        payload: Box<RawValue>,
    }
    let body = serde_json::to_string(&Body { payload })
        .map_err(|e| Error::misuse("encode", e.to_string()))?;
    Ok(Call {
        action: "publish",
        method: "POST",
        path: format!("/streams/{}/publish", segment("publish", stream)?),
        body: Some(body),
        is_read: false,
        read: anything,
    })
}

pub(crate) fn define(schema: &SchemaDefinition) -> Result<Call<()>, Error> {
    schema.check()?;
    let body = serde_json::to_string(schema).map_err(|e| Error::misuse("encode", e.to_string()))?;
    Ok(Call {
        action: "define",
        method: "POST",
        path: format!("/streams/{}/define", segment("define", &schema.name)?),
        body: Some(body),
        is_read: false,
        read: anything,
    })
}

pub(crate) fn describe(stream: &str) -> Result<Call<SchemaDefinition>, Error> {
    /// A service that has keys of its own, or leaves the name out, is understood.
    fn read(body: &[u8]) -> serde_json::Result<SchemaDefinition> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            name: String,
            version: Version,
            #[serde(default)]
            fields: Vec<Field>,
        }
        let Answer { name, version, fields } = serde_json::from_slice(body)?;
        let mut schema = SchemaDefinition::new(name, version);
        schema.fields = fields;
        Ok(schema)
    }
    Ok(Call {
        action: "describe",
        method: "GET",
        path: format!("/streams/{}/schema", segment("describe", stream)?),
        body: None,
        is_read: true,
        read,
    })
}

pub(crate) fn versions_vector(streams: &[&str]) -> Call<Vec<Option<Version>>> {
    fn read(body: &[u8]) -> serde_json::Result<Vec<Option<Version>>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            versions_vector: Vec<Option<Version>>,
        }
        serde_json::from_slice::<Answer>(body).map(|answer| answer.versions_vector)
    }
    Call {
        action: "versions_vector",
        method: "POST",
        path: "/schema-versions-vector".into(),
        body: Some(serde_json::json!({"schemaNames": streams}).to_string()),
        is_read: true,
        read,
    }
}

pub(crate) fn create_client(id: &str, description: &str) -> Call<ClientSecret> {
    Call {
        action: "create_client",
        method: "POST",
        path: "/client".into(),
        body: Some(serde_json::json!({"clientId": id, "description": description}).to_string()),
        is_read: false,
        read: json,
    }
}

pub(crate) fn delete_client(id: &str) -> Result<Call<()>, Error> {
    Ok(Call {
        action: "delete_client",
        method: "DELETE",
        path: format!("/client/{}", segment("delete_client", id)?),
        body: None,
        is_read: false,
        read: anything,
    })
}

pub(crate) fn rotate_client_secret(id: &str) -> Result<Call<ClientSecret>, Error> {
    Ok(Call {
        action: "rotate_client_secret",
        method: "PUT",
        path: format!("/client/{}", segment("rotate_client_secret", id)?),
        body: None,
        is_read: false,
        read: json,
    })
}

pub(crate) fn rotate_client_jwt_public_key(
    id: &str,
    key: Option<&str>,
) -> Result<Call<ClientKey>, Error> {
    let id = segment("rotate_client_jwt_public_key", id)?;
    Ok(Call {
        action: "rotate_client_jwt_public_key",
        method: "PUT",
        path: format!("/client/{id}/jwt-public-key"),
        body: Some(serde_json::json!({"jwtPublicKey": key}).to_string()),
        is_read: false,
        read: json,
    })
}

pub(crate) fn create_jail(id: &str, name: &str, client_id: &str) -> Call<Jail> {
    let body = serde_json::json!({"newJailId": id, "newJailName": name, "newClientId": client_id});
    Call {
        action: "create_jail",
        method: "POST",
        path: "/jails".into(),
        body: Some(body.to_string()),
        is_read: false,
        read: json,
    }
}

pub(crate) fn delete_jail(id: &str) -> Result<Call<()>, Error> {
    Ok(Call {
        action: "delete_jail",
        method: "DELETE",
        path: format!("/jails/{}", segment("delete_jail", id)?),
        body: None,
        is_read: false,
        read: anything,
    })
}
