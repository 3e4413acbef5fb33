//! Documents name only what exists: files, and tests.

use std::{collections::BTreeSet, path::Path};

use super::{Finding, source::Source};
use crate::context::{Context, Failure};

pub(super) fn check(context: &Context, sources: &[Source]) -> Result<Vec<Finding>, Failure> {
    let tests: BTreeSet<&str> = sources.iter().flat_map(test_names).collect();
    let mut documents = vec![context.root.join("README.md")];
    for folder in ["docs", "docs/protocols"] {
        for entry in std::fs::read_dir(context.root.join(folder))? {
            let path = entry?.path();
            documents.extend(path.extension().is_some_and(|e| e == "md").then_some(path.clone()));
        }
    }
    for folder in context.folders()? {
        documents.push(context.root.join("crates").join(folder).join("README.md"));
    }
    let mut findings = Vec::new();
    for path in documents {
        let text = std::fs::read_to_string(&path)?;
        let place = path.strip_prefix(&context.root).unwrap_or(&path).to_string_lossy();
        findings.extend(check_one(&context.root, &place, &text, &tests));
    }
    Ok(findings)
}

/// `crates/..`, `docs/..`, `ci/..` and `xtask/..` in back quotes or as a link
/// are files; `test ` before back quotes makes them the name of a test.
fn check_one(root: &Path, place: &str, text: &str, tests: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let place = format!("{place}:{}", at + 1);
        let mut before = "";
        for (odd, part) in line.split('`').enumerate() {
            let quoted = odd % 2 == 1;
            if quoted && is_path(part) && !root.join(part).exists() {
                findings.push(Finding::new(&*place, format!("there is no {part}")));
            }
            if quoted && before.ends_with("test ") && !tests.contains(part) {
                findings.push(Finding::new(&*place, format!("there is no test {part}")));
            }
            before = part;
        }
        for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let outside = link.contains("://") || file.is_empty();
            let folder = Path::new(&place).parent().unwrap_or_else(|| Path::new(""));
            if !outside && !root.join(folder).join(file).exists() {
                findings.push(Finding::new(&*place, format!("the link {link} leads nowhere")));
            }
        }
    }
    findings
}

fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let rooted = ["crates/", "docs/", "ci/", "xtask/", ".ci/"].iter().any(|r| text.starts_with(r));
    rooted && text.chars().all(plain)
}

fn test_names(source: &Source) -> Vec<&str> {
    let mut names = Vec::new();
    let mut attribute = false;
    for line in source.text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            attribute = true;
        } else if attribute && line.contains("fn ") {
            let name = line.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            names.extend(name);
            attribute = false;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names_of_what_is_not_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tests = BTreeSet::from(["a_test"]);
        let found = |text: &str| check_one(root, "docs/X.md", text, &tests).len();
        assert_eq!(found("see `crates/none/x.rs` and `crates/CRATE/*`"), 1);
        assert_eq!(found("the test `a_test` and the test `another`"), 1);
        assert_eq!(found("[a](gone.md) and [b](https://example.org/x)"), 1);
    }
}
