//! Commands to an HTTP request, in each dialect (docs/protocols/cent.md, 3 to 5).

use client_core::Secret;

use crate::{token::sign, version::Dialect};

use super::command::Command;

/// What proves to the server who calls.
#[derive(Clone)]
pub(crate) enum Credential {
    /// The server asks for none.
    Insecure,
    /// v2 and later.
    Key(Key),
    /// v0 without a signature: the key stands in the path.
    OpenProject { key: String },
    /// v0: the project's key and secret.
    Project { key: String, secret: Key },
    /// v1.
    Secret(Key),
}

/// A key or secret as it is written; no copy of it is left behind.
#[derive(Clone)]
pub(crate) struct Key(Secret);

impl Key {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text.into()))
    }

    pub(crate) fn text(&self) -> &str {
        // It was made of text.
        std::str::from_utf8(self.0.reveal()).unwrap_or_default()
    }
}

/// A POST request. It has no `Debug`: a header may be a key.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct HttpRequest {
    /// What follows the base address, from its slash on.
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// Encodes `commands`; `parallel` lets the server run them side by side, where
/// it can.
pub(crate) fn encode(
    dialect: Dialect,
    credential: &Credential,
    commands: &[Command],
    parallel: bool,
) -> HttpRequest {
    let (path, body) = match (dialect, commands) {
        (Dialect::Signed, _) => ("/".to_owned(), array(commands)),
        (Dialect::Project, _) => {
            let key = match credential {
                Credential::OpenProject { key } | Credential::Project { key, .. } => key.as_str(),
                _ => "",
            };
            (format!("/{key}"), array(commands))
        }
        (Dialect::Stream, _) => (String::new(), stream(commands)),
        (Dialect::Method, [command]) => (format!("/{}", command.method), command.params.clone()),
        (Dialect::Method, _) => ("/batch".to_owned(), batch(commands, parallel)),
    };
    let mut headers = vec![("Content-Type", "application/json".to_owned())];
    headers.extend(authorization(dialect, credential, &body));
    HttpRequest { path, headers, body }
}

fn authorization(
    dialect: Dialect,
    credential: &Credential,
    body: &str,
) -> Option<(&'static str, String)> {
    match credential {
        // The original sends the header, empty.
        Credential::Insecure if dialect == Dialect::Signed => Some(("X-API-Sign", String::new())),
        Credential::OpenProject { .. } => Some(("X-API-Sign", String::new())),
        Credential::Insecure => None,
        Credential::Key(key) if dialect == Dialect::Stream => {
            Some(("Authorization", format!("apikey {}", key.text())))
        }
        Credential::Key(key) => Some(("X-API-Key", key.text().to_owned())),
        Credential::Secret(secret) => Some(("X-API-Sign", sign(secret.text(), &[body.as_bytes()]))),
        Credential::Project { key, secret } => {
            Some(("X-API-Sign", sign(secret.text(), &[key.as_bytes(), body.as_bytes()])))
        }
    }
}

fn named(body: &mut String, command: &Command) {
    for part in [r#"{"method":""#, &command.method, r#"","params":"#, &command.params, "}"] {
        body.push_str(part);
    }
}

/// Room for all commands, and between them what `separator` is.
fn joined(commands: &[Command], separator: char, write: impl Fn(&mut String, &Command)) -> String {
    let length = commands.iter().map(|c| c.method.len() + c.params.len() + 32).sum::<usize>();
    let mut body = String::with_capacity(length + 48);
    for (at, command) in commands.iter().enumerate() {
        if at > 0 {
            body.push(separator);
        }
        write(&mut body, command);
    }
    body
}

fn array(commands: &[Command]) -> String {
    format!("[{}]", joined(commands, ',', named))
}

/// The order of the replies is that of the commands, so that ids would add
/// nothing.
fn stream(commands: &[Command]) -> String {
    joined(commands, '\n', named)
}

fn batch(commands: &[Command], parallel: bool) -> String {
    let items = joined(commands, ',', |body, command| {
        for part in ["{\"", &command.method, "\":", &command.params, "}"] {
            body.push_str(part);
        }
    });
    let parallel = if parallel { r#","parallel":true"# } else { "" };
    format!(r#"{{"commands":[{items}]{parallel}}}"#)
}
