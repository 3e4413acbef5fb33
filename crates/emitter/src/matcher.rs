//! Which of a client's own subscriptions a message belongs to
//! (docs/protocols/emitter.md, 7.2).

use std::collections::BTreeMap;

use crate::channel::segments;

/// How filters match channels. It must be the broker's: emitter brokers have
/// [`Emitter`](Self::Emitter) unless they are configured otherwise.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Matcher {
    /// A filter matches its channel and everything below it; `+` is any one segment.
    #[default]
    Emitter,
    /// MQTT's rules: exact depth, `+` is any one segment, and `#` at the end is one
    /// segment or more.
    Mqtt,
}

/// Subscriptions by their filters. Values of one node keep their order.
#[derive(Debug)]
pub(crate) struct Trie<T> {
    matcher: Matcher,
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    values: Vec<T>,
    children: BTreeMap<Box<str>, Self>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { values: Vec::new(), children: BTreeMap::new() }
    }
}

impl<T: Copy + PartialEq> Trie<T> {
    pub(crate) fn new(matcher: Matcher) -> Self {
        Self { matcher, root: Node::default() }
    }

    pub(crate) fn insert(&mut self, filter: &str, value: T) {
        let mut node = &mut self.root;
        for segment in segments(filter) {
            node = node.children.entry(segment.into()).or_default();
        }
        node.values.push(value);
    }

    /// Removes one value of a node, and the branch if nothing is left on it.
    pub(crate) fn remove(&mut self, filter: &str, value: T) {
        self.root.remove(segments(filter), value);
    }

    /// Collects the values that a message for `channel` belongs to: shallow before
    /// deep, an exact segment before `+`.
    pub(crate) fn find(&self, channel: &str, found: &mut Vec<T>) {
        let parts: Vec<&str> = segments(channel).collect();
        self.root.find(self.matcher, &parts, found);
    }
}

impl<T: Copy + PartialEq> Node<T> {
    fn remove<'a>(&mut self, mut path: impl Iterator<Item = &'a str>, value: T) {
        let Some(segment) = path.next() else {
            if let Some(at) = self.values.iter().position(|known| *known == value) {
                self.values.remove(at);
            }
            return;
        };
        if let Some(child) = self.children.get_mut(segment) {
            child.remove(path, value);
            if child.values.is_empty() && child.children.is_empty() {
                self.children.remove(segment);
            }
        }
    }

    fn find(&self, matcher: Matcher, parts: &[&str], found: &mut Vec<T>) {
        let Some((first, rest)) = parts.split_first() else { return };
        for label in [*first, "+"] {
            if let Some(child) = self.children.get(label) {
                if rest.is_empty() || matcher == Matcher::Emitter {
                    found.extend_from_slice(&child.values);
                }
                child.find(matcher, rest, found);
            }
        }
        if matcher == Matcher::Mqtt
            && let Some(all) = self.children.get("#")
        {
            found.extend_from_slice(&all.values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(matcher: Matcher, filters: &[&'static str], channel: &str) -> Vec<&'static str> {
        let mut trie = Trie::new(matcher);
        for filter in filters {
            trie.insert(filter, *filter);
        }
        let mut found = Vec::new();
        trie.find(channel, &mut found);
        found
    }

    #[test]
    fn the_default_matcher_matches_by_prefix() {
        let default = |filters: &[&'static str], channel| found(Matcher::Emitter, filters, channel);
        assert_eq!(default(&["room"], "room/1/"), ["room"]);
        let three = default(&["room", "room/+", "room/1"], "room/1/");
        assert_eq!(three, ["room", "room/1", "room/+"]);
        assert_eq!(default(&["room/+/log"], "room/1/log/x/"), ["room/+/log"]);
        assert!(default(&["room/1"], "room/").is_empty());
        assert_eq!(default(&["a/+/c", "a/b/c", "a"], "a/b/c/").len(), 3);
        // `#` is a name like any other here: it matches nothing that is published.
        assert!(default(&["m/#"], "m/a/").is_empty());
    }

    #[test]
    fn matches_as_the_broker_does() {
        use Matcher::{Emitter, Mqtt};
        // Rows of the table in section 6.2: m/, m/a/, m/a/b/.
        for (matcher, filter, expected) in [
            (Emitter, "m/", [true, true, true]),
            (Emitter, "m/a/", [false, true, true]),
            (Emitter, "m/+/", [false, true, true]),
            (Emitter, "m/#/", [false, false, false]),
            (Mqtt, "m/", [true, false, false]),
            (Mqtt, "m/+/", [false, true, false]),
            (Mqtt, "m/#/", [false, true, true]),
        ] {
            for (channel, expected) in ["m/", "m/a/", "m/a/b/"].into_iter().zip(expected) {
                let matches = !found(matcher, &[filter], channel).is_empty();
                assert_eq!(matches, expected, "{matcher:?}: {filter} and {channel}");
            }
        }
    }

    #[test]
    fn removing_leaves_parents_and_children() {
        let mut trie = Trie::new(Matcher::Emitter);
        for (value, filter) in ["a", "a/b", "a/b/c", "a/b"].into_iter().enumerate() {
            trie.insert(filter, value);
        }
        trie.remove("/a/b/", 1);
        trie.remove("a/b", 7);
        trie.remove("x/y", 0);
        let mut found = Vec::new();
        trie.find("a/b/c/", &mut found);
        assert_eq!(found, [0, 3, 2]);
        for (filter, value) in [("a/b", 3), ("a/b/c", 2), ("a", 0)] {
            trie.remove(filter, value);
        }
        assert!(trie.root.children.is_empty());
    }
}
