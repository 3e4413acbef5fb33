//! Topics as the broker reads them (docs/protocols/emitter.md, 3).

use super::refusal::Refusal;

/// A topic that begins with a channel key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Topic {
    pub(super) key: String,
    /// With its share group, if it has one; `a/b/`.
    pub(super) channel: String,
    options: Vec<(String, String)>,
}

impl Topic {
    /// Reads `key/channel/?options`.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let (key, rest) = text.split_once('/').ok_or(Refusal::BAD_REQUEST)?;
        let (channel, query) = match rest.split_once('?') {
            Some((channel, query)) => (channel, query),
            None => (rest, ""),
        };
        if key.is_empty() || !is_channel(channel) {
            return Err(Refusal::BAD_REQUEST);
        }
        let options = options(query).ok_or(Refusal::BAD_REQUEST)?;
        Ok(Self { key: key.to_owned(), channel: channel.to_owned(), options })
    }

    pub(super) fn has_wildcard(&self) -> bool {
        segments(&self.channel).any(|segment| matches!(segment, "+" | "#" | "*"))
    }

    /// The share group and the channel without it.
    pub(super) fn share(&self) -> (Option<&str>, &str) {
        let shared = self.channel.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        match shared {
            Some((group, channel)) if !channel.is_empty() => (Some(group), channel),
            _ => (None, &self.channel),
        }
    }

    /// The first option of this name, if it is a number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        let found = self.options.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.parse().ok())
    }

    /// The window of stored messages, in seconds. Times that make no sense count as
    /// absent.
    pub(super) fn window(&self) -> (u64, u64) {
        let time = |name| {
            let time = self.number(name).and_then(|time| u64::try_from(time).ok());
            time.filter(|time| (1_514_764_800..=3_029_529_600).contains(time))
        };
        (time("from").unwrap_or_default(), time("until").unwrap_or(u64::MAX))
    }

    /// How many stored messages are wanted. Not as many as the client says: a broker
    /// makes room for all of them, and has been ended so.
    pub(super) fn last(&self) -> usize {
        self.number("last").map_or(1, |last| usize::try_from(last).unwrap_or_default().min(10_000))
    }
}

/// What SUBSCRIBE takes in addition: `#` for `#/`, and slashes in a row.
pub(super) fn mend(text: &str) -> String {
    let (topic, query) = match text.split_once('?') {
        Some((topic, query)) => (topic, Some(query)),
        None => (text, None),
    };
    let topic = match topic.strip_suffix('#') {
        Some(_) => format!("{topic}/"),
        None => topic.to_owned(),
    };
    let topic = topic.replace("//", "/");
    query.map_or_else(|| topic.clone(), |query| format!("{topic}?{query}"))
}

/// The parts of a channel.
pub(super) fn segments(channel: &str) -> impl Iterator<Item = &str> {
    channel.split('/').filter(|segment| !segment.is_empty())
}

/// Whether this is a channel with its slash at the end.
pub(super) fn is_channel(text: &str) -> bool {
    let Some(inner) = text.strip_suffix('/') else { return false };
    inner.split('/').all(|segment| match segment {
        "+" | "#" | "*" => true,
        _ => !segment.is_empty() && segment.bytes().all(is_segment_byte),
    })
}

fn options(query: &str) -> Option<Vec<(String, String)>> {
    let query = query.strip_suffix('&').unwrap_or(query);
    let all = query.split('&').filter(|_| !query.is_empty());
    all.map(|option| {
        let (name, value) = option.split_once('=')?;
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_word(name) && is_word(value)).then(|| (name.to_owned(), value.to_owned()))
    })
    .collect()
}

const fn is_segment_byte(byte: u8) -> bool {
    matches!(byte, b'$' | b'-' | b'.' | b'0'..=b':' | b'A'..=b'Z' | b'['..=b'z')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_topics_as_a_broker_does() {
        for good in ["K/a/", "K/a/b/?ttl=5&me=0", "K/a/?", "K/a/?x=1&", "K/$share/g/a/", "K/a/#/"] {
            Topic::parse(good).unwrap();
        }
        for bad in [
            "K/a",
            "K",
            "/a/",
            "K/",
            "K/a//",
            "K/a b/",
            "K/a/?ttl=-1",
            "K/a/?ttl",
            "K/a/?r=a-b",
            "K/a+/",
        ] {
            assert_eq!(Topic::parse(bad).unwrap_err(), Refusal::BAD_REQUEST, "{bad}");
        }
        let topic = Topic::parse("K/a/?last=3&last=4&from=1600000000000&until=x").unwrap();
        assert_eq!((topic.last(), topic.window()), (3, (0, u64::MAX)));
        let shared = Topic::parse("K/$share/g/a/b/").unwrap();
        assert_eq!(shared.share(), (Some("g"), "a/b/"));
    }

    #[test]
    fn subscribers_may_be_careless() {
        for (sent, meant) in [
            ("K/a/#", "K/a/#/"),
            ("K/a//x/", "K/a/x/"),
            ("K/a/#?last=5", "K/a/#/?last=5"),
            ("K/a/", "K/a/"),
        ] {
            assert_eq!(mend(sent), meant);
        }
    }
}
