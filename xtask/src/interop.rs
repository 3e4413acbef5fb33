//! `cargo xtask interop`: our clients on servers that others wrote, and clients
//! that others wrote on our sandbox.
//!
//! What cannot be had here is "not run", with its reason, and never counts as
//! passed; it fails the command only if it is required.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    context::{Context, Failure},
    peers::{self, Installed, NotUp, Peer, Role, Running},
};

/// Longest time for one suite.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a suite may count, in the order in which it is told.
const FIGURES: [&str; 15] = [
    "test",
    "kinds",
    "pairs",
    "not_run",
    "published",
    "acknowledged",
    "sent_again",
    "delivered",
    "lost",
    "duplicated",
    "gaps",
    "cuts",
    "connects",
    "write_read_delete",
    "calls",
];

enum Outcome {
    Passed,
    Failed(String),
    NotRun(String),
}

struct Row {
    peer: &'static Peer,
    outcome: Outcome,
    /// What the suite has counted, a line each.
    figures: Vec<String>,
    seconds: u64,
}

pub(crate) fn run(context: &Context, args: &[String]) -> Result<(), Failure> {
    let (peers, required) = parse(context, args)?;
    let mut rows = Vec::new();
    for peer in peers {
        eprintln!("=== {} for {}: {}", peer.name, peer.of, peer.what);
        let start = Instant::now();
        let (outcome, figures) = meet(context, peer);
        rows.push(Row { peer, outcome, figures, seconds: start.elapsed().as_secs() });
    }
    tell(&rows);
    verdict(&rows, &required)
}

fn parse(
    context: &Context,
    args: &[String],
) -> Result<(Vec<&'static Peer>, Vec<&'static str>), Failure> {
    let (mut of, mut required) = (None, Vec::new());
    let mut words = args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let names = match word {
            "--require" => words.next(),
            _ => word.strip_prefix("--require="),
        };
        match (word, names) {
            (_, Some(names)) => {
                required.extend(names.split(','));
            }
            ("--require", None) => return Err(Failure::usage("--require takes NAME,NAME,..")),
            (word, _) if of.is_none() && !word.starts_with('-') => {
                context.package(word)?;
                of = Some(word);
            }
            (word, _) => return Err(Failure::usage(format!("interop does not take {word:?}"))),
        }
    }
    let wanted = |peer: &&Peer| of.is_none_or(|of| of == peer.of);
    let peers: Vec<&Peer> = peers::all().iter().filter(wanted).collect();
    if peers.is_empty() {
        return Err(Failure::usage(format!("there are no peers of {}", of.unwrap_or_default())));
    }
    let mut named = Vec::new();
    for name in required {
        match peers.iter().find(|peer| peer.name == name) {
            Some(peer) => named.push(peer.name),
            None => return Err(Failure::usage(format!("{name} is no peer of that crate"))),
        }
    }
    Ok((peers, named))
}

/// Installs a peer and runs the suite that it is for.
fn meet(context: &Context, peer: &Peer) -> (Outcome, Vec<String>) {
    let installed = match peers::install(context, peer) {
        Ok(installed) => installed,
        Err(reason) => return (Outcome::NotRun(reason), Vec::new()),
    };
    let suite = match &peer.role {
        Role::Server(_) => on_their_server(context, peer, &installed),
        Role::Client { script, language } => {
            their_client(context, peer, &installed, script, *language)
        }
        Role::Pairs { members } => pairs(context, peer, &installed, members),
    };
    let log = installed.log("suite");
    let said = fs::read_to_string(&log).unwrap_or_default();
    let outcome = match suite {
        Ok(()) => Outcome::Passed,
        Err(Cause::NotHad(reason)) => return (Outcome::NotRun(reason), Vec::new()),
        Err(Cause::Failed(reason)) => {
            eprintln!("{said}");
            Outcome::Failed(format!("{reason}; all it said is in {}", log.display()))
        }
    };
    (outcome, said.lines().filter_map(figures).collect())
}

enum Cause {
    NotHad(String),
    Failed(String),
}

/// The crate's own suite, told where the server is.
fn on_their_server(context: &Context, peer: &Peer, installed: &Installed) -> Result<(), Cause> {
    let started = peers::start(context, peer, installed, peers::Life::Held);
    let running = started.map_err(|reason| match reason {
        NotUp::NotHad(reason) => Cause::NotHad(reason),
        NotUp::Broken(reason) => Cause::Failed(reason),
    })?;
    let suite = match (peer.of, peer.name) {
        ("ws-core", _) => "proxied::",
        (_, "mosquitto") => "generic::",
        _ => "service::",
    };
    let package = context.package(peer.of).map_err(|e| Cause::Failed(e.to_string()))?;
    let mut command = context.command("cargo", &["test", "--quiet", "--package", package]);
    command.args(["--all-features", "--test", "it", suite, "--", "--nocapture"]);
    command.envs(running.env.iter().map(|(name, value)| (name, value)));
    let log = installed.log("suite");
    suite_within(&mut command, &log)?;
    met(&fs::read_to_string(log).unwrap_or_default(), &running)
}

/// Whether tests ran, and on the server that they were led to: each says where it
/// was.
fn met(said: &str, running: &Running) -> Result<(), Cause> {
    let passed = said.lines().filter_map(|line| line.split_once("test result: ok. "));
    let passed = passed.filter_map(|(_, rest)| rest.split(' ').next()?.parse::<u32>().ok());
    if passed.sum::<u32>() == 0 {
        return Err(Cause::Failed("no test ran".into()));
    }
    match running.env.first() {
        Some((name, at)) if !said.contains(&format!("on {at}")) => {
            Err(Cause::Failed(format!("no test says that it ran on {at}, of {name}")))
        }
        _ => Ok(()),
    }
}

/// Their client, on a sandbox that cuts it off once.
fn their_client(
    context: &Context,
    peer: &Peer,
    installed: &Installed,
    script: &str,
    language: peers::Language,
) -> Result<(), Cause> {
    let run = ["run", "--quiet", "--package", "realtime-interop", "--", peer.of, "--home"];
    let mut command = context.command("cargo", &run);
    command.arg(installed.home()).arg("--");
    let (program, variables) = interpreter(installed, language).map_err(Cause::NotHad)?;
    command.arg(program).arg(context.root.join("ci/peers").join(script)).envs(variables);
    command.env("NO_PROXY", "127.0.0.1,localhost");
    suite_within(&mut command, &installed.log("suite"))
}

/// A program, and the variable that tells it where to find packages.
type Interpreter = (PathBuf, Option<(&'static str, PathBuf)>);

/// What runs a script of `language`, and where it finds what is installed.
fn interpreter(installed: &Installed, language: peers::Language) -> Result<Interpreter, String> {
    Ok(match language {
        peers::Language::Python => (installed.python(), None),
        peers::Language::JavaScript => {
            (PathBuf::from("node"), Some(("NODE_PATH", installed.folder.join("node_modules"))))
        }
        peers::Language::Python2 => {
            (peers::python2()?, Some(("PYTHONPATH", installed.python2_packages())))
        }
    })
}

/// Clients of all kinds that can be had here, and ours, through one sandbox. Who cannot
/// be had is told in the log, and is not among the pairs that are counted.
fn pairs(
    context: &Context,
    peer: &Peer,
    installed: &Installed,
    members: &[(&str, &str)],
) -> Result<(), Cause> {
    let failed = |e: Failure| Cause::Failed(e.to_string());
    let run = ["run", "--quiet", "--package", "realtime-interop", "--", "pairs", "--home"];
    let mut command = context.command("cargo", &run);
    command.arg(installed.home()).env("NO_PROXY", "127.0.0.1,localhost");
    let mut missing = Vec::new();
    for (name, script) in members {
        let member = peers::find(name).map_err(failed)?;
        let Role::Client { language, .. } = member.role else { continue };
        let had =
            peers::install(context, member).and_then(|installed| interpreter(&installed, language));
        match had {
            Ok((program, variable)) => {
                let script = context.root.join("ci/peers").join(script);
                let kind = serde_json::json!({
                    "name": member.name,
                    "command": [program, script],
                    "env": variable.map(|(name, value)| serde_json::json!({ name: value })),
                });
                command.arg("--kind").arg(kind.to_string());
            }
            Err(reason) => {
                let first = reason.lines().next().unwrap_or_default();
                missing.push(format!("{}: {first}", member.name));
            }
        }
    }
    if missing.len() == members.len() {
        return Err(Cause::NotHad(missing.join("; ")));
    }
    for missing in missing {
        eprintln!("not among the pairs of {}: {missing}", peer.name);
        command.arg("--missing").arg(missing);
    }
    suite_within(&mut command, &installed.log("suite"))
}

fn suite_within(command: &mut Command, log: &Path) -> Result<(), Cause> {
    fs::write(log, "").map_err(|e| Cause::Failed(e.to_string()))?;
    match peers::run_within(command, log, PATIENCE) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Cause::Failed(format!("the suite failed: {status}"))),
        Err(reason) => Err(Cause::Failed(reason)),
    }
}

/// A line of JSON, or cargo's count of tests, in words.
fn figures(line: &str) -> Option<String> {
    // What a test prints may stand behind the dots that count the tests.
    let line = line.trim_start_matches('.');
    if let Some(counted) = line.strip_prefix("test result: ") {
        return Some(counted.split(';').take(2).collect::<Vec<_>>().join(","));
    }
    let serde_json::Value::Object(fields) = serde_json::from_str(line).ok()? else { return None };
    // In the order of a message's life; the parser's is that of the alphabet.
    let told = FIGURES.iter().filter_map(|name| {
        let value = fields.get(*name)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(format!("{} {text}", name.replace('_', " ")))
    });
    Some(told.collect::<Vec<_>>().join(", ")).filter(|told| !told.is_empty())
}

fn tell(rows: &[Row]) {
    eprintln!();
    for Row { peer, outcome, figures, seconds } in rows {
        let (word, reason) = match outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(reason) => ("FAILED", Some(reason)),
            Outcome::NotRun(reason) => ("not run", Some(reason)),
        };
        eprintln!("{:<12} {:<12} {word:<8} {seconds} s", peer.name, peer.of);
        for line in figures.iter().chain(reason) {
            eprintln!("    {}", line.replace('\n', "\n    "));
        }
    }
}

fn verdict(rows: &[Row], required: &[&str]) -> Result<(), Failure> {
    let failed = rows.iter().filter(|row| matches!(row.outcome, Outcome::Failed(_)));
    let missing = rows.iter().filter(|row| {
        matches!(row.outcome, Outcome::NotRun(_)) && required.contains(&row.peer.name)
    });
    let told: Vec<String> = failed
        .map(|row| format!("{} failed", row.peer.name))
        .chain(missing.map(|row| format!("{} is required and was not run", row.peer.name)))
        .collect();
    if told.is_empty() { Ok(()) } else { Err(Failure::new(told.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_out_of_what_a_suite_says() {
        let line = r#"..{"cuts":1,"test":"a cut"}"#;
        assert_eq!(figures(line).unwrap(), "test a cut, cuts 1");
        let line = "test result: ok. 5 passed; 0 failed; 0 ignored; finished in 1.66s";
        assert_eq!(figures(line).unwrap(), "ok. 5 passed, 0 failed");
        assert_eq!(figures("{not json"), None);
    }

    #[test]
    fn what_was_not_run_fails_only_if_it_is_required() {
        let row = |outcome| Row { peer: &peers::all()[0], outcome, figures: vec![], seconds: 0 };
        let name = peers::all()[0].name;
        let not_run = [row(Outcome::NotRun("no python".into()))];
        assert!(verdict(&not_run, &[]).is_ok());
        assert!(verdict(&not_run, &[name]).is_err());
        assert!(verdict(&[row(Outcome::Passed)], &[name]).is_ok());
        assert!(verdict(&[row(Outcome::Failed("2 + 2".into()))], &[]).is_err());
    }
}
