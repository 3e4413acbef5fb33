//! `cargo xtask package`: makes the archives and builds each from its archive.

use std::{fs, path::PathBuf};

use crate::context::{Context, Failure};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    // Cargo takes what comes from a registry to be the same for ever: neither
    // what it has unpacked nor what it has built of an earlier dry run may stay.
    forget_archives(context)?;
    let target = context.root.join("target").join("archives");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    // In a work tree with changes the archives would not be what is committed;
    // that is for a person to decide, not for a check.
    let target = target.to_string_lossy();
    let publish =
        ["publish", "--workspace", "--dry-run", "--allow-dirty", "--target-dir", &*target];
    context.run("cargo", &publish)
}

/// A dry run unpacks our archives into cargo's home, under a name made of the
/// checkout's path and the version.
fn forget_archives(context: &Context) -> Result<(), Failure> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let Some(home) = home else { return Ok(()) };
    let mut packages = Vec::new();
    for folder in context.folders()? {
        packages.push(context.package(&folder)?);
    }
    for part in ["src", "cache"] {
        // Registries of other machines are named after their hosts; the one of
        // a dry run has no host.
        for registry in entries(&home.join("registry").join(part)) {
            let name = registry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('-') {
                entries(&registry).into_iter().try_for_each(|path| forget(&path, &packages))?;
            }
        }
    }
    Ok(())
}

fn forget(path: &PathBuf, packages: &[&str]) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let version = |package: &&str| {
        let rest = name.strip_prefix(package).and_then(|rest| rest.strip_prefix('-'));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if packages.iter().any(version) {
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    Ok(())
}

/// What is in a folder; nothing if there is none.
fn entries(folder: &PathBuf) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).into_iter().flatten();
    read.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}
