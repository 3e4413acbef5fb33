//! What the server says (docs/protocols/satori-rtm.md, 2 to 4).

use serde_json::{Value, json};

use super::{hub::Nowhere, message::Message, wire::Id};

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

    pub(super) fn body(self) -> Value {
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

/// A message to the client, not yet written.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) action: String,
    pub(super) id: Option<Id>,
    pub(super) content: Content,
}

/// The body of a reply.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Fields(Value),
    /// Fields and a message, exactly as it was published.
    Stored(Value, Message),
    /// What a subscription delivers.
    Batch {
        id: String,
        position: String,
        messages: Vec<Message>,
    },
}

/// The answer to a request.
pub(super) fn answer(action: &str, id: Option<Id>, result: Result<Content, Problem>) -> Reply {
    let (outcome, content) = match result {
        Ok(content) => ("ok", content),
        Err(problem) => ("error", Content::Fields(problem.body())),
    };
    Reply { action: format!("{action}/{outcome}"), id, content }
}

/// A message that nobody asked for.
pub(super) fn unsolicited(action: &str, content: Content) -> Reply {
    Reply { action: action.to_owned(), id: None, content }
}

/// What cannot even be read is answered by an error of the whole connection.
pub(super) fn general_error(error: &'static str, reason: &str, id: Option<Id>) -> Reply {
    let content = Content::Fields(Problem::new(error, reason).body());
    Reply { action: "/error".to_owned(), id, content }
}
