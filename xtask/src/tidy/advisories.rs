//! What is known against packages that Cargo.lock names: `ci/advisories.toml`.

use std::collections::BTreeMap;

use super::Finding;
use crate::context::{Context, Failure};

const POLICY: &str = "ci/advisories.toml";
const LOCK: &str = "Cargo.lock";
const SECTIONS: [&str; 4] = ["fixed", "banned", "accepted", "single"];

type Version = (u64, u64, u64);

/// Sections by name; of each, the packages with what stands in quotes behind them.
type Policy<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Vec<&'a str>>>;

/// The versions of each package.
type Locked<'a> = BTreeMap<&'a str, Vec<&'a str>>;

pub(super) fn check(context: &Context) -> Result<Vec<Finding>, Failure> {
    let read = |path: &str| std::fs::read_to_string(context.root.join(path));
    let (policy, lock) = (read(POLICY)?, read(LOCK)?);
    let policy = match policy_of(&policy) {
        Ok(policy) => policy,
        Err(line) => return Ok(vec![Finding::new(POLICY, format!("cannot be read: {line}"))]),
    };
    let locked = locked(&lock);
    let accepted: Vec<_> = section(&policy, "accepted").map(|(name, _)| name).collect();
    eprintln!("tidy:   {} packages, accepted in spite of an advisory: {accepted:?}", locked.len());
    Ok(findings(&policy, &locked))
}

fn findings(policy: &Policy<'_>, locked: &Locked<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let versions = |name: &str| locked.get(name).map(Vec::as_slice).unwrap_or_default();
    let accepted = |name: &str| policy.get("accepted").is_some_and(|s| s.contains_key(name));
    let mut find = |name: &str, rule: String| {
        findings.push(Finding::new(LOCK, format!("{name} {rule} ({POLICY})")));
    };
    for (name, fixed) in section(policy, "fixed") {
        for version in versions(name).iter().filter(|version| !is_fixed(version, fixed)) {
            find(name, format!("{version} has an advisory, fixed in {}", fixed.join(", ")));
        }
    }
    for (name, why) in section(policy, "banned") {
        if !versions(name).is_empty() && !accepted(name) {
            find(name, format!("is banned: {}", why.join(", ")));
        }
    }
    for (name, _) in section(policy, "accepted") {
        if versions(name).is_empty() {
            find(name, "is accepted and not there".to_owned());
        }
    }
    for (name, _) in section(policy, "single") {
        if versions(name).len() > 1 {
            find(name, format!("comes in versions {}", versions(name).join(" and ")));
        }
    }
    findings
}

fn section<'a>(
    policy: &'a Policy<'a>,
    name: &str,
) -> impl Iterator<Item = (&'a str, &'a [&'a str])> {
    policy.get(name).into_iter().flatten().map(|(name, values)| (*name, values.as_slice()))
}

/// Reads the little of TOML that the file uses: sections, and keys with quoted values on
/// one line. What is more than that is named.
fn policy_of(text: &str) -> Result<Policy<'_>, String> {
    let mut policy = Policy::new();
    let mut section = "";
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let content = line.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        let named = content.strip_prefix('[').and_then(|content| content.strip_suffix(']'));
        if let Some(name) = named.filter(|_| !content.contains('=')) {
            section = SECTIONS.into_iter().find(|known| *known == name).ok_or(line)?;
            continue;
        }
        let (name, values) = content.split_once('=').ok_or(line)?;
        let values: Vec<&str> = values.split('"').skip(1).step_by(2).collect();
        if section.is_empty() || values.is_empty() || content.matches('"').count() % 2 == 1 {
            return Err(line.to_owned());
        }
        policy.entry(section).or_default().insert(name.trim(), values);
    }
    Ok(policy)
}

fn locked(text: &str) -> Locked<'_> {
    let mut locked = Locked::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("name = ") {
            name = value.trim_matches('"');
        } else if let Some(value) = line.strip_prefix("version = \"") {
            locked.entry(name).or_default().push(value.trim_end_matches('"'));
        }
    }
    locked
}

/// Whether its series was mended by then; a series without a mend has to be newer than
/// all that have one.
fn is_fixed(version: &str, fixed: &[&str]) -> bool {
    let version = parse(version);
    let fixed: Vec<Version> = fixed.iter().map(|fixed| parse(fixed)).collect();
    match fixed.iter().find(|fixed| series(**fixed) == series(version)) {
        Some(fixed) => version >= *fixed,
        None => fixed.iter().all(|fixed| version > *fixed),
    }
}

fn parse(version: &str) -> Version {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = release.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

/// Versions that Cargo takes for compatible.
const fn series(version: Version) -> (u64, u64) {
    match version {
        (0, minor, _) => (0, minor),
        (major, ..) => (major, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "# [no]\n[fixed]\nrand = [\"0.8.6\", \"0.10.1\"] # why\n[banned]\n\
                          old = \"a reason\"\n[accepted]\n[single]\nbytes = \"why\"\n";

    fn found(policy: &str, packages: &[(&str, &str)]) -> Vec<String> {
        let lock: String = packages
            .iter()
            .map(|(name, version)| format!("name = \"{name}\"\nversion = \"{version}\"\n"))
            .collect();
        let findings = findings(&policy_of(policy).unwrap(), &locked(&lock));
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn finds_versions_with_an_advisory() {
        for (version, count) in
            [("0.8.5", 1), ("0.8.6", 0), ("0.9.9", 1), ("0.10.0", 1), ("0.10.1", 0), ("0.11.0", 0)]
        {
            assert_eq!(found(POLICY, &[("rand", version)]).len(), count, "{version}");
        }
    }

    #[test]
    fn finds_banned_packages_and_stale_exceptions() {
        let accepted = POLICY.replace("[accepted]\n", "[accepted]\nold = \"needed\"\n");
        assert_eq!(found(POLICY, &[("old", "1.0.0")]).len(), 1);
        assert_eq!(found(&accepted, &[("old", "1.0.0")]).len(), 0);
        assert_eq!(found(&accepted, &[]).len(), 1);
    }

    #[test]
    fn names_what_it_cannot_read() {
        policy_of("[fixed] # why\na=[\"1\"]\n").unwrap();
        for text in ["[other]\n", "a = \"1\"\n", "[fixed]\na = [\n\"1\"]\n", "[fixed]\nwhat\n"] {
            policy_of(text).unwrap_err();
        }
    }

    #[test]
    fn finds_two_versions_where_one_is_wanted() {
        assert_eq!(found(POLICY, &[("bytes", "1.0.0"), ("bytes", "2.0.0")]).len(), 1);
        assert_eq!(found(POLICY, &[("bytes", "1.0.0"), ("other", "2.0.0")]).len(), 0);
    }
}
