//! Which messages a view shows.

use std::cmp::Ordering;

use serde_json::Value;

use super::Path;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare(Path, Operator, Value),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
}

impl Condition {
    pub(super) fn holds(&self, object: &Value) -> bool {
        match self {
            Self::All(all) => all.iter().all(|condition| condition.holds(object)),
            Self::Any(any) => any.iter().any(|condition| condition.holds(object)),
            Self::Compare(path, operator, literal) => operator.holds(path.find(object), literal),
        }
    }
}

impl Operator {
    fn holds(self, value: &Value, literal: &Value) -> bool {
        let order = order(value, literal);
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
            Self::Like => match (value.as_str(), literal.as_str()) {
                (Some(text), Some(pattern)) => is_like(text, pattern),
                _ => false,
            },
        }
    }
}

/// Values of one kind have an order.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (left, right) => (left == right).then_some(Ordering::Equal),
    }
}

/// Whether `text` is `pattern`, in which `%` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('%') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts = rest.split('%').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        // The first place is as good as any later one: more is left behind it.
        match text.find(part) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_stands_for_anything() {
        for (text, pattern, expected) in [
            ("zebra", "zebra", true),
            ("zebra", "z%", true),
            ("zebra", "%bra", true),
            ("zebra", "%e%r%", true),
            ("zebra", "%", true),
            ("zebra", "z%z", false),
            ("zebra", "ze%ebra", false),
            ("", "%%", true),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} like {pattern}");
        }
    }
}
