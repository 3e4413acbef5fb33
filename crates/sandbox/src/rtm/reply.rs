//! What the server says (docs/protocols/satori-rtm.md, 2 to 4).

use serde_json::{Value, json, value::RawValue};

use super::hub::Nowhere;

/// A refusal: the code for programs, the text for people, and fields that some
/// operations add.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) error: &'static str,
    pub(super) reason: String,
    pub(super) subscription_id: Option<String>,
}

impl Problem {
    pub(super) fn new(error: &'static str, reason: impl Into<String>) -> Self {
        Self { error, reason: reason.into(), subscription_id: None }
    }

    pub(super) fn invalid_format(field: &str) -> Self {
        Self::new("invalid_format", format!("Invalid PDU: '{field}' was invalid"))
    }

    pub(super) fn unauthorized() -> Self {
        Self::new("authorization_denied", "Unauthorized")
    }

    pub(super) fn unauthenticated() -> Self {
        Self::new("authentication_failed", "Unauthenticated")
    }

    pub(super) fn of_subscription(mut self, id: &str) -> Self {
        self.subscription_id = Some(id.to_owned());
        self
    }

    fn body(self) -> Value {
        let mut body = json!({"error": self.error, "reason": self.reason});
        if let (Some(id), Some(body)) = (self.subscription_id, body.as_object_mut()) {
            body.insert("subscription_id".into(), id.into());
        }
        body
    }
}

impl From<Nowhere> for Problem {
    fn from(nowhere: Nowhere) -> Self {
        match nowhere {
            Nowhere::Malformed => Self::invalid_format("position"),
            Nowhere::Expired => Self::new("expired_position", "The position is no longer kept"),
        }
    }
}

/// A message to the client: its action and its text.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) action: String,
    pub(super) text: String,
}

/// The answer to a request. `body` is JSON already.
pub(super) fn answer(action: &str, id: &RawValue, result: Result<String, Problem>) -> Reply {
    let (outcome, body) = match result {
        Ok(body) => ("ok", body),
        Err(problem) => ("error", problem.body().to_string()),
    };
    let action = format!("{action}/{outcome}");
    let name = Value::from(action.as_str());
    let text = format!(r#"{{"action":{name},"id":{},"body":{body}}}"#, id.get());
    Reply { action, text }
}

/// A message that nobody asked for.
pub(super) fn unsolicited(action: &str, body: &Value) -> Reply {
    let text = json!({"action": action, "body": body}).to_string();
    Reply { action: action.to_owned(), text }
}

/// What cannot even be read is answered by an error of the whole connection.
pub(super) fn general_error(error: &'static str, reason: &str, id: Option<&RawValue>) -> Reply {
    let body = Problem::new(error, reason).body();
    match id {
        None => unsolicited("/error", &body),
        Some(id) => {
            let action = "/error".to_owned();
            let text = format!(r#"{{"action":"{action}","id":{},"body":{body}}}"#, id.get());
            Reply { action, text }
        }
    }
}

/// A batch of messages, each exactly as it was published.
pub(super) fn data(id: &str, position: &str, messages: &[std::sync::Arc<str>]) -> Reply {
    let action = "rtm/subscription/data".to_owned();
    let (id, position) = (Value::from(id), Value::from(position));
    let text = format!(
        r#"{{"action":"{action}","body":{{"position":{position},"messages":[{}],"subscription_id":{id}}}}}"#,
        messages.join(",")
    );
    Reply { action, text }
}
