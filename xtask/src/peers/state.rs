//! Servers that outlive the command: which processes they are, so that exactly
//! those are ended.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::{catalogue::Peer, server::Running};
use crate::context::{Context, Failure};

fn file(context: &Context, peer: &Peer) -> PathBuf {
    context.root.join("target/peers").join(peer.folder()).join("running")
}

/// Notes the process ids, one a line with the program's name.
pub(super) fn keep(context: &Context, peer: &Peer, running: &Running) -> Result<(), Failure> {
    let line = |(name, child): &(String, std::process::Child)| format!("{} {name}\n", child.id());
    let lines: String = running.children.iter().map(line).collect();
    Ok(fs::write(file(context, peer), lines)?)
}

pub(super) fn refuse_a_second(context: &Context, peer: &Peer) -> Result<(), Failure> {
    let name = peer.name;
    for (pid, program) in processes(&file(context, peer)) {
        if is_alive(pid, &program)? {
            let told = format!("{name} runs already: cargo xtask peers down {name}");
            return Err(Failure::new(told));
        }
    }
    Ok(())
}

/// Ends what `up` has started, the newest first.
pub(super) fn down(context: &Context, peer: &Peer) -> Result<(), Failure> {
    let file = file(context, peer);
    let processes = processes(&file);
    if processes.is_empty() {
        eprintln!("{} does not run", peer.name);
        return Ok(());
    }
    for (pid, program) in processes.iter().rev() {
        if is_alive(*pid, program)? {
            end(*pid, program)?;
            eprintln!("{program} ({pid}) is ended");
        }
    }
    Ok(fs::remove_file(file)?)
}

fn processes(file: &Path) -> Vec<(u32, String)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = |line: &str| {
        let (pid, program) = line.split_once(' ')?;
        Some((pid.parse().ok()?, program.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// Whether the process is there, and still the one that was started: ids are
/// used again.
fn is_alive(pid: u32, program: &str) -> Result<bool, Failure> {
    let ps = Command::new("ps").args(["-o", "stat=,args=", "-p", &pid.to_string()]).output();
    let ps = ps.map_err(|e| {
        Failure::new(format!("ps, which says whether {program} ({pid}) lives, cannot be run: {e}"))
    })?;
    let line = String::from_utf8_lossy(&ps.stdout).into_owned();
    Ok(line.contains(program) && !line.trim_start().starts_with('Z'))
}

fn end(pid: u32, program: &str) -> Result<(), Failure> {
    let signal = |signal: &str| Command::new("kill").args([signal, &pid.to_string()]).status();
    signal("-TERM")?;
    let start = Instant::now();
    while is_alive(pid, program)? {
        if start.elapsed() > Duration::from_secs(5) {
            signal("-KILL")?;
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
