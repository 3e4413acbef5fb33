//! `cargo xtask bench CRATE`: us and our peers in turn on this machine, with ratios.
//! The peers come from registries; nothing here is a test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    context::{Context, Failure},
    peers::{self, Installed, Life, NotUp},
};

/// Clean builds of each side; the median counts.
const BUILDS: usize = 3;

pub(crate) fn run(context: &Context, args: &[String]) -> Result<(), Failure> {
    match args {
        [name] if name == "cent" => cent(context),
        [name] if name == "emitter" => emitter(context),
        [name] if name == "high-templar" => high_templar(context),
        [name] if name == "satori-rtm" => satori_rtm(context),
        [name] if name == "stream-sea" => stream_sea(context),
        _ => Err(Failure::usage(
            "bench takes a crate that has one: cent, emitter, high-templar, satori-rtm, stream-sea",
        )),
    }
}

/// Builds the bench of a crate in release mode; returns the program.
fn build(context: &Context, name: &str) -> Result<PathBuf, Failure> {
    eprintln!("building the bench in release mode; this takes minutes the first time");
    let manifest = format!("xtask/bench/{name}/Cargo.toml");
    let target = context.root.join("target/bench");
    let mut build = context.command("cargo", &["build", "--release", "--manifest-path", &manifest]);
    build.env("CARGO_TARGET_DIR", &target);
    succeed(&mut build, "the build of the bench")?;
    Ok(target.join(format!("release/{name}-bench")))
}

/// A client from PyPI; told if it cannot be had.
fn python(context: &Context, name: &str) -> Option<Installed> {
    let found =
        peers::find(name).and_then(|peer| peers::install(context, peer).map_err(Failure::new));
    match found {
        Ok(installed) => Some(installed),
        Err(reason) => {
            eprintln!("{name}: not run: {reason}");
            None
        }
    }
}

fn satori_rtm(context: &Context) -> Result<(), Failure> {
    let mut bench = Command::new(build(context, "satori-rtm")?);
    if let Some(installed) = python(context, "satori-rtm/python-sdk") {
        bench.env("RTM_PYTHON", installed.python());
    }
    if let Some(installed) = python(context, "satori-rtm/npm-sdk") {
        bench.env("RTM_NODE_PATH", installed.folder.join("node_modules"));
    }
    succeed(&mut bench, "the bench")
}

fn stream_sea(context: &Context) -> Result<(), Failure> {
    let mut bench = Command::new(build(context, "stream-sea")?);
    if let Some(installed) = python(context, "python-client") {
        bench.env("SEA_PYTHON", installed.python());
    }
    succeed(&mut bench, "the bench")
}

/// On a real broker as well, where its path is given: `EMITTER_PORT` and `EMITTER_KEY`
/// say where one runs.
fn emitter(context: &Context) -> Result<(), Failure> {
    let mut bench = Command::new(build(context, "emitter")?);
    if let Some(installed) = python(context, "emitter/python-sdk") {
        bench.env("EMITTER_PYTHON", installed.python());
    }
    succeed(&mut bench, "the bench")
}

/// The server and the client; the browser client where `HIGH_TEMPLAR_JS` says that it is.
fn high_templar(context: &Context) -> Result<(), Failure> {
    let mut bench = Command::new(build(context, "high-templar")?);
    let target = context.root.join("target/bench");
    let mut program =
        context.command("cargo", &["build", "--release", "--package", "high-templar"]);
    succeed(program.env("CARGO_TARGET_DIR", &target), "the build of the server")?;
    bench.env("HIGH_TEMPLAR_PROGRAM", target.join("release/high-templar"));
    if let Some(installed) = python(context, "high-templar-3.1") {
        bench.env("HIGH_TEMPLAR_PYTHON", installed.python());
        bench.env("HIGH_TEMPLAR_SCRIPT", context.root.join("ci/peers/high_templar_3.py"));
    }
    succeed(&mut bench, "the bench")
}

fn cent(context: &Context) -> Result<(), Failure> {
    let program = build(context, "cent")?;
    let target = context.root.join("target/bench");
    let pycent = python(context, "cent-5.2");
    let bench = |server: &[&str]| {
        let mut bench = Command::new(&program);
        bench.args(server);
        if let Some(installed) = &pycent {
            bench.env("CENT_PYTHON", installed.python());
        }
        succeed(&mut bench, "the bench")
    };
    bench(&[])?;
    real(context, &bench)?;
    builds(context, &target)
}

/// The same on a real server, where its path is given.
fn real(context: &Context, bench: &dyn Fn(&[&str]) -> Result<(), Failure>) -> Result<(), Failure> {
    let peer = peers::find("centrifugo-v6")?;
    let started = peers::install(context, peer).map_err(NotUp::NotHad);
    let started = started.and_then(|installed| peers::start(context, peer, &installed, Life::Held));
    let running = match started {
        Ok(running) => running,
        Err(NotUp::NotHad(reason)) => {
            eprintln!("centrifugo-v6: not run: {reason}");
            return Ok(());
        }
        Err(NotUp::Broken(reason)) => return Err(Failure::new(reason)),
    };
    let told = |name| running.env.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    match (told("CENT_URL"), told("CENT_KEY")) {
        (Some(url), Some(key)) => bench(&[url, key]),
        _ => Err(Failure::new("centrifugo-v6 does not say how it is reached")),
    }
}

fn succeed(command: &mut Command, what: &str) -> Result<(), Failure> {
    match command.status()?.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("{what} failed"))),
    }
}

/// What a user of each crate builds: how many crates, and for how long.
fn builds(context: &Context, target: &Path) -> Result<(), Failure> {
    let ours = format!("cent = {{ path = {:?} }}", context.root.join("crates/cent"));
    let official = "cent = { version = \"=0.1.0\", features = [\"blocking\"] }".to_owned();
    let mut sides = Vec::new();
    for (name, dependency) in [("ours", ours), ("official", official)] {
        let folder = target.join("minimal").join(name);
        fs::create_dir_all(folder.join("src"))?;
        fs::write(folder.join("src/lib.rs"), "")?;
        let manifest = format!(
            "[workspace]\n[package]\nname = \"minimal\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [dependencies]\n{dependency}\n"
        );
        fs::write(folder.join("Cargo.toml"), manifest)?;
        let tree = context
            .command("cargo", &["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
            .current_dir(&folder)
            .output()?;
        let text = String::from_utf8_lossy(&tree.stdout).into_owned();
        // The last column marks what was listed before; the minimal package is none.
        let crates: std::collections::BTreeSet<&str> =
            text.lines().map(|line| line.trim_end_matches(" (*)")).skip(1).collect();
        sides.push((name, folder, crates.len(), Vec::new()));
    }
    for _ in 0..BUILDS {
        for (name, folder, _, times) in &mut sides {
            let out = folder.join("target");
            if out.exists() {
                fs::remove_dir_all(&out)?;
            }
            let start = Instant::now();
            let mut build = context.command("cargo", &["build", "--quiet"]);
            build.current_dir(&*folder).env("CARGO_TARGET_DIR", &out);
            succeed(&mut build, &format!("the clean build of {name}"))?;
            times.push(start.elapsed());
        }
    }
    let mut medians = Vec::new();
    for (name, _, crates, times) in &mut sides {
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let (least, most) = (times.first().copied(), times.last().copied());
        eprintln!(
            "clean debug build, {name:<9}{crates:>4} crates{:>7.1} s ({:.1} .. {:.1})",
            median.as_secs_f64(),
            least.unwrap_or_default().as_secs_f64(),
            most.unwrap_or_default().as_secs_f64(),
        );
        medians.push(median);
    }
    if let [ours, official] = medians.as_slice() {
        eprintln!(
            "ours / official: {:.2}",
            ours.as_secs_f64() / official.max(&Duration::from_millis(1)).as_secs_f64()
        );
    }
    Ok(())
}
