//! How many crates a user takes in with one of ours, itself included.

use std::collections::BTreeSet;

use super::Finding;
use crate::context::{Context, Failure};

/// Default features, without TLS.
const BUDGET: [(&str, usize); 2] = [("ws-core", 35), ("satori-rtm", 56)];

pub(super) fn check(context: &Context) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for (package, limit) in BUDGET {
        let count = count(context, package)?;
        eprintln!("tidy:   {package} takes {count} crates of {limit}");
        if count > limit {
            findings.push(Finding::new(package, format!("{count} crates, over {limit}")));
        }
    }
    Ok(findings)
}

fn count(context: &Context, package: &str) -> Result<usize, Failure> {
    let tree = context.output(
        "cargo",
        &["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--locked"],
    )?;
    // A crate that was listed before is marked with a star.
    let name = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    Ok(tree.lines().map(name).filter(|name| !name.is_empty()).collect::<BTreeSet<_>>().len())
}
