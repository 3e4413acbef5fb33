//! Who proves to the service what role the connection may have.

use std::fmt;

use client_core::Secret;

use crate::{proto::role_secret_hash, value::Value};

/// Proves a role to the service, in as many steps as its method takes.
///
/// [`Config::role`](crate::Config::role) is one for role secrets; others are given to
/// [`Config::auth_delegate`](crate::Config::auth_delegate) or
/// [`Client::authenticate`](crate::Client::authenticate). One that succeeded runs again
/// on every later connection, before anything is subscribed. It is called on the task
/// of the connection and must not block.
///
/// Wire: docs/protocols/satori-rtm.md, 6.
///
/// # Examples
///
/// ```
/// use satori_rtm::{AuthDelegate, AuthReply, AuthStep, Value};
///
/// /// Shows a token, in one step.
/// struct Token(String);
///
/// impl AuthDelegate for Token {
///     fn start(&self) -> AuthStep {
///         let credentials = Value::from([("token", Value::from(self.0.as_str()))]);
///         AuthStep::authenticate("token", credentials, |reply| match reply {
///             AuthReply::Ok { .. } => AuthStep::Done,
///             AuthReply::Error { message } => AuthStep::Error { message },
///         })
///     }
/// }
/// ```
pub trait AuthDelegate: Send + Sync + 'static {
    /// Begins an exchange.
    fn start(&self) -> AuthStep;

    /// Returns what this delegate is called: of those of one name that succeed, the last
    /// is remembered for later connections. By default the name of the type.
    fn name(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// What comes next, given the answer to what came before.
pub type AuthNext = Box<dyn FnOnce(AuthReply) -> AuthStep + Send>;

/// One step of an exchange.
#[non_exhaustive]
pub enum AuthStep {
    /// Ask the service to begin.
    ///
    /// Wire: `auth/handshake`.
    Handshake {
        /// The method, as the service calls it.
        method: String,
        /// What it needs to begin.
        data: Value,
        /// What to do with the answer.
        next: AuthNext,
    },
    /// Show the proof.
    ///
    /// Wire: `auth/authenticate`.
    Authenticate {
        /// The method, as the service calls it.
        method: String,
        /// The proof.
        credentials: Value,
        /// What to do with the answer.
        next: AuthNext,
    },
    /// The connection has the role.
    Done,
    /// It has not.
    Error {
        /// Why, for people.
        message: String,
    },
}

/// What the service answered to a step.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a service accepts or refuses")]
pub enum AuthReply {
    /// It accepted the step.
    Ok {
        /// The `data` of its answer, `null` if there is none.
        data: Value,
    },
    /// It refused.
    Error {
        /// Its reason.
        message: String,
    },
}

impl AuthStep {
    /// Asks the service to begin.
    #[must_use]
    pub fn handshake(
        method: &str,
        data: Value,
        next: impl FnOnce(AuthReply) -> Self + Send + 'static,
    ) -> Self {
        Self::Handshake { method: method.to_owned(), data, next: Box::new(next) }
    }

    /// Shows the proof.
    #[must_use]
    pub fn authenticate(
        method: &str,
        credentials: Value,
        next: impl FnOnce(AuthReply) -> Self + Send + 'static,
    ) -> Self {
        Self::Authenticate { method: method.to_owned(), credentials, next: Box::new(next) }
    }
}

impl fmt::Debug for AuthStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Data and credentials are for the service alone.
        match self {
            Self::Handshake { method, .. } => write!(f, "Handshake({method:?})"),
            Self::Authenticate { method, .. } => write!(f, "Authenticate({method:?})"),
            Self::Done => f.write_str("Done"),
            Self::Error { message } => write!(f, "Error({message:?})"),
        }
    }
}

/// Proves knowledge of a role's secret, by HMAC-MD5 over a nonce of the service.
///
/// Wire: `role_secret` (docs/protocols/satori-rtm.md, 6.1).
///
/// # Examples
///
/// ```
/// let driver = satori_rtm::RoleSecret::new("driver", "role secret");
/// assert!(!format!("{driver:?}").contains("role secret"));
/// ```
#[derive(Clone, Debug)]
pub struct RoleSecret {
    role: String,
    secret: Secret,
}

impl RoleSecret {
    /// Takes a role and its secret, text or bytes.
    #[must_use]
    pub fn new(role: impl Into<String>, secret: impl Into<Vec<u8>>) -> Self {
        Self { role: role.into(), secret: Secret::new(secret) }
    }

    fn answer(secret: &Secret, reply: AuthReply) -> AuthStep {
        let data = match reply {
            AuthReply::Ok { data } => data,
            AuthReply::Error { message } => return AuthStep::Error { message },
        };
        let Some(nonce) = data.get("nonce").and_then(Value::as_text) else {
            return AuthStep::Error { message: "No nonce in handshake reply".to_owned() };
        };
        let hash = role_secret_hash(secret.reveal(), nonce);
        let credentials = Value::from([("hash", Value::from(hash))]);
        AuthStep::authenticate("role_secret", credentials, |reply| match reply {
            AuthReply::Ok { .. } => AuthStep::Done,
            AuthReply::Error { message } => AuthStep::Error { message },
        })
    }
}

impl AuthDelegate for RoleSecret {
    fn start(&self) -> AuthStep {
        let data = Value::from([("role", Value::from(self.role.as_str()))]);
        let secret = self.secret.clone();
        AuthStep::handshake("role_secret", data, move |reply| Self::answer(&secret, reply))
    }

    /// Its method and the role.
    fn name(&self) -> String {
        format!("role_secret {}", self.role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(data: Value) -> AuthStep {
        match RoleSecret::new("driver", "fleet-role-secret").start() {
            AuthStep::Handshake { next, .. } => next(AuthReply::Ok { data }),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn proves_the_secret_by_the_hash_of_the_nonce() {
        let data = Value::from([("nonce", Value::from("q7Zk2m0V"))]);
        let AuthStep::Authenticate { credentials, next, .. } = after(data) else { panic!() };
        let hash = credentials.get("hash").and_then(Value::as_text);
        assert_eq!(hash, Some("1cgo46J9j1sCo1wIe8FqMg=="));
        assert!(matches!(next(AuthReply::Ok { data: Value::Null }), AuthStep::Done));
    }

    #[test]
    fn an_answer_without_a_nonce_is_an_error_in_the_words_of_the_original() {
        for data in [Value::Null, Value::from([("nonce", Value::from(7))])] {
            let AuthStep::Error { message } = after(data) else { panic!() };
            assert_eq!(message, "No nonce in handshake reply");
        }
    }
}
