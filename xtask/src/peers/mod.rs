//! Servers and clients that we did not write: what they are, how they are
//! installed and started.

mod catalogue;
mod install;
mod mqtt;
mod program;
mod server;
mod state;
mod templar;

pub(crate) use catalogue::{Language, Peer, Role, all, find};
pub(crate) use install::{Installed, install, python2};
pub(crate) use program::run_within;
pub(crate) use server::{Life, NotUp, Running, start};

use crate::context::{Context, Failure};

/// Why a peer cannot be had here.
pub(crate) type NotHad = String;

/// `cargo xtask peers [up|down NAME]`.
pub(crate) fn run(context: &Context, args: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        [] => list(),
        ["up", name] => up(context, find(name)?),
        ["down", name] => state::down(context, find(name)?),
        _ => Err(Failure::usage("peers takes nothing, `up NAME` or `down NAME`")),
    }
}

fn list() -> Result<(), Failure> {
    for peer in all() {
        eprintln!("{:<12} {:<12} {}", peer.name, peer.of, peer.what);
    }
    Ok(())
}

/// Installs a peer; a server is started, and told how to reach.
fn up(context: &Context, peer: &Peer) -> Result<(), Failure> {
    let cannot = |reason| Failure::new(format!("{} cannot be had: {reason}", peer.name));
    // What runs is not installed anew under its feet.
    state::refuse_a_second(context, peer)?;
    let installed = install(context, peer).map_err(cannot)?;
    if !matches!(peer.role, Role::Server(_)) {
        eprintln!("{} is installed in {}", peer.name, installed.folder.display());
        eprintln!("it is a client: `cargo xtask interop {}` runs it", peer.of);
        return Ok(());
    }
    let running = start(context, peer, &installed, Life::Detached).map_err(|reason| {
        let (NotUp::NotHad(reason) | NotUp::Broken(reason)) = reason;
        cannot(reason)
    })?;
    state::keep(context, peer, &running)?;
    for (name, value) in &running.env {
        eprintln!("export {name}={value}");
    }
    eprintln!("# with these, the suite for any service runs on it: cargo xtask test {}", peer.of);
    eprintln!("# and this ends it: cargo xtask peers down {}", peer.name);
    running.leave();
    Ok(())
}
