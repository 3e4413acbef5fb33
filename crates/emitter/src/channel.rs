//! Topics: how a key, a channel and options become what is on the wire, and which of
//! them are refused before they are sent (docs/protocols/emitter.md, 3).

use crate::error::Error;

/// Most bytes that a packet may have after its fixed header.
pub(crate) const MAX_PACKET: usize = 65_536;

/// A checked channel, a filter if wildcards are allowed: `a/b/`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Channel(String);

impl Channel {
    /// A channel to publish to: no wildcards.
    pub(crate) fn exact(text: &str) -> Result<Self, Error> {
        let channel = Self::filter(text)?;
        let has_wildcard = segments(&channel.0).any(|segment| matches!(segment, "+" | "#"));
        match has_wildcard {
            true => Err(wrong(text, "wildcards are for subscribers")),
            false => Ok(channel),
        }
    }

    /// A channel to subscribe to: `+` for one segment, and `#` at the end.
    pub(crate) fn filter(text: &str) -> Result<Self, Error> {
        let channel = text.trim_matches('/');
        if channel.is_empty() {
            return Err(Error::misuse("channel", "a channel has a name"));
        }
        let mut segments = channel.split('/').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "" => return Err(wrong(text, "a segment is empty")),
                "+" => {}
                "#" if segments.peek().is_none() => {}
                "#" => return Err(wrong(text, "# comes last")),
                _ if segment.bytes().all(is_segment_byte) => {}
                _ => return Err(wrong(text, "letters, digits and $-.:[]\\^_` make a segment")),
            }
        }
        Ok(Self(format!("{channel}/")))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The parts of a channel, without the empty ones.
pub(crate) fn segments(channel: &str) -> impl Iterator<Item = &str> {
    channel.split('/').filter(|segment| !segment.is_empty())
}

/// What is subscribed to: a channel, in a share group or not. Its text is what
/// follows the key on the wire.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Filter {
    text: String,
    /// Where the channel begins.
    channel: usize,
}

impl Filter {
    pub(crate) fn new(channel: &str, share: Option<&str>) -> Result<Self, Error> {
        let channel = Channel::filter(channel)?;
        if segments(&channel.0).next() == Some("$share") {
            let reason = "$share names a group: subscribe_with_group takes it by itself";
            return Err(Error::misuse("share_group", reason));
        }
        let text = match share {
            None => channel.0,
            Some(group) if group.is_empty() || !group.bytes().all(is_segment_byte) => {
                let reason = format!("{group:?} is not one segment of a channel");
                return Err(Error::misuse("share_group", reason));
            }
            Some(group) => {
                let prefix = format!("$share/{group}/");
                let text = format!("{prefix}{}", channel.0);
                return Ok(Self { text, channel: prefix.len() });
            }
        };
        Ok(Self { text, channel: 0 })
    }

    /// What a key is for, as it is written after a key: a filter, of a group, or of any.
    pub(crate) fn target(text: &str) -> Result<Self, Error> {
        let shared = text.trim_start_matches('/').strip_prefix("$share/");
        match shared.and_then(|rest| rest.split_once('/')) {
            Some(("+", channel)) => {
                let any = "$share/+/";
                let text = format!("{any}{}", Channel::filter(channel)?.0);
                Ok(Self { text, channel: any.len() })
            }
            Some((group, channel)) => Self::new(channel, Some(group)),
            None => Channel::filter(text).map(|channel| Self { text: channel.0, channel: 0 }),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The channel without the group.
    pub(crate) fn channel(&self) -> &str {
        self.text.get(self.channel..).unwrap_or_default()
    }

    pub(crate) const fn is_shared(&self) -> bool {
        self.channel > 0
    }

    /// Whether the first segment is open: stored messages are not found by this.
    pub(crate) fn begins_with_wildcard(&self) -> bool {
        matches!(segments(self.channel()).next(), Some("+" | "#"))
    }

    /// Whether the broker mistakes this for `other` on the same connection: it knows
    /// a subscription by its segments in any order, those that come in pairs left
    /// out (docs/protocols/emitter.md, 6.2).
    pub(crate) fn collides(&self, other: &Self) -> bool {
        self != other && self.odd_segments() == other.odd_segments()
    }

    fn odd_segments(&self) -> Vec<&str> {
        let mut odd: Vec<&str> = Vec::new();
        for segment in segments(&self.text) {
            match odd.iter().position(|known| *known == segment) {
                Some(at) => drop(odd.swap_remove(at)),
                None => odd.push(segment),
            }
        }
        odd.sort_unstable();
        odd
    }
}

/// Checks a channel key, which is opaque but for its place in a topic.
pub(crate) fn key(text: &str) -> Result<&str, Error> {
    let key = text.trim_matches('/');
    let is_key_byte = |b: u8| b.is_ascii_graphic() && !b"/?+#".contains(&b);
    if key.is_empty() || !key.bytes().all(is_key_byte) {
        return Err(Error::misuse("key", "a channel key is a word without /, ?, + and #"));
    }
    Ok(key)
}

/// Checks the name of a link.
pub(crate) fn link_name(name: &str) -> Result<&str, Error> {
    match name.len() {
        1 | 2 if name.bytes().all(|b| b.is_ascii_alphanumeric()) => Ok(name),
        _ => Err(Error::misuse("link_name", "a link's name is one or two letters or digits")),
    }
}

/// `key/rest?query`.
pub(crate) fn topic(key: &str, rest: &str, query: &str) -> String {
    format!("{key}/{rest}{query}")
}

/// Checks that a publish fits into a packet that the broker reads: it resets the
/// connection on the first byte too many.
pub(crate) fn check_size(topic: &str, payload: usize, acknowledged: bool) -> Result<(), Error> {
    let size = 2 + topic.len() + if acknowledged { 2 } else { 0 } + payload;
    if size > MAX_PACKET {
        let reason = format!("a packet of {size} bytes is over the broker's {MAX_PACKET}");
        return Err(Error::misuse("message_too_big", reason));
    }
    Ok(())
}

const fn is_segment_byte(byte: u8) -> bool {
    matches!(byte, b'$' | b'-' | b'.' | b'0'..=b':' | b'A'..=b'Z' | b'['..=b'z')
}

fn wrong(channel: &str, why: &str) -> Error {
    let shown: String = channel.chars().take(80).collect();
    Error::misuse("channel", format!("channel {shown:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
        result.unwrap_err().code().to_owned()
    }

    #[test]
    fn formats_the_table_of_section_3() {
        for (key_text, channel, query, expected) in [
            ("K", "test", "", "K/test/"),
            ("/K/", "/a/b/", "", "K/a/b/"),
            ("K", "test", "?ttl=5", "K/test/?ttl=5"),
            ("K", "a/b/c", "?me=0&last=100", "K/a/b/c/?me=0&last=100"),
        ] {
            let channel = Channel::exact(channel).unwrap();
            assert_eq!(topic(key(key_text).unwrap(), channel.as_str(), query), expected);
        }
        let shared = Filter::new("demo", Some("sg")).unwrap();
        assert_eq!(topic("K", shared.as_str(), ""), "K/$share/sg/demo/");
        assert_eq!((shared.channel(), shared.is_shared()), ("demo/", true));
        assert_eq!(Filter::new("a/#", None).unwrap().as_str(), "a/#/");
    }

    #[test]
    fn refuses_what_the_broker_would() {
        for channel in ["", "/", "a//b", "a b", "a~", "a@b", "a,b", "é", "a/#/b", "a+", "a#", "*"]
        {
            assert_eq!(code(Filter::new(channel, None)), "channel", "{channel}");
        }
        for channel in ["a/+", "#", "+/a"] {
            assert_eq!(code(Channel::exact(channel)), "channel", "{channel}");
            Filter::new(channel, None).unwrap();
        }
        Channel::exact("$-.09:AZ[\\]^_`az").unwrap();
        for group in ["", "a/b", "+", "a b"] {
            assert_eq!(code(Filter::new("a", Some(group))), "share_group", "{group}");
        }
        for wrong in ["", "/", "a/b", "a b", "a?", "é", "a\0"] {
            assert_eq!(code(key(wrong)), "key", "{wrong:?}");
        }
        for name in ["", "abc", "a/", "é"] {
            assert_eq!(code(link_name(name)), "link_name", "{name}");
        }
        assert_eq!(Filter::target("$share/+/demo/#/").unwrap().as_str(), "$share/+/demo/#/");
        assert_eq!(Filter::target("$share/g/demo").unwrap().as_str(), "$share/g/demo/");
        assert_eq!(code(Filter::new("$share/g/demo", None)), "share_group");
        assert_eq!((link_name("a").unwrap(), link_name("9Z").unwrap()), ("a", "9Z"));
    }

    #[test]
    fn a_packet_ends_at_65536_bytes() {
        let topic = "K/a/";
        for (acknowledged, most) in [(false, MAX_PACKET - 6), (true, MAX_PACKET - 8)] {
            check_size(topic, most, acknowledged).unwrap();
            let error = check_size(topic, most + 1, acknowledged);
            assert_eq!(code(error), "message_too_big");
        }
    }

    #[test]
    fn knows_which_subscriptions_the_broker_mistakes_for_each_other() {
        let filter = |text| Filter::new(text, None).unwrap();
        assert!(filter("a/b").collides(&filter("b/a")));
        assert!(filter("x/x").collides(&filter("y/y")));
        assert!(filter("a/x/x").collides(&filter("a")));
        assert!(!filter("a/b").collides(&filter("a/b")));
        assert!(!filter("a/b").collides(&filter("a/c")));
    }
}
