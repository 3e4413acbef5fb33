//! Programs of the system: where they are, and how one is run that may hang.

use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use super::NotHad;

/// Looks a program up as a shell does, and where servers live.
pub(super) fn look_up(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

pub(super) fn need(name: &str) -> Result<PathBuf, NotHad> {
    look_up(name).ok_or_else(|| format!("there is no {name} in PATH"))
}

/// Runs a program for at most `within`; what it says goes to the end of `log`.
pub(crate) fn run_within(
    command: &mut Command,
    log: &Path,
    within: Duration,
) -> Result<ExitStatus, NotHad> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |e: std::io::Error| format!("{name}: {e}");
    let out = File::options().create(true).append(true).open(log).map_err(failed)?;
    let errors = out.try_clone().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(out).stderr(errors);
    let mut child = command.spawn().map_err(failed)?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        if start.elapsed() >= within {
            // It may have ended in this instant.
            let _ended = child.kill();
            let _status = child.wait();
            return Err(format!("{name} did not end within {} s", within.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The last lines of a log, for a person.
pub(super) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(5);
    lines.get(from..).unwrap_or_default().join("\n")
}
