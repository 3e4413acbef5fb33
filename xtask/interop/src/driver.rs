//! A client in a process of its own.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde::de::DeserializeOwned;
use tokio::process::Command;

/// A program, and the home that it is given: no file of the user's changes what
/// is tested.
pub(crate) struct Client {
    pub(crate) command: Vec<String>,
    pub(crate) home: PathBuf,
}

/// Runs `client` with the variables of `env`, for at most `within`; returns what
/// the last line that it prints says. What it writes to stderr is shown.
pub(crate) async fn run<T: DeserializeOwned>(
    client: &Client,
    env: &[(&str, &str)],
    within: Duration,
) -> Result<T, String> {
    let (program, args) = client.command.split_first().ok_or("no program")?;
    let mut command = Command::new(program);
    command.args(args).env("HOME", &client.home).envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|e| format!("{program} does not start: {e}"))?;
    let ended = tokio::time::timeout(within, child.wait_with_output()).await;
    let output = ended
        .map_err(|_| format!("{program} did not end within {} s", within.as_secs()))?
        .map_err(|e| format!("{program}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{program} failed: {}\n{said}", output.status));
    }
    let line = said.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|e| format!("{program} said {line:?}: {e}"))
}
