//! Commands to an HTTP request, in each dialect (docs/protocols/cent.md, 3 to 5).

use crate::{token::sign, version::Dialect};

use super::command::Command;

/// What proves to the server who calls.
#[derive(Clone)]
pub(crate) enum Credential {
    /// The server asks for none.
    Insecure,
    /// v2 and later.
    Key(String),
    /// v0 without a signature: the key stands in the path.
    OpenProject { key: String },
    /// v0: the project's key and secret.
    Project { key: String, secret: String },
    /// v1.
    Secret(String),
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
            Some(("Authorization", format!("apikey {key}")))
        }
        Credential::Key(key) => Some(("X-API-Key", key.clone())),
        Credential::Secret(secret) => Some(("X-API-Sign", sign(secret, &[body.as_bytes()]))),
        Credential::Project { key, secret } => {
            Some(("X-API-Sign", sign(secret, &[key.as_bytes(), body.as_bytes()])))
        }
    }
}

fn named(command: &Command) -> String {
    format!(r#"{{"method":"{}","params":{}}}"#, command.method, command.params)
}

fn array(commands: &[Command]) -> String {
    let items: Vec<String> = commands.iter().map(named).collect();
    format!("[{}]", items.join(","))
}

/// The order of the replies is that of the commands, so that ids would add
/// nothing.
fn stream(commands: &[Command]) -> String {
    let lines: Vec<String> = commands.iter().map(named).collect();
    lines.join("\n")
}

fn batch(commands: &[Command], parallel: bool) -> String {
    let items: Vec<String> = commands
        .iter()
        .map(|command| format!(r#"{{"{}":{}}}"#, command.method, command.params))
        .collect();
    let parallel = if parallel { r#","parallel":true"# } else { "" };
    format!(r#"{{"commands":[{}]{parallel}}}"#, items.join(","))
}
