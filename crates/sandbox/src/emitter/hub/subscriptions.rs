//! Who is subscribed to what (docs/protocols/emitter.md, 6).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{super::topic::segments, Inner, Outlet, Refusal};

/// A connection.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) username: Option<String>,
    pub(super) outlet: Arc<Outlet>,
    /// Links by their names, with their keys.
    pub(super) links: BTreeMap<String, String>,
    /// Channels whose comings and goings it is told.
    pub(super) watched: BTreeSet<String>,
    /// Filters by what the broker knows them by: their segments in any order, those
    /// that come in pairs left out. What collides is lost, as it is there.
    filters: BTreeMap<Vec<String>, String>,
}

impl Member {
    pub(super) fn new(id: String, username: Option<String>, outlet: Arc<Outlet>) -> Self {
        let (links, watched, filters) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { id, username, outlet, links, watched, filters }
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &str> {
        self.filters.values().map(String::as_str)
    }
}

impl Inner {
    pub(super) fn enter(
        &mut self,
        number: u64,
        filter: &str,
        most: usize,
        now: u64,
    ) -> Result<(), Refusal> {
        let Some(member) = self.members.get_mut(&number) else { return Ok(()) };
        if member.filters.len() >= most {
            return Err(Refusal::FULL);
        }
        let known_by = known_by(filter);
        if member.filters.contains_key(&known_by) {
            return Ok(());
        }
        member.filters.insert(known_by, filter.to_owned());
        if let Some(member) = self.members.get(&number) {
            self.tell(now, "subscribe", member, filter);
        }
        Ok(())
    }

    pub(super) fn withdraw(&mut self, number: u64, filter: &str, now: u64) {
        let Some(member) = self.members.get_mut(&number) else { return };
        let known_by = known_by(filter);
        if member.filters.get(&known_by).is_some_and(|known| known == filter) {
            member.filters.remove(&known_by);
            if let Some(member) = self.members.get(&number) {
                self.tell(now, "unsubscribe", member, filter);
            }
        }
    }

    /// Who gets a message: everyone once, and of each share group one.
    pub(super) fn receivers(
        &mut self,
        channel: &str,
        except: Option<u64>,
        mqtt: bool,
    ) -> BTreeSet<u64> {
        let parts: Vec<&str> = segments(channel).collect();
        let mut all = BTreeSet::new();
        let mut groups: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (number, member) in self.members.iter().filter(|(number, _)| Some(**number) != except) {
            for filter in member.filters() {
                let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
                let (group, filter) = shared.map_or((None, filter), |(g, f)| (Some(g), f));
                if !matches(filter, &parts, mqtt) {
                    continue;
                }
                match group {
                    None => drop(all.insert(*number)),
                    Some(group) => groups.entry(group.to_owned()).or_default().push(*number),
                }
            }
        }
        for members in groups.into_values() {
            let lot = usize::try_from(self.next_random()).unwrap_or_default();
            all.extend(members.get(lot % members.len()));
        }
        all
    }
}

fn known_by(filter: &str) -> Vec<String> {
    let mut odd: BTreeSet<String> = BTreeSet::new();
    for segment in segments(filter) {
        if !odd.remove(segment) {
            odd.insert(segment.to_owned());
        }
    }
    odd.into_iter().collect()
}

fn matches(filter: &str, channel: &[&str], mqtt: bool) -> bool {
    let mut channel = channel.iter();
    for wanted in segments(filter) {
        match (wanted, channel.next()) {
            ("#", found) if mqtt => return found.is_some(),
            ("+", Some(_)) => {}
            (wanted, Some(found)) if wanted == *found => {}
            _ => return false,
        }
    }
    !mqtt || channel.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_table_of_section_6() {
        for (mqtt, filter, expected) in [
            (false, "m/", [true, true, true]),
            (false, "m/a/", [false, true, true]),
            (false, "m/+/", [false, true, true]),
            (false, "m/#/", [false, false, false]),
            (true, "m/", [true, false, false]),
            (true, "m/+/", [false, true, false]),
            (true, "m/#/", [false, true, true]),
        ] {
            for (channel, expected) in ["m/", "m/a/", "m/a/b/"].into_iter().zip(expected) {
                let parts: Vec<&str> = segments(channel).collect();
                assert_eq!(matches(filter, &parts, mqtt), expected, "{filter} {channel} {mqtt}");
            }
        }
    }

    #[test]
    fn some_filters_are_known_by_the_same() {
        assert_eq!(known_by("a/b/"), known_by("b/a/"));
        assert_eq!(known_by("x/x/"), known_by("y/y/"));
        assert_ne!(known_by("a/b/"), known_by("a/c/"));
    }
}
