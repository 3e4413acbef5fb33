//! What every manifest says alike.

use serde_json::Value;

use super::Finding;
use crate::context::{Context, Failure};

pub(super) fn check(context: &Context) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for folder in context.folders()? {
        let path = format!("crates/{folder}/Cargo.toml");
        let text = std::fs::read_to_string(context.root.join(&path))?;
        findings.extend(dependencies(&path, &text));
        if !text.contains("[lints]\nworkspace = true") {
            findings.push(Finding::new(&*path, "[lints] workspace = true is missing"));
        }
        for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            if !context.root.join("crates").join(&folder).join(file).exists() {
                findings.push(Finding::new(format!("crates/{folder}"), format!("no {file}")));
            }
        }
    }
    for path in ["xtask/Cargo.toml", "xtask/demo/Cargo.toml"] {
        let text = std::fs::read_to_string(context.root.join(path))?;
        findings.extend(dependencies(path, &text));
    }
    findings.extend(root(&std::fs::read_to_string(context.root.join("Cargo.toml"))?));
    findings.extend(metadata(context)?);
    Ok(findings)
}

/// Every version has its default features off; a crate of the house also has
/// its path.
fn root(text: &str) -> Vec<Finding> {
    let section = text.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let entries = lines.filter(|line| line.contains('=') && !line.starts_with('#'));
    entries
        .filter(|line| !line.contains("default-features = false") || !line.contains("version = "))
        .map(|line| Finding::new("Cargo.toml", format!("defaults on, or no version: {line}")))
        .collect()
}

/// Versions stand in the root manifest only. A development dependency on a
/// crate of the house is by path alone, so that it is dropped on publishing.
fn dependencies(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut section = "";
    for (at, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let place = || format!("{path}:{}", at + 1);
        if !section.ends_with("dependencies]") || name.starts_with('#') || line.starts_with(' ') {
            continue;
        }
        let by_path = value.contains("path = ");
        if by_path && (section != "[dev-dependencies]" || value.contains("version = ")) {
            findings.push(Finding::new(place(), "by path only as a development dependency"));
        }
        if !by_path && !name.contains(".workspace") && !value.contains("workspace = true") {
            findings.push(Finding::new(place(), "a version outside the root manifest"));
        }
    }
    findings
}

/// What crates.io shows of a package.
fn metadata(context: &Context) -> Result<Vec<Finding>, Failure> {
    let text = context.output("cargo", &["metadata", "--format-version=1", "--no-deps"])?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|e| Failure::new(format!("cargo metadata: {e}")))?;
    let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
    let mut findings = Vec::new();
    for package in packages {
        let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
        // `publish = false` is an empty list of registries.
        if package.get("publish").is_some_and(|p| p.as_array().is_some_and(Vec::is_empty)) {
            continue;
        }
        for field in ["description", "license", "readme", "documentation", "rust_version"] {
            if package.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
                findings.push(Finding::new(name, format!("no {field}")));
            }
        }
        for field in ["keywords", "categories"] {
            let count = package.get(field).and_then(Value::as_array).map_or(0, Vec::len);
            if !(1..=5).contains(&count) {
                findings.push(Finding::new(name, format!("{count} {field}, wants 1 to 5")));
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_defaults_that_are_on() {
        let found = |line: &str| root(&format!("[workspace.dependencies]\n{line}\n[x]\ny=1")).len();
        assert_eq!(found("a = \"1\""), 1);
        assert_eq!(found("a = { path = \"a\", default-features = false }"), 1);
        assert_eq!(found("a = { version = \"1\", default-features = false }"), 0);
    }

    #[test]
    fn finds_versions_outside_the_root() {
        let found = |text: &str| dependencies("Cargo.toml", text).len();
        assert_eq!(found("[dependencies]\na = \"1\"\n"), 1);
        assert_eq!(found("[dependencies]\na.workspace = true\nb = { workspace = true }\n"), 0);
        assert_eq!(found("[dependencies]\na = { path = \"../a\" }\n"), 1);
        assert_eq!(found("[dev-dependencies]\na = { path = \"../a\" }\n"), 0);
        assert_eq!(found("[dev-dependencies]\na = { path = \"../a\", version = \"1\" }\n"), 1);
        assert_eq!(found("[features]\na = []\n"), 0);
    }
}
