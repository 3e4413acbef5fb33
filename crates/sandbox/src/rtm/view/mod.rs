//! Views: what a subscription with a `filter` gets (docs/protocols/satori-rtm.md, 3.8).
//!
//! The original's language was large and is not described; this is the part that its
//! suites and examples use:
//!
//! ```text
//! select * | item, ..  from channel  [where condition]  [group by path, ..]
//! item       path [as name]  |  count(*) [as name]
//! condition  path  = | != | <> | < | <= | > | >= | like  literal, with and, or, (..)
//! ```
//!
//! A field that is absent is null; without `as` a field is called by the last part of
//! its path. Messages that are no objects are dropped. `like` knows `%`. A view that
//! counts says so once a period, for the messages of that period.

mod condition;
mod parse;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use self::condition::Condition;
pub(super) use self::parse::parse;
use super::message::Message;

/// A view of one channel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) channel: String,
    /// `None` for all fields, the message as it is.
    items: Option<Vec<Item>>,
    condition: Option<Condition>,
    group_by: Vec<Path>,
}

#[derive(Clone, Debug, PartialEq)]
struct Item {
    what: What,
    name: String,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Field(Path),
    Count,
}

/// A way into an object, name by name.
#[derive(Clone, Debug, PartialEq)]
struct Path(Vec<String>);

impl Path {
    fn find<'a>(&self, object: &'a Value) -> &'a Value {
        self.0.iter().fold(object, |at, name| at.get(name).unwrap_or(&Value::Null))
    }

    fn name(&self) -> String {
        self.0.last().cloned().unwrap_or_default()
    }
}

/// What a view that counts has seen in this period: for each group its newest message
/// and their number.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<String, (Value, u64)>);

/// Most groups that are counted at a time; more are left out.
const GROUPS: usize = 10_000;

impl View {
    pub(super) fn counts(&self) -> bool {
        !self.group_by.is_empty()
            || self.items.iter().flatten().any(|item| item.what == What::Count)
    }

    /// Returns what the view shows of a message, if anything.
    pub(super) fn show(&self, message: &Message) -> Option<Message> {
        let object = self.admit(message)?;
        match &self.items {
            None => Some(message.clone()),
            Some(items) => Some(Message::from_json(&row(items, &object, 1).to_string())),
        }
    }

    /// Counts a message.
    pub(super) fn count(&self, message: &Message, counts: &mut Counts) {
        let Some(object) = self.admit(message) else { return };
        let group: Vec<&Value> = self.group_by.iter().map(|path| path.find(&object)).collect();
        let group = serde_json::to_string(&group).unwrap_or_default();
        if counts.0.len() < GROUPS || counts.0.contains_key(&group) {
            let (newest, count) = counts.0.entry(group).or_insert((Value::Null, 0));
            (*newest, *count) = (object, *count + 1);
        }
    }

    /// Returns a row for each group, and begins to count anew.
    pub(super) fn rows(&self, counts: &mut Counts) -> Vec<Message> {
        let groups = std::mem::take(counts).0.into_values();
        let row = |(newest, count): (Value, u64)| match &self.items {
            None => Message::from_json(&newest.to_string()),
            Some(items) => Message::from_json(&row(items, &newest, count).to_string()),
        };
        groups.map(row).collect()
    }

    fn admit(&self, message: &Message) -> Option<Value> {
        let object: Value = serde_json::from_str(message.json()).ok()?;
        let admitted = self.condition.as_ref().is_none_or(|condition| condition.holds(&object));
        (object.is_object() && admitted).then_some(object)
    }
}

fn row(items: &[Item], object: &Value, count: u64) -> Value {
    let fields = items.iter().map(|item| {
        let value = match &item.what {
            What::Field(path) => path.find(object).clone(),
            What::Count => count.into(),
        };
        (item.name.clone(), value)
    });
    Value::Object(fields.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(filter: &str, message: &str) -> Option<String> {
        let view = parse(filter).unwrap();
        view.show(&Message::from_json(message)).map(|message| message.json().to_owned())
    }

    #[test]
    fn all_of_a_message_or_some_of_its_fields() {
        let zebra = r#"{"who":"zebra","where":{"lat":34.5},"age":7}"#;
        for (filter, expected) in [
            ("select * from `animals`", Some(zebra)),
            ("SELECT who FROM animals", Some(r#"{"who":"zebra"}"#)),
            ("select who, height from animals", Some(r#"{"height":null,"who":"zebra"}"#)),
            ("select where.lat as north, age from animals", Some(r#"{"age":7,"north":34.5}"#)),
            ("select `where`.lat from animals", Some(r#"{"lat":34.5}"#)),
            ("select * from animals where who = 'zebra'", Some(zebra)),
            ("select * from animals where who = 'lion'", None),
            ("select age from animals where who = 'lion' or age > 6", Some(r#"{"age":7}"#)),
            ("select age from animals where who like 'z%a' and age <= 7", Some(r#"{"age":7}"#)),
            ("select * from animals where height = null", Some(zebra)),
        ] {
            assert_eq!(shown(filter, zebra).as_deref(), expected, "{filter}");
        }
        for no_object in ["1", "null", "[{}]", "\"zebra\""] {
            assert_eq!(shown("select * from animals", no_object), None);
        }
    }

    #[test]
    fn counts_by_group() {
        let view =
            parse("select zone, count(*) as n from fleet where van > 0 group by zone").unwrap();
        assert!(view.counts());
        let mut counts = Counts::default();
        for (van, zone) in [(1, "N"), (2, "S"), (3, "N"), (0, "N")] {
            let message = format!(r#"{{"van":{van},"zone":"{zone}"}}"#);
            view.count(&Message::from_json(&message), &mut counts);
        }
        let rows = view.rows(&mut counts);
        let rows: Vec<&str> = rows.iter().map(Message::json).collect();
        assert_eq!(rows, [r#"{"n":2,"zone":"N"}"#, r#"{"n":1,"zone":"S"}"#]);
        assert_eq!(view.rows(&mut counts).len(), 0);
    }
}
