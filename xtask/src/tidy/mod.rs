//! `cargo xtask tidy`: the rules that a machine can check, so that nobody has
//! to argue about them.

mod advisories;
mod budget;
mod documents;
mod layers;
mod lengths;
mod manifests;
mod source;

use std::fmt;

use crate::context::{Context, Failure};

/// A rule that is broken, and where.
#[derive(Debug)]
pub(crate) struct Finding {
    place: String,
    rule: String,
}

impl Finding {
    fn new(place: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { place: place.into(), rule: rule.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule)
    }
}

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let sources = source::load(&context.root)?;
    let mut findings = Vec::new();
    for (name, found) in [
        ("lengths", lengths::check(&sources)),
        ("layers", layers::check(&sources)),
        ("manifests", manifests::check(context)?),
        ("documents", documents::check(context, &sources)?),
        ("advisories", advisories::check(context)?),
        ("budget", budget::check(context)?),
    ] {
        eprintln!("tidy: {name:<10} {}", if found.is_empty() { "ok" } else { "BROKEN" });
        findings.extend(found);
    }
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        eprintln!("  {finding}");
    }
    Err(Failure::new(format!("{} rules are broken", findings.len())))
}
