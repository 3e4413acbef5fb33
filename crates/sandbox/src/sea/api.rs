//! The endpoints.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    hub::{Defined, Denied, Hub, Identity, Published},
    schema::{self, Field, Schema},
};

/// An answer: its status, and a JSON body.
#[derive(Debug)]
pub(super) struct Answer(pub(super) u16, pub(super) Value);

impl Answer {
    pub(super) fn refused(status: u16, message: impl Into<String>) -> Self {
        Self(status, json!({"message": message.into()}))
    }

    const fn ok(body: Value) -> Self {
        Self(200, body)
    }
}

impl From<Denied> for Answer {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unknown => Self::refused(404, "There is nothing of this id"),
            Denied::Taken => Self::refused(409, "The id is taken"),
            Denied::Full => Self::refused(507, "This server holds as many as it may"),
            Denied::NoKey => Self::refused(400, "The key is no RSA public key in PEM form"),
        }
    }
}

/// Carries out a call; `path` is what follows `/api/v1`, in decoded segments.
pub(super) fn call(hub: &Hub, who: &Identity, verb: &str, path: &[&str], body: &[u8]) -> Answer {
    let result = match (verb, path) {
        ("POST", ["streams", name, "publish"]) => publish(hub, who, name, body),
        ("POST", ["streams", name, "define"]) => define(hub, who, name, body),
        ("GET", ["streams", name, "schema"]) => describe(hub, who, name),
        ("POST", ["schema-versions-vector"]) => versions(hub, who, body),
        ("POST", ["client"]) => create_client(hub, who, body),
        ("DELETE", ["client", id]) => {
            hub.delete_client(who, id).map(|()| json!({"id": id})).map_err(Answer::from)
        }
        ("PUT", ["client", id]) => hub
            .rotate_secret(who, id)
            .map(|secret| json!({"givenId": id, "secret": secret}))
            .map_err(Answer::from),
        ("PUT", ["client", id, "jwt-public-key"]) => set_key(hub, who, id, body),
        ("POST", ["jails"]) => create_jail(hub, body),
        ("DELETE", ["jails", id]) => {
            hub.delete_jail(id).map(|()| json!({"id": id})).map_err(Answer::from)
        }
        _ => Err(Answer::refused(404, "There is no such endpoint")),
    };
    result.map_or_else(|refused| refused, Answer::ok)
}

type Result = std::result::Result<Value, Answer>;

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> std::result::Result<T, Answer> {
    serde_json::from_slice(body)
        .map_err(|e| Answer::refused(400, format!("The body cannot be read: {e}")))
}

fn unknown_stream(name: &str) -> Answer {
    Answer::refused(404, format!("The stream [{name}] does not exist"))
}

fn publish(hub: &Hub, who: &Identity, name: &str, body: &[u8]) -> Result {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    let Body { payload: raw } = read(body)?;
    let payload: Value = read(raw.get().as_bytes())?;
    match hub.publish(who, name, raw, &payload) {
        Published::Delivered => Ok(json!({})),
        Published::Unknown => Err(unknown_stream(name)),
        Published::Invalid(errors) => {
            let message = format!("The payload does not fit the schema [{name}]");
            Err(Answer(400, json!({"message": message, "errors": errors})))
        }
    }
}

fn define(hub: &Hub, who: &Identity, name: &str, body: &[u8]) -> Result {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        name: Option<String>,
        version: Value,
        fields: Vec<Field>,
    }
    let Body { name: told, version, fields } = read(body)?;
    if told.is_some_and(|told| told != name) {
        return Err(Answer::refused(400, "The name in the body is not that of the stream"));
    }
    if !schema::is_version(&version) {
        return Err(Answer::refused(400, "The version must be a number or a text"));
    }
    if let Some(wrong) = schema::wrong(&fields, 0) {
        return Err(Answer::refused(400, wrong));
    }
    match hub.define(who, Schema { name: name.to_owned(), version, fields }) {
        Ok(Defined::Stored(schema)) => Ok(json!(schema)),
        Ok(Defined::Refused(message)) => Err(Answer::refused(400, message)),
        Err(()) => Err(Denied::Full.into()),
    }
}

fn describe(hub: &Hub, who: &Identity, name: &str) -> Result {
    hub.describe(who, name).map(|schema| json!(schema)).ok_or_else(|| unknown_stream(name))
}

fn versions(hub: &Hub, who: &Identity, body: &[u8]) -> Result {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        schema_names: Vec<String>,
    }
    let Body { schema_names } = read(body)?;
    let version = |name: &String| hub.describe(who, name).map(|schema| schema.version);
    let versions: Vec<Option<Value>> = schema_names.iter().map(version).collect();
    Ok(json!({"versionsVector": versions}))
}

fn create_client(hub: &Hub, who: &Identity, body: &[u8]) -> Result {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        /// Chosen by the server where the client does not say.
        #[serde(default)]
        client_id: Option<String>,
    }
    let Body { client_id } = read(body)?;
    let id = client_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    if id.is_empty() || id.contains(':') {
        return Err(Answer::refused(400, "A client id is not empty and has no colon"));
    }
    let secret = hub.create_client(who, &id)?;
    Ok(json!({"givenId": id, "secret": secret}))
}

fn set_key(hub: &Hub, who: &Identity, id: &str, body: &[u8]) -> Result {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        jwt_public_key: Option<String>,
    }
    let Body { jwt_public_key } = read(body)?;
    hub.set_key(who, id, jwt_public_key.clone())?;
    Ok(json!({"givenId": id, "jwtPublicKey": jwt_public_key}))
}

fn create_jail(hub: &Hub, body: &[u8]) -> Result {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        new_jail_id: String,
        #[serde(default)]
        #[expect(dead_code, reason = "a name for people, which nothing returns")]
        new_jail_name: Option<String>,
        new_client_id: String,
    }
    let Body { new_jail_id: jail, new_client_id: client, .. } = read(body)?;
    if client.is_empty() || client.contains(':') {
        return Err(Answer::refused(400, "A client id is not empty and has no colon"));
    }
    let secret = hub.create_jail(&jail, &client)?;
    Ok(json!({"newJailId": jail, "newClientId": client, "newClientSecret": secret}))
}
