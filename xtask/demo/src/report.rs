//! What the demo shows a person.

use std::{
    error::Error as _,
    io::{self, Write},
    time::{Duration, Instant},
};

use realtime_sandbox::Verdict;
use satori_rtm::Error;

/// Tells what happens as it happens.
#[derive(Clone, Debug)]
pub(crate) struct Narrator {
    name: &'static str,
    start: Instant,
}

impl Narrator {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, start: Instant::now() }
    }

    pub(crate) fn say(&self, text: &str) {
        eprintln!("{:>6} ms  {}  {text}", self.start.elapsed().as_millis(), self.name);
    }
}

/// A publisher's and a subscriber's: each is cut once.
const CONNECTIONS: u64 = 2;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) cuts: u64,
    /// From each loss to the connection after it.
    pub(crate) recovered: Vec<Duration>,
    /// Whether the service keeps what a subscriber misses while it is cut off. If it
    /// does not, the subscriber is told of a gap.
    pub(crate) resumes: bool,
}

impl Row {
    /// Whether all that was published was acknowledged and delivered once, or told as
    /// missing where nobody keeps it, and every cut was recovered from.
    pub(crate) fn is_good(&self) -> bool {
        let verdict = &self.verdict;
        verdict.findings.is_empty()
            && verdict.published > 0
            && verdict.published == verdict.acknowledged
            && match self.resumes {
                true => verdict.published == verdict.delivered,
                false => verdict.gaps == 1 && verdict.delivered > 0,
            }
            && self.cuts == CONNECTIONS
            && self.recovered.len() as u64 == CONNECTIONS
    }
}

/// Writes the table to standard output; all else goes to standard error.
pub(crate) fn table(rows: &[Row]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\n{:<20}{:>10}{:>14}{:>11}{:>6}{:>12}{:>6}{:>6}  recovered",
        "", "published", "acknowledged", "delivered", "lost", "duplicated", "gaps", "cuts"
    )?;
    for row in rows {
        let verdict = &row.verdict;
        let times: Vec<String> =
            row.recovered.iter().map(|time| format!("{} ms", time.as_millis())).collect();
        writeln!(
            out,
            "{:<20}{:>10}{:>14}{:>11}{:>6}{:>12}{:>6}{:>6}  {}",
            row.name,
            verdict.published,
            verdict.acknowledged,
            verdict.delivered,
            verdict.lost(),
            verdict.duplicated(),
            verdict.gaps,
            row.cuts,
            times.join(", "),
        )?;
        for finding in &verdict.findings {
            writeln!(out, "  {finding}")?;
        }
        if row.cuts != CONNECTIONS {
            writeln!(out, "  not every connection was cut: this shows no recovery")?;
        }
    }
    Ok(())
}

/// An error on one line: what failed, why down to the last cause, and what to
/// try.
pub(crate) fn explain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{text}{hint}")
}
