//! What came of a client's run.

use serde_json::Value;

pub(crate) struct Report {
    /// One line for people and programs.
    pub(crate) line: Value,
    /// A line for each thing that does not add up.
    pub(crate) findings: Vec<String>,
    pub(crate) is_good: bool,
}

impl Report {
    pub(crate) fn tell(&self) {
        eprintln!("{}", self.line);
        for finding in &self.findings {
            eprintln!("{finding}");
        }
    }
}
