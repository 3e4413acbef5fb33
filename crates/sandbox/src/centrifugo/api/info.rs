//! What a node says of itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Api;

#[derive(Debug, Serialize)]
pub(super) struct Nodes {
    nodes: [Node; 1],
}

#[derive(Debug, Serialize)]
struct Node {
    uid: String,
    name: String,
    version: String,
    num_clients: usize,
    num_users: usize,
    num_channels: usize,
    #[serde(skip_serializing_if = "is_zero")]
    uptime: u64,
    metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_subs: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Metrics {
    interval: u32,
    items: BTreeMap<String, u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the attribute's way to ask")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Api<'_> {
    pub(super) fn info(&self) -> Nodes {
        let counts = self.hub.counts();
        let (major, minor) = self.release();
        let edition = if major > 5 { " OSS" } else { "" };
        let node = Node {
            uid: self.hub.uid.clone(),
            name: self.config.name.clone(),
            version: format!("{major}.{minor}.0{edition}"),
            num_clients: counts.clients,
            num_users: counts.users,
            num_channels: counts.channels,
            uptime: self.hub.started.elapsed().as_secs(),
            metrics: Metrics { interval: 60, items: metrics(self) },
            num_subs: (major > 2).then_some(counts.subscriptions),
        };
        Nodes { nodes: [node] }
    }
}

/// The few counters that this server has.
pub(in crate::centrifugo) fn metrics(api: &Api<'_>) -> BTreeMap<String, u64> {
    let counts = api.hub.counts();
    let items = [
        ("centrifugo.node.num_clients", counts.clients),
        ("centrifugo.node.num_users", counts.users),
        ("centrifugo.node.num_channels", counts.channels),
        ("centrifugo.node.num_subscriptions", counts.subscriptions),
    ];
    items.map(|(name, count)| (name.to_owned(), count as u64)).into()
}
