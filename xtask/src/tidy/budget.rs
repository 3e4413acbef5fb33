//! How many crates a user takes in with one of ours, itself included.

use std::collections::BTreeSet;

use super::Finding;
use crate::context::{Context, Failure};

/// A package, the features that are turned on, and how many crates it may take:
/// without TLS, and with it.
const BUDGET: [(&str, &str, usize); 12] = [
    ("ws-core", "tokio", 35),
    ("ws-core", "ring,webpki-roots", 47),
    ("satori-rtm", "client", 56),
    ("satori-rtm", "default", 70),
    ("stream-sea", "client", 56),
    ("stream-sea", "default", 70),
    ("cent", "blocking", 34),
    ("cent", "default", 45),
    ("emitter", "client", 56),
    ("emitter", "default", 70),
    ("high-templar-client", "client", 56),
    ("high-templar-client", "default", 70),
];

pub(super) fn check(context: &Context) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for (package, features, limit) in BUDGET {
        let count = count(context, package, features)?;
        eprintln!("tidy:   {package} with {features} takes {count} crates of {limit}");
        if count > limit {
            let rule = format!("{count} crates with {features}, over {limit}");
            findings.push(Finding::new(package, rule));
        }
    }
    Ok(findings)
}

fn count(context: &Context, package: &str, features: &str) -> Result<usize, Failure> {
    let tree = ["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", package];
    let features = ["--no-default-features", "--features", features];
    let tree = context.output("cargo", &[&tree[..], &features].concat())?;
    // A crate that was listed before is marked with a star.
    let name = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    Ok(tree.lines().map(name).filter(|name| !name.is_empty()).collect::<BTreeSet<_>>().len())
}
