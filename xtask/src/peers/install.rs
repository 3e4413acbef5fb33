//! Installs a peer into a folder under `target/`, once: a second run finds a
//! stamp with the same pins and downloads nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    NotHad,
    catalogue::{Need, Peer},
    program::{look_up, need, run_within, tail},
};
use crate::context::Context;

/// Longest time for one step; a registry that is slower cannot be had.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where a peer is.
pub(crate) struct Installed {
    pub(crate) folder: PathBuf,
}

impl Installed {
    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("venv/bin/python")
    }

    /// Packages for Python 2.7.
    pub(crate) fn python2_packages(&self) -> PathBuf {
        self.folder.join("python2")
    }

    /// A home with nothing in it: no file of the user's changes what is tested.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

/// Installs what `peer` needs, or says why that cannot be.
pub(crate) fn install(context: &Context, peer: &Peer) -> Result<Installed, NotHad> {
    let folder = context.root.join("target/peers").join(peer.folder());
    let told = |e: io::Error| format!("{}: {e}", folder.display());
    fs::create_dir_all(folder.join("home")).map_err(told)?;
    let installed = Installed { folder: folder.clone() };
    let log = installed.log("install");
    fs::write(&log, "").map_err(told)?;
    let stamp = folder.join("installed");
    let pins = pins(context, peer).map_err(told)?;
    let fresh = fs::read_to_string(&stamp).is_ok_and(|found| found == pins);
    if !fresh && stamp.exists() {
        // What breaks off half-way is not taken for whole.
        fs::remove_file(&stamp).map_err(told)?;
    }
    for wanted in peer.needs {
        // What is installed is of no use without what runs it.
        match wanted {
            Need::Program { name, package } => program(name, package, &log)?,
            Need::Venv { .. } => drop(need("python3")?),
            Need::Npm { .. } => drop([need("node")?, need("npm")?]),
            Need::Python2 { .. } => drop(python2()?),
            Need::ByPath { variable } => drop(by_path(variable)?),
        }
        match wanted {
            Need::Program { .. } | Need::ByPath { .. } => {}
            Need::Venv { .. } | Need::Npm { .. } | Need::Python2 { .. } if fresh => {}
            Need::Python2 { pins } => {
                let pins = context.root.join("ci/peers").join(pins);
                twice(|| python2_packages(&installed, &pins, &log))?;
            }
            Need::Venv { alone, pins } => {
                let alone = alone.map(|file| context.root.join("ci/peers").join(file));
                let pins = context.root.join("ci/peers").join(pins);
                twice(|| venv(&folder, alone.as_deref(), &pins, &log))?;
            }
            Need::Npm { pins } => {
                let pins = context.root.join("ci/peers").join(pins);
                twice(|| npm(&folder, &pins, &log))?;
            }
        }
    }
    fs::write(stamp, pins).map_err(told)?;
    Ok(installed)
}

/// All pins of a peer, in one text.
fn pins(context: &Context, peer: &Peer) -> io::Result<String> {
    let mut all = String::new();
    for need in peer.needs {
        let files = match need {
            Need::Program { .. } | Need::ByPath { .. } => [None, None],
            Need::Python2 { pins } => [None, Some(*pins)],
            Need::Venv { alone, pins } => [*alone, Some(*pins)],
            Need::Npm { pins } => [Some(*pins), None],
        };
        for file in files.into_iter().flatten() {
            all.push_str(&fs::read_to_string(context.root.join("ci/peers").join(file))?);
        }
    }
    Ok(all)
}

/// A registry may fail once.
fn twice(mut step: impl FnMut() -> Result<(), NotHad>) -> Result<(), NotHad> {
    step().or_else(|_| step())
}

fn step(command: &mut Command, log: &Path) -> Result<(), NotHad> {
    let name = command.get_program().to_string_lossy().into_owned();
    match run_within(command, log, PATIENCE)?.success() {
        true => Ok(()),
        false => Err(format!("{name} failed:\n{}", tail(log))),
    }
}

fn venv(folder: &Path, alone: Option<&Path>, pins: &Path, log: &Path) -> Result<(), NotHad> {
    let python = need("python3")?;
    eprintln!("installing {} with pip", name_of(pins));
    let venv = folder.join("venv");
    step(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv), log)?;
    let pip = || {
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip
    };
    if let Some(alone) = alone {
        step(pip().args(["--no-deps", "-r"]).arg(alone), log)?;
    }
    step(pip().arg("-r").arg(pins), log)
}

/// Python 2.7, where it is installed: by its own name, or by a version manager's
/// that has to be told which one is meant.
pub(crate) fn python2() -> Result<PathBuf, NotHad> {
    let named = look_up("python2.7").filter(|python| answers(python));
    let managed =
        std::env::home_dir().map(|home| home.join(".pyenv/versions/2.7.18/bin/python2.7"));
    let managed = managed.filter(|python| answers(python));
    named.or(managed).ok_or_else(|| "there is no python2.7 in PATH".to_owned())
}

/// A name may stand for a program that is not there.
fn answers(python: &Path) -> bool {
    Command::new(python).arg("-V").output().is_ok_and(|output| output.status.success())
}

/// The program that a variable names.
pub(crate) fn by_path(variable: &str) -> Result<PathBuf, NotHad> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path = path.ok_or_else(|| format!("{variable} does not say where the program is"))?;
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("{variable}: there is no {}", path.display())),
    }
}

fn python2_packages(installed: &Installed, pins: &Path, log: &Path) -> Result<(), NotHad> {
    eprintln!("installing {} with pip for Python 2.7", name_of(pins));
    let packages = installed.python2_packages();
    if packages.exists() {
        fs::remove_dir_all(&packages).map_err(|e| format!("{}: {e}", packages.display()))?;
    }
    let mut pip = Command::new(python2()?);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]);
    step(pip.arg(&packages).arg("-r").arg(pins), log)
}

fn npm(folder: &Path, pins: &Path, log: &Path) -> Result<(), NotHad> {
    let npm = need("npm")?;
    eprintln!("installing {} with npm", name_of(pins));
    let text = fs::read_to_string(pins).map_err(|e| e.to_string())?;
    let packages = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut command = Command::new(npm);
    command.args(["install", "--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts"]);
    step(command.arg("--prefix").arg(folder).args(packages), log)
}

fn name_of(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Finds a program of the system; as root on Debian, it is installed.
fn program(name: &str, package: &str, log: &Path) -> Result<(), NotHad> {
    if look_up(name).is_some() {
        return Ok(());
    }
    let missing = format!("there is no {name} in PATH (Debian: apt-get install {package})");
    let Some(apt) = look_up("apt-get").filter(|_| is_root()) else { return Err(missing) };
    eprintln!("installing {package} with apt-get");
    let guard = NoServices::new().map_err(|e| e.to_string())?;
    let update = || step(Command::new(&apt).args(["update", "-qq"]), log);
    let install = || {
        let mut command = Command::new(&apt);
        command.args(["install", "-y", "-qq", "--no-install-recommends", package]);
        step(command.env("DEBIAN_FRONTEND", "noninteractive"), log)
    };
    let installed = install().or_else(|_| update().and_then(|()| install()));
    drop(guard);
    installed?;
    look_up(name).map(|_| ()).ok_or(missing)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

/// Keeps a package from starting its service, which would listen on all
/// interfaces, while it is installed.
struct NoServices {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn new() -> io::Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
        #[cfg(unix)]
        fs::set_permissions(POLICY, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _gone = fs::remove_file(POLICY);
        }
    }
}
