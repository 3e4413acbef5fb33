//! `cargo xtask faults CRATE`: the tests that inject faults, and what they add up to.
//!
//! Each such test prints a line of JSON; a test that hangs or panics fails, and is
//! counted by cargo.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::Value;

use crate::context::{Context, Failure};

/// The modules of `tests/it` that inject faults.
const MODULES: [&str; 3] = ["faults::", "fills::", "model::"];

/// What is added up, in the order in which it is told.
const FIGURES: [&str; 10] = [
    "sessions",
    "faults",
    "published",
    "acknowledged",
    "sent_again",
    "delivered",
    "gaps",
    "lost",
    "duplicated",
    "findings",
];

pub(crate) fn run(context: &Context, args: &[String]) -> Result<(), Failure> {
    let [name] = args else { return Err(Failure::usage("faults takes one crate")) };
    let package = context.package(name)?;
    if !context.root.join("crates").join(name).join("tests/it/faults.rs").exists() {
        return Err(Failure::usage(format!("{name} has no tests with faults")));
    }
    let mut command = context.command("cargo", &["test", "--package", package, "--all-features"]);
    command.args(["--test", "it", "--"]).args(MODULES).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    if let Some(said) = child.stderr.take() {
        for line in BufReader::new(said).lines() {
            let line = line?;
            eprintln!("{line}");
            add(&line, &mut totals);
        }
    }
    let status = child.wait()?;
    eprintln!();
    for figure in FIGURES {
        eprintln!("{:<14}{:>12}", figure.replace('_', " "), totals.get(figure).unwrap_or(&0));
    }
    // A test that hangs fails at its deadline, and one that panics at once.
    let hangs = if status.success() { "0" } else { "see above" };
    eprintln!("{:<14}{hangs:>12}", "hangs, panics");
    if !status.success() {
        return Err(Failure::new("a test failed"));
    }
    judge(&totals)
}

/// Tests that pass have to have injected something, and to have found nothing.
fn judge(totals: &BTreeMap<&str, u64>) -> Result<(), Failure> {
    let of = |figure: &str| totals.get(figure).copied().unwrap_or_default();
    if of("faults") == 0 {
        return Err(Failure::new("no fault was injected: do the tests print their figures?"));
    }
    for figure in ["lost", "duplicated", "findings"] {
        match of(figure) {
            0 => {}
            some => return Err(Failure::new(format!("{figure}: {some}"))),
        }
    }
    Ok(())
}

fn add(line: &str, totals: &mut BTreeMap<&'static str, u64>) {
    let Some(start) = line.find('{') else { return };
    let Ok(Value::Object(fields)) = serde_json::from_str(line.get(start..).unwrap_or_default())
    else {
        return;
    };
    for figure in FIGURES {
        let value = fields.get(figure).and_then(Value::as_u64).unwrap_or_default();
        *totals.entry(figure).or_default() += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_json_are_added_up_and_others_are_not() {
        let mut totals = BTreeMap::new();
        for line in
            ["{\"faults\":3,\"lost\":0}", "running 3 tests", "..{\"faults\":4,\"x\":9}", "{"]
        {
            add(line, &mut totals);
        }
        assert_eq!((totals["faults"], totals["lost"]), (7, 0));
        assert!(judge(&totals).is_ok());
        totals.insert("lost", 1);
        assert!(judge(&totals).is_err());
        assert!(judge(&BTreeMap::new()).is_err());
    }
}
