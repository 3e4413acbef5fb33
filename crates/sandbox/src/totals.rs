//! What many sessions add up to.

use std::{
    fmt,
    io::Write,
    time::{Duration, Instant},
};

use crate::{
    auditor::Auditor,
    fault::{Action, At, Direction, Rule},
};

/// The sum of the books of many sessions, printed as one line of JSON a test.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Totals {
    /// Books that were added.
    pub sessions: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Messages handed to a publisher.
    pub published: u64,
    /// Messages acknowledged to their publisher.
    pub acknowledged: u64,
    /// Messages that a server received more than once.
    pub sent_again: u64,
    /// Deliveries to all subscribers.
    pub delivered: u64,
    /// Gaps reported to subscribers.
    pub gaps: u64,
    /// Messages missing without a word.
    pub lost: usize,
    /// Deliveries that came once too often.
    pub duplicated: usize,
    /// Everything that does not add up.
    pub findings: usize,
}

impl Totals {
    /// Adds the books of a session in which `faults` struck.
    pub fn add(&mut self, auditor: &Auditor, faults: u64) {
        let verdict = auditor.verdict();
        self.sessions += 1;
        self.faults += faults;
        self.published += verdict.published;
        self.acknowledged += verdict.acknowledged;
        self.sent_again += verdict.sent_again;
        self.delivered += verdict.delivered;
        self.gaps += verdict.gaps;
        self.lost += verdict.lost();
        self.duplicated += verdict.duplicated();
        self.findings += verdict.findings.len();
    }

    /// Strikes once a session: at byte 0, 1, 2, .. of one direction, until a session is over
    /// before the fault comes. `play` runs one with its rule, and adds its books. Returns
    /// how many bytes a session has.
    pub fn at_every_byte(
        &mut self,
        direction: Direction,
        action: Action,
        mut play: impl FnMut(Rule, &mut Self),
    ) -> u64 {
        let mut byte = 0;
        loop {
            let before = self.faults;
            play(Rule::new(direction, At::Byte(byte), action), self);
            if self.faults == before {
                return byte;
            }
            byte += 1;
        }
    }

    /// Prints the line of `test`, which began at `start`, to standard error: also of a
    /// test that passes, for the totals are its result.
    pub fn print(&self, test: &str, start: Instant) {
        let line = Line { totals: self, test, took: start.elapsed() };
        // A closed standard error is no failure of the test.
        let _best_effort = writeln!(std::io::stderr(), "{line}");
    }

    /// Returns whether nothing is lost, duplicated, or otherwise amiss.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.findings == 0
    }
}

struct Line<'a> {
    totals: &'a Totals,
    test: &'a str,
    took: Duration,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { sessions, faults, published, acknowledged, sent_again, .. } = self.totals;
        let Totals { delivered, gaps, lost, duplicated, findings, .. } = self.totals;
        write!(
            f,
            "{{\"test\":\"{}\",\"sessions\":{sessions},\"faults\":{faults},\
             \"published\":{published},\"acknowledged\":{acknowledged},\
             \"sent_again\":{sent_again},\"delivered\":{delivered},\"gaps\":{gaps},\
             \"lost\":{lost},\"duplicated\":{duplicated},\"findings\":{findings},\
             \"seconds\":{}}}",
            self.test,
            self.took.as_secs()
        )
    }
}
