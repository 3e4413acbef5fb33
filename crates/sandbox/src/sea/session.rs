//! What a subscriber says, and what it is told: the conversation without its socket.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    hub::{Hub, Order},
    token::Claims,
};

pub(super) struct Session {
    hub: Arc<Hub>,
    connection: u64,
    /// The id of the next message.
    next_id: u64,
    stage: Stage,
}

enum Stage {
    New,
    In { claims: Option<Claims> },
}

/// What comes of a message.
#[derive(Debug)]
pub(super) struct Outcome {
    /// As the log has it.
    pub(super) action: String,
    pub(super) reply: Option<String>,
    /// What to do after the reply.
    pub(super) then: Then,
}

#[derive(Debug)]
pub(super) enum Then {
    GoOn,
    /// The client is in: what it will be told, and for how long it may stay.
    Enter(mpsc::Receiver<Order>, Option<Duration>),
    Close(Closing),
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    /// The client is given a second to close by itself.
    pub(super) patient: bool,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    action: Value,
    #[serde(default)]
    payload: Value,
    #[serde(default, rename = "groupId")]
    group_id: Option<Value>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Proof {
    #[serde(rename_all = "camelCase")]
    Basic { client_id: String, client_secret: String },
    #[serde(rename_all = "camelCase")]
    Jwt { client_id: String, jwt: String },
}

impl Session {
    pub(super) const fn new(hub: Arc<Hub>, connection: u64) -> Self {
        Self { hub, connection, next_id: 1, stage: Stage::New }
    }

    pub(super) fn handle(&mut self, text: &str) -> Outcome {
        let is_object = text.trim_start().starts_with('{');
        let message: Message = match serde_json::from_str(text) {
            Ok(message) if is_object => message,
            _ => return Outcome::close("?", None, 1007, "a message is a JSON object", false),
        };
        let action = message.action.as_str().unwrap_or("?").to_owned();
        let failed = |text: &str| Some(failure(&message.id, reply_action(&action), text));
        if message.id.as_u64() != Some(self.next_id) {
            let text = format!("The id must be {}", self.next_id);
            return Outcome::close(&action, failed(&text), 1002, "a wrong id", false);
        }
        let id = self.next_id;
        self.next_id += 1;
        match (&self.stage, action.as_str()) {
            (Stage::New, "authenticate") => self.authenticate(id, message.payload),
            (Stage::New, _) => {
                let reply = failed("The first message must be authenticate");
                Outcome::close(&action, reply, 1008, "not authenticated", true)
            }
            (Stage::In { claims }, "subscribe") => {
                let claims = claims.clone();
                match self.subscribe(id, &message.payload, message.group_id, claims) {
                    Ok(()) => Outcome::go_on(&action, None),
                    Err(text) => Outcome::go_on(&action, failed(&text)),
                }
            }
            (Stage::In { .. }, "authenticate") => {
                Outcome::go_on(&action, failed("The connection is authenticated already"))
            }
            (Stage::In { .. }, _) => Outcome::go_on(&action, failed("The action is unknown")),
        }
    }

    fn authenticate(&mut self, id: u64, payload: Value) -> Outcome {
        let known = match serde_json::from_value::<Proof>(payload) {
            Ok(Proof::Basic { client_id, client_secret }) => self
                .hub
                .identify(&client_id, &client_secret)
                .map(|who| (who, None))
                .ok_or("Invalid credentials"),
            Ok(Proof::Jwt { client_id, jwt }) => {
                self.hub.identify_bearer(&client_id, &jwt).map(|(who, claims)| (who, Some(claims)))
            }
            Err(_) => Err("The payload must have a type, a clientId and a clientSecret or jwt"),
        };
        match known {
            Ok((who, claims)) => {
                let orders = self.hub.enter(self.connection, &who);
                let left = claims.as_ref().map(|claims| claims.left);
                self.stage = Stage::In { claims };
                let reply = json!({"id": id, "action": "authenticate", "success": true,
                    "payload": {"jailId": who.jail}});
                let then = Then::Enter(orders, left);
                Outcome { action: "authenticate".into(), reply: Some(reply.to_string()), then }
            }
            Err(text) => {
                let reply = failure(&id.into(), "authenticate", text);
                Outcome::close("authenticate", Some(reply), 1008, "not authenticated", true)
            }
        }
    }

    /// The reply goes out with what is delivered, before it.
    fn subscribe(
        &self,
        id: u64,
        payload: &Value,
        group_id: Option<Value>,
        claims: Option<Claims>,
    ) -> Result<(), String> {
        let name = payload.as_str().ok_or("The payload must be the name of a stream")?;
        let group = match group_id {
            None => None,
            Some(Value::String(group)) if is_uuid(&group) => Some(group.to_ascii_lowercase()),
            Some(_) => return Err("The groupId must be a UUID in 8-4-4-4-12 form".into()),
        };
        if group.is_none() && claims.as_ref().is_some_and(|claims| claims.must_fanout) {
            return Err("The token allows fanout only: a groupId is needed".into());
        }
        if self.hub.subscriptions(self.connection) >= self.hub.config.max_subscriptions {
            return Err("The connection has as many subscriptions as it may".into());
        }
        let reply = json!({"id": id, "action": "subscription", "success": true,
            "streamName": name, "payload": id});
        let filter = claims.and_then(|claims| claims.filter);
        let reply = reply.to_string();
        match self.hub.subscribe(self.connection, id, name, group, filter, reply) {
            true => Ok(()),
            false => Err(format!("The stream [{name}] does not exist")),
        }
    }
}

impl Outcome {
    fn go_on(action: &str, reply: Option<String>) -> Self {
        Self { action: action.to_owned(), reply, then: Then::GoOn }
    }

    fn close(
        action: &str,
        reply: Option<String>,
        code: u16,
        reason: &'static str,
        patient: bool,
    ) -> Self {
        let then = Then::Close(Closing { code, reason, patient });
        Self { action: action.to_owned(), reply, then }
    }
}

/// Subscriptions are answered under another name than they are asked by.
fn reply_action(action: &str) -> &str {
    match action {
        "subscribe" => "subscription",
        action => action,
    }
}

fn failure(id: &Value, action: &str, text: &str) -> String {
    json!({"id": id, "action": action, "success": false, "error": {"message": text}}).to_string()
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}
