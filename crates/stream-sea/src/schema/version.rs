//! Versions, which are numbers for some clients and dotted texts for others.

use std::{cmp::Ordering, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Number;

/// The version of a schema: a number, or a text such as `1.0.0`. The kind is kept.
///
/// They are compared part by part, missing parts as 0.
///
/// # Examples
///
/// ```
/// use stream_sea::Version;
///
/// assert!(Version::from(2) > Version::from("1.9.9"));
/// assert_eq!(Version::from(1), Version::from("1.0"));
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Version {
    /// A JSON number.
    Number(Number),
    /// A JSON text.
    Text(String),
}

impl Version {
    /// Whether the numbers say so: what is no number counts as 0, as services count.
    #[cfg(any(feature = "client", feature = "blocking"))]
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        let numbers = |version: &Self| -> Vec<u64> {
            let text = version.to_string();
            let mut parts: Vec<u64> =
                text.split('.').map(|part| part.parse().unwrap_or_default()).collect();
            while parts.last() == Some(&0) {
                parts.pop();
            }
            parts
        };
        numbers(self) > numbers(other)
    }

    /// The parts as far as they are numbers, and what follows the first that is none.
    fn parts(&self) -> (Vec<u64>, String) {
        let text = self.to_string();
        let mut numbers = Vec::new();
        let mut parts = text.split('.');
        while let Some(part) = parts.next() {
            match part.parse() {
                Ok(number) => numbers.push(number),
                Err(_) => {
                    let rest = std::iter::once(part).chain(parts).collect::<Vec<_>>().join(".");
                    return (numbers, rest);
                }
            }
        }
        (numbers, String::new())
    }
}

impl From<u64> for Version {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for Version {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Version {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((mine, my_rest), (theirs, their_rest)) = (self.parts(), other.parts());
        let part = |parts: &[u64], at: usize| parts.get(at).copied().unwrap_or_default();
        (0..mine.len().max(theirs.len()))
            .map(|at| part(&mine, at).cmp(&part(&theirs, at)))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| my_rest.cmp(&their_rest))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}
