//! What decides has no clock, no socket and no randomness of its own; unsafe
//! code has its two places; every exception to a lint says why.

use super::{Finding, source::Source};

/// What the pure layers must not name.
const IMPURE: [&str; 12] = [
    "tokio",
    "net::",
    "fs::",
    "thread::",
    "TcpStream",
    "UdpSocket",
    "dial(",
    "Instant::now",
    "SystemTime",
    "getrandom",
    "rand::",
    "thread_rng",
];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    sources
        .iter()
        .flat_map(|source| [purity, unsafety, exceptions].map(|f| f(source)))
        .flatten()
        .collect()
}

/// Whether a file belongs to a pure layer.
fn is_pure(path: &str) -> bool {
    let drives = ["connector.rs", "/driver/", "/http/"].iter().any(|part| path.contains(part));
    let core = path.starts_with("crates/client-core/src/") && !drives;
    let frames = ["session", "assembly", "decode", "encode", "frame/", "utf8/", "mask/mod"];
    let frames = frames.iter().any(|part| path.starts_with(&format!("crates/ws-core/src/{part}")));
    core || frames || path.contains("/src/proto/")
}

fn purity(source: &Source) -> Vec<Finding> {
    if !is_pure(&source.path) || source.is_test() {
        return Vec::new();
    }
    let lines = source.code().filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines
        .filter(|(_, line)| !line.contains("feature = \"tokio\""))
        .filter_map(|(number, line)| {
            let named = IMPURE.iter().find(|name| line.contains(**name))?;
            let place = format!("{}:{number}", source.path);
            Some(Finding::new(place, format!("{named} in a layer that must be pure")))
        })
        .collect()
}

fn unsafety(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let home = ["crates/ws-core/src/mask/", "crates/ws-core/src/utf8/"];
    let at_home = home.iter().any(|folder| source.path.starts_with(folder));
    let lines: Vec<&str> = source.text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let is_unsafe = line.contains("unsafe {") && !line.trim_start().starts_with("//");
        let place = || format!("{}:{}", source.path, at + 1);
        if is_unsafe && !source.path.starts_with("xtask/") {
            if !at_home {
                findings.push(Finding::new(place(), "unsafe outside mask and utf8"));
            }
            let before = lines.get(at.saturating_sub(4)..at).unwrap_or_default();
            if !before.iter().any(|line| line.contains("// SAFETY:")) {
                findings.push(Finding::new(place(), "unsafe without a SAFETY line"));
            }
        }
    }
    let is_library = source.path.ends_with("/src/lib.rs");
    let forbids = source.text.contains("#![forbid(unsafe_code)]");
    if is_library && !forbids && !source.path.starts_with("crates/ws-core/") {
        findings.push(Finding::new(&*source.path, "#![forbid(unsafe_code)] is missing"));
    }
    findings
}

/// An exception stands with its reason in one attribute.
fn exceptions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, _) in
        source.text.match_indices("#[allow(").chain(source.text.match_indices("#[expect("))
    {
        let rest = source.text.get(at..).unwrap_or_default();
        let attribute = rest.split_once(")]").map_or(rest, |(attribute, _)| attribute);
        if !attribute.contains("reason = ") && !source.path.starts_with("xtask/src/tidy/") {
            let line = source.text.get(..at).unwrap_or_default().lines().count();
            let place = format!("{}:{line}", source.path);
            findings.push(Finding::new(place, "an exception to a lint without a reason"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(path: &str, text: &str) -> usize {
        check(&[Source { path: path.into(), text: text.into() }]).len()
    }

    #[test]
    fn finds_what_does_not_belong() {
        let proto = "crates/x/src/proto/y.rs";
        assert_eq!(check_one(proto, "let now = Instant::now();\n"), 1);
        assert_eq!(check_one(proto, "/// Not `Instant::now`.\nfn f() {}\n"), 0);
        assert_eq!(check_one("crates/x/src/client/y.rs", "let now = Instant::now();\n"), 0);
        assert_eq!(check_one("crates/client-core/src/y.rs", "use tokio::time;\n"), 1);
        assert_eq!(check_one("crates/x/src/y.rs", "// SAFETY: no.\nunsafe { f() }\n"), 1);
        assert_eq!(check_one("crates/ws-core/src/mask/mod.rs", "unsafe { f() }\n"), 1);
        assert_eq!(check_one("crates/x/src/lib.rs", "mod y;\n"), 1);
        assert_eq!(check_one("crates/x/src/y.rs", "#[allow(dead_code)]\nfn f() {}\n"), 1);
    }
}
