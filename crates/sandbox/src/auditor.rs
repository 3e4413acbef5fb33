//! Keeps the books of a test: what was accepted, acknowledged, received,
//! delivered and admitted as missing, and says what does not add up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Something that a client or server must not do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// Acknowledged to its publisher, but never received by the server.
    Lost {
        /// The message.
        message: String,
    },
    /// Delivered more often to one subscriber than the server received it.
    Duplicated {
        /// Who got it.
        subscriber: String,
        /// The message.
        message: String,
    },
    /// Delivered after a message that the server received later.
    Reordered {
        /// Who got it.
        subscriber: String,
        /// The message that came late.
        message: String,
    },
    /// Received by the server, not delivered, and no gap was reported there.
    UnreportedGap {
        /// Who missed it.
        subscriber: String,
        /// The message.
        message: String,
    },
    /// Somebody got messages whose subscription was never entered.
    UnknownSubscriber {
        /// Who.
        subscriber: String,
    },
    /// Delivered, but never received by the server.
    Invented {
        /// Who got it.
        subscriber: String,
        /// The message.
        message: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { message } => write!(f, "lost: {message} was acknowledged"),
            Self::Duplicated { subscriber, message } => {
                write!(f, "duplicated: {message} for {subscriber}")
            }
            Self::Reordered { subscriber, message } => {
                write!(f, "reordered: {message} came late for {subscriber}")
            }
            Self::UnreportedGap { subscriber, message } => {
                write!(f, "unreported gap: {message} is missing for {subscriber}")
            }
            Self::UnknownSubscriber { subscriber } => {
                write!(f, "{subscriber} got messages and never subscribed")
            }
            Self::Invented { subscriber, message } => {
                write!(f, "invented: {message} for {subscriber}")
            }
        }
    }
}

/// The sum of the books.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// Messages handed to a publisher.
    pub published: u64,
    /// Messages acknowledged to their publisher.
    pub acknowledged: u64,
    /// Messages that the server received more than once, because the
    /// publisher's connection was lost before the acknowledgement came.
    pub sent_again: u64,
    /// Deliveries to all subscribers.
    pub delivered: u64,
    /// Gaps reported to subscribers.
    pub gaps: u64,
    /// Everything that does not add up.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Returns how many messages are missing without a word.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.count(|f| matches!(f, Finding::Lost { .. } | Finding::UnreportedGap { .. }))
    }

    /// Returns how many deliveries came once too often.
    #[must_use]
    pub fn duplicated(&self) -> usize {
        self.count(|f| matches!(f, Finding::Duplicated { .. }))
    }

    fn count(&self, matches: impl Fn(&Finding) -> bool) -> usize {
        self.findings.iter().filter(|finding| matches(finding)).count()
    }
}

/// The books of one test; a clone is the same. Messages of one channel must
/// differ from each other, for they are told apart by their text.
#[derive(Clone, Debug, Default)]
pub struct Auditor(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    accepted: BTreeSet<(String, String)>,
    acknowledged: BTreeSet<(String, String)>,
    /// By channel, in the order of the server.
    received: BTreeMap<String, Vec<String>>,
    /// In the order in which they subscribed; a name that subscribes again
    /// begins a new entry.
    subscribers: Vec<(String, Subscriber)>,
    unknown: BTreeSet<String>,
}

#[derive(Debug)]
struct Subscriber {
    channel: String,
    /// Index of the first receipt that it must get.
    from: usize,
    got: Vec<Got>,
}

#[derive(Debug)]
enum Got {
    Message(String),
    /// How many are missing, if that was said.
    Gap(Option<u64>),
}

impl Auditor {
    /// A publisher was given the message.
    pub fn accepted(&self, channel: &str, message: &str) {
        self.with(|books| books.accepted.insert((channel.into(), message.into())));
    }

    /// A publisher was told that the message is stored.
    pub fn acknowledged(&self, channel: &str, message: &str) {
        self.with(|books| books.acknowledged.insert((channel.into(), message.into())));
    }

    /// The server has stored the message.
    pub fn received(&self, channel: &str, message: &str) {
        self.with(|books| {
            books.received.entry(channel.into()).or_default().push(message.into());
        });
    }

    /// From here on, `subscriber` must get everything that `channel` receives.
    pub fn subscribed(&self, subscriber: &str, channel: &str) {
        self.with(|books| {
            let from = books.received.get(channel).map_or(0, Vec::len);
            let entry = Subscriber { channel: channel.into(), from, got: Vec::new() };
            books.subscribers.push((subscriber.into(), entry));
        });
    }

    /// `subscriber` got the message.
    pub fn delivered(&self, subscriber: &str, message: &str) {
        self.got(subscriber, Got::Message(message.into()));
    }

    /// `subscriber` was told that messages are missing here: `missed` of them, or
    /// nobody knows how many. A number excuses no more than that number.
    pub fn gap(&self, subscriber: &str, missed: Option<u64>) {
        self.got(subscriber, Got::Gap(missed));
    }

    /// Adds up. Call it when everything that should arrive has had its time.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.with(|books| books.verdict())
    }

    fn got(&self, subscriber: &str, got: Got) {
        self.with(|books| {
            let newest = books.subscribers.iter_mut().rev();
            match newest.map(|(name, entry)| (name, entry)).find(|(name, _)| *name == subscriber) {
                Some((_, entry)) => entry.got.push(got),
                None => {
                    books.unknown.insert(subscriber.into());
                }
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Books) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Books {
    fn verdict(&self) -> Verdict {
        let mut verdict = Verdict {
            published: self.accepted.len() as u64,
            acknowledged: self.acknowledged.len() as u64,
            ..Verdict::default()
        };
        for received in self.received.values() {
            let distinct: BTreeSet<&String> = received.iter().collect();
            verdict.sent_again += (received.len() - distinct.len()) as u64;
        }
        for (channel, message) in &self.acknowledged {
            if !self.received.get(channel).is_some_and(|all| all.contains(message)) {
                verdict.findings.push(Finding::Lost { message: message.clone() });
            }
        }
        verdict.findings.extend(
            self.unknown
                .iter()
                .map(|subscriber| Finding::UnknownSubscriber { subscriber: subscriber.clone() }),
        );
        for (name, subscriber) in &self.subscribers {
            let all = self.received.get(&subscriber.channel);
            let due = all.and_then(|all| all.get(subscriber.from..)).unwrap_or_default();
            subscriber.compare(name, due, &mut verdict);
        }
        verdict
    }
}

impl Subscriber {
    /// Walks along what was due and what was got, side by side.
    fn compare(&self, name: &str, due: &[String], verdict: &mut Verdict) {
        let subscriber = || name.to_owned();
        let mut at = 0;
        // How many missing messages the gap before this place excuses.
        let mut excused = 0_u64;
        // Due, passed over, and not delivered late: with no excuse, and with one.
        let (mut missing, mut forgiven) = (Vec::new(), Vec::new());
        for got in &self.got {
            let message = match got {
                Got::Message(message) => message,
                Got::Gap(missed) => {
                    verdict.gaps += 1;
                    excused = excused.saturating_add(missed.unwrap_or(u64::MAX));
                    continue;
                }
            };
            verdict.delivered += 1;
            let ahead = due.get(at..).unwrap_or_default();
            if let Some(skipped) = ahead.iter().position(|m| m == message) {
                let passed = ahead.get(..skipped).unwrap_or_default();
                forgive(passed, excused, &mut forgiven, &mut missing);
                at += skipped + 1;
                excused = 0;
                continue;
            }
            let (subscriber, late) = (subscriber(), |list: &mut Vec<String>| {
                let found = list.iter().position(|m| m == message);
                found.map(|at| list.remove(at)).is_some()
            });
            let is_late = late(&mut missing) || late(&mut forgiven);
            let message = message.clone();
            verdict.findings.push(match (is_late, due.contains(&message)) {
                (true, _) => Finding::Reordered { subscriber, message },
                (false, true) => Finding::Duplicated { subscriber, message },
                (false, false) => Finding::Invented { subscriber, message },
            });
        }
        forgive(due.get(at..).unwrap_or_default(), excused, &mut forgiven, &mut missing);
        verdict.findings.extend(
            missing
                .into_iter()
                .map(|message| Finding::UnreportedGap { subscriber: subscriber(), message }),
        );
    }
}

/// Divides what was passed over: as many as a gap has excused, and the rest.
fn forgive(passed: &[String], excused: u64, forgiven: &mut Vec<String>, missing: &mut Vec<String>) {
    let count = usize::try_from(excused).unwrap_or(usize::MAX).min(passed.len());
    let (within, beyond) = passed.split_at(count);
    forgiven.extend_from_slice(within);
    missing.extend_from_slice(beyond);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day on which all went well: five messages, one subscriber.
    fn books() -> Auditor {
        let auditor = Auditor::default();
        auditor.subscribed("s", "c");
        for n in 1..=5 {
            let message = n.to_string();
            auditor.accepted("c", &message);
            auditor.received("c", &message);
            auditor.acknowledged("c", &message);
        }
        auditor
    }

    fn findings(got: &[&str]) -> Vec<Finding> {
        let auditor = books();
        for message in got {
            match *message {
                "gap" => auditor.gap("s", None),
                "gap of one" => auditor.gap("s", Some(1)),
                message => auditor.delivered("s", message),
            }
        }
        auditor.verdict().findings
    }

    fn s(message: &str) -> (String, String) {
        ("s".into(), message.into())
    }

    #[test]
    fn finds_nothing_on_a_good_day() {
        assert_eq!(findings(&["1", "2", "3", "4", "5"]), []);
        assert_eq!(findings(&["1", "gap", "4", "5"]), []);
        assert_eq!(findings(&["1", "2", "3", "gap"]), []);
    }

    #[test]
    fn names_a_planted_loss() {
        let auditor = books();
        auditor.acknowledged("c", "6");
        for n in 1..=5 {
            auditor.delivered("s", &n.to_string());
        }
        let verdict = auditor.verdict();
        assert_eq!(verdict.findings, [Finding::Lost { message: "6".into() }]);
        assert_eq!(verdict.lost(), 1);
    }

    #[test]
    fn names_a_planted_duplicate() {
        let (subscriber, message) = s("2");
        let found = findings(&["1", "2", "3", "2", "4", "5"]);
        assert_eq!(found, [Finding::Duplicated { subscriber, message }]);
    }

    #[test]
    fn names_a_planted_swap() {
        let (subscriber, message) = s("2");
        let found = findings(&["1", "3", "2", "4", "5"]);
        assert_eq!(found, [Finding::Reordered { subscriber, message }]);
    }

    #[test]
    fn names_a_planted_gap_that_nobody_reported() {
        let (subscriber, message) = s("3");
        let found = findings(&["1", "2", "4", "5"]);
        assert_eq!(found, [Finding::UnreportedGap { subscriber, message }]);
        let (subscriber, message) = s("5");
        let found = findings(&["1", "gap", "3", "4"]);
        assert_eq!(found, [Finding::UnreportedGap { subscriber, message }]);
    }

    #[test]
    fn a_gap_of_one_excuses_one() {
        let (subscriber, message) = s("4");
        let found = findings(&["1", "2", "gap of one", "5"]);
        assert_eq!(found, [Finding::UnreportedGap { subscriber, message }]);
        assert_eq!(findings(&["1", "gap of one", "3", "4", "5"]), []);
    }

    #[test]
    fn a_message_that_comes_after_its_gap_is_late_and_not_doubled() {
        let (subscriber, message) = s("2");
        let found = findings(&["1", "gap", "3", "2", "4", "5"]);
        assert_eq!(found, [Finding::Reordered { subscriber, message }]);
    }

    #[test]
    fn names_who_was_never_entered() {
        let auditor = books();
        auditor.delivered("stranger", "1");
        let unknown = Finding::UnknownSubscriber { subscriber: "stranger".into() };
        assert!(auditor.verdict().findings.contains(&unknown));
    }

    #[test]
    fn names_a_message_out_of_nowhere() {
        let (subscriber, message) = s("9");
        let found = findings(&["1", "2", "9", "3", "4", "5"]);
        assert_eq!(found, [Finding::Invented { subscriber, message }]);
    }

    #[test]
    fn a_message_that_was_sent_again_is_due_twice_and_no_duplicate() {
        let auditor = books();
        auditor.received("c", "5");
        for message in ["1", "2", "3", "4", "5", "5"] {
            auditor.delivered("s", message);
        }
        let verdict = auditor.verdict();
        assert_eq!((verdict.findings, verdict.sent_again, verdict.delivered), (vec![], 1, 6));
    }
}
