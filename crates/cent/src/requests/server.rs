//! What is asked of the server itself: `info` (`stats` and `node` in v1), `rpc`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Idempotent, ReadError, Reply, Request,
    channel::{or_default, present},
    sealed::Sealed,
};
use crate::{error::Error, proto::Params, version::Version};

/// Asks what the nodes are and do; `stats` in v1, one shape for all.
///
/// Wire: `info` and `stats`, docs/protocols/cent.md, 7.12.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a request is sent by a client"]
pub struct Info;

/// A node of the server.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// Its own id.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its version, without the edition that v6 appends; absent before v1.8.
    pub version: Option<String>,
    /// What it counts, by name: `num_clients`, `num_channels`, `uptime`, ..
    pub counters: BTreeMap<String, f64>,
}

impl Sealed for Info {}

impl Request for Info {
    type Reply = Vec<Node>;
    const METHOD: &'static str = "info";
    const IDEMPOTENT: Idempotent = Idempotent::Yes;

    fn method(&self, version: Version) -> &'static str {
        if version.major() < 2 { "stats" } else { Self::METHOD }
    }

    fn params(self, _version: Version) -> Result<Params, Error> {
        Ok(Params::default())
    }

    fn read(reply: Reply<'_>) -> Result<Vec<Node>, ReadError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Nodes {
            #[serde(deserialize_with = "or_default")]
            nodes: Vec<BTreeMap<String, Box<RawValue>>>,
        }
        let nodes: Nodes = match reply.version.major() {
            0 | 1 => reply.parse_data()?,
            _ => reply.parse()?,
        };
        nodes.nodes.into_iter().map(node).collect::<Result<_, _>>().map_err(ReadError::Shape)
    }
}

/// Asks the node that answers what it is and does, as it counts right now: v1.4 to
/// v1.8. Other nodes, and later versions, are asked by [`Info`].
///
/// Wire: `node`, docs/protocols/cent.md, 7.12.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a request is sent by a client"]
pub struct NodeInfo;

impl Sealed for NodeInfo {}

impl Request for NodeInfo {
    type Reply = Node;
    const METHOD: &'static str = "node";
    const IDEMPOTENT: Idempotent = Idempotent::Yes;

    fn params(self, _version: Version) -> Result<Params, Error> {
        Ok(Params::default())
    }

    fn read(reply: Reply<'_>) -> Result<Node, ReadError> {
        node(reply.parse_data()?).map_err(ReadError::Shape)
    }
}

fn node(fields: BTreeMap<String, Box<RawValue>>) -> Result<Node, serde_json::Error> {
    let mut node = Node::default();
    for (name, value) in fields {
        let text = value.get();
        match name.as_str() {
            "uid" => node.uid = told(text)?.unwrap_or_default(),
            "name" => node.name = told(text)?.unwrap_or_default(),
            "version" => {
                let version = told(text)?;
                let edition = |version: String| version.split(' ').next().map(str::to_owned);
                node.version = version.and_then(edition);
            }
            // Groups of counters; v1 has them plain, v2 and later among items.
            "metrics" | "process" => count(&mut node.counters, text)?,
            _ => {
                if let Ok(number) = serde_json::from_str(text) {
                    node.counters.insert(name, number);
                }
            }
        }
    }
    Ok(node)
}

fn told(text: &str) -> Result<Option<String>, serde_json::Error> {
    serde_json::from_str(text)
}

fn count(counters: &mut BTreeMap<String, f64>, text: &str) -> Result<(), serde_json::Error> {
    let group: Option<BTreeMap<String, Box<RawValue>>> = serde_json::from_str(text)?;
    for (name, value) in group.unwrap_or_default() {
        match name.as_str() {
            "items" => count(counters, value.get())?,
            _ => {
                if let Ok(number) = serde_json::from_str(value.get()) {
                    counters.insert(name, number);
                }
            }
        }
    }
    Ok(())
}

/// Calls what an extension of the server has registered. v2.6 and later.
///
/// Wire: `rpc`, docs/protocols/cent.md, 7.13.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by a client"]
pub struct Rpc(Params);

impl Rpc {
    /// Calls `method`.
    pub fn new(method: &str) -> Self {
        let mut all = Params::default();
        all.put("method", method);
        Self(all)
    }

    /// Sets what it is called with.
    pub fn params<T: Serialize + ?Sized>(mut self, params: &T) -> Self {
        self.0.put("params", params);
        self
    }
}

impl Sealed for Rpc {}

impl Request for Rpc {
    type Reply = Option<Box<RawValue>>;
    const METHOD: &'static str = "rpc";

    fn params(self, _version: Version) -> Result<Params, Error> {
        Ok(self.0)
    }

    fn read(reply: Reply<'_>) -> Result<Option<Box<RawValue>>, ReadError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Called {
            #[serde(deserialize_with = "present")]
            data: Option<Box<RawValue>>,
        }
        reply.parse::<Called>().map(|called| called.data)
    }
}
