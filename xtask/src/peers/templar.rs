//! The Python servers of High-Templar, each with an API behind it that says what it is
//! told.

use std::process::Command;

use super::{
    install::Installed,
    server::{NotUp, Running, answers, free_port, says},
};
use crate::context::Context;

/// The 3.x line.
pub(super) fn high_templar_3(
    context: &Context,
    installed: &Installed,
    running: &mut Running,
) -> Result<(), NotUp> {
    start(context, installed, running, "high_templar_3.py", "3.1.0")
}

/// The 2.x line.
pub(super) fn high_templar_2(
    context: &Context,
    installed: &Installed,
    running: &mut Running,
) -> Result<(), NotUp> {
    start(context, installed, running, "high_templar_2.py", "2.5.0")
}

fn start(
    context: &Context,
    installed: &Installed,
    running: &mut Running,
    script: &str,
    version: &str,
) -> Result<(), NotUp> {
    let (backend, port) = (free_port()?, free_port()?);
    let peers = context.root.join("ci/peers");
    let mut command = Command::new(installed.python());
    command.arg(peers.join("high_templar_backend.py")).arg(backend.to_string());
    running.spawn(installed, "backend", &mut command)?;
    running.wait(installed, || answers(backend, "/"))?;

    let api = format!("http://127.0.0.1:{backend}/api/");
    let mut command = Command::new(installed.python());
    command.arg(peers.join(script)).args([&port.to_string(), &api]);
    running.spawn(installed, "high-templar", &mut command)?;
    running.wait(installed, || says(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"))?;
    running.env = vec![
        ("HIGH_TEMPLAR_URL", format!("ws://127.0.0.1:{port}/ws/")),
        ("HIGH_TEMPLAR_TRIGGER", format!("http://127.0.0.1:{port}/trigger/")),
        ("HIGH_TEMPLAR_BACKEND", api),
        ("HIGH_TEMPLAR_VERSION", version.into()),
    ];
    Ok(())
}
