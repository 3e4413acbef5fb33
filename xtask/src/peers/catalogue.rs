//! The peers.

use super::{mqtt, server, templar};
use crate::context::Failure;

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The crate whose suite it is for.
    pub(crate) of: &'static str,
    pub(crate) what: &'static str,
    pub(super) needs: &'static [Need],
    pub(crate) role: Role,
}

/// What a peer is installed from; versions are in the files of `ci/peers`.
pub(super) enum Need {
    /// A program of the system, and the Debian package that brings it.
    Program { name: &'static str, package: &'static str },
    /// A Python environment of its own: what is installed with what it asks for,
    /// and before it what is installed alone.
    Venv { alone: Option<&'static str>, pins: &'static str },
    /// A folder of packages for Python 2.7, which the oldest programs want.
    Python2 { pins: &'static str },
    /// A program that no registry has: the variable that says where it is.
    ByPath { variable: &'static str },
    /// A folder of npm packages.
    Npm { pins: &'static str },
}

pub(crate) enum Role {
    /// Our suite runs against it.
    Server(server::Starter),
    /// It runs against the sandbox: a script of `ci/peers`.
    Client { script: &'static str, language: Language },
    /// Clients of different kinds, which talk to each other through the sandbox: other
    /// peers, each with a script of its own for that.
    Pairs { members: &'static [(&'static str, &'static str)] },
}

#[derive(Clone, Copy)]
pub(crate) enum Language {
    JavaScript,
    Python,
    Python2,
}

/// A Centrifugo, for the suite of `cent`.
const fn centrifugo(name: &'static str, variable: &'static [Need], start: server::Starter) -> Peer {
    let what = "a real Centrifugo: our client's suite runs on it";
    Peer { name, of: "cent", what, needs: variable, role: Role::Server(start) }
}

/// A release of the original client of Centrifugo.
const fn python_cent(name: &'static str, needs: &'static [Need], language: Language) -> Peer {
    let what = "the Python client: every call of it runs on the sandbox";
    Peer {
        name,
        of: "cent",
        what,
        needs,
        role: Role::Client { script: "python_cent.py", language },
    }
}

static PEERS: [Peer; 24] = [
    centrifugo(
        "centrifugo-v6",
        &[Need::ByPath { variable: "CENTRIFUGO_V6" }],
        server::centrifugo_v6,
    ),
    centrifugo(
        "centrifugo-v5",
        &[Need::ByPath { variable: "CENTRIFUGO_V5" }],
        server::centrifugo_v5,
    ),
    centrifugo(
        "centrifugo-v3",
        &[Need::ByPath { variable: "CENTRIFUGO_V3" }],
        server::centrifugo_v3,
    ),
    centrifugo(
        "centrifugo-v2",
        &[Need::ByPath { variable: "CENTRIFUGO_V2" }],
        server::centrifugo_v2,
    ),
    centrifugo(
        "centrifugo-v1",
        &[Need::ByPath { variable: "CENTRIFUGO_V1" }],
        server::centrifugo_v1,
    ),
    centrifugo(
        "centrifuge-0.8",
        &[Need::Python2 { pins: "centrifuge-0.8.txt" }],
        server::centrifuge,
    ),
    python_cent("cent-1.3", &[Need::Python2 { pins: "python-cent-1.3.txt" }], Language::Python2),
    python_cent(
        "cent-2.1",
        &[Need::Venv { alone: None, pins: "python-cent-2.1.txt" }],
        Language::Python,
    ),
    python_cent(
        "cent-4.1",
        &[Need::Venv { alone: None, pins: "python-cent-4.1.txt" }],
        Language::Python,
    ),
    python_cent(
        "cent-5.2",
        &[Need::Venv { alone: None, pins: "python-cent-5.2.txt" }],
        Language::Python,
    ),
    Peer {
        name: "cobra",
        of: "satori-rtm",
        what: "a compatible server, with Redis: our client's suite runs on it",
        needs: &[
            Need::Program { name: "redis-server", package: "redis-server" },
            Need::Venv { alone: Some("cobra-no-deps.txt"), pins: "cobra.txt" },
        ],
        role: Role::Server(server::cobra),
    },
    Peer {
        name: "python-sdk",
        of: "satori-rtm",
        what: "the Python SDK: runs on the sandbox, through one cut",
        needs: &[Need::Venv { alone: None, pins: "satori_python_sdk.txt" }],
        role: Role::Client { script: "satori_python_sdk.py", language: Language::Python },
    },
    Peer {
        name: "python-sdk-2.7",
        of: "satori-rtm",
        what: "the Python SDK on Python 2.7: the same",
        needs: &[Need::Python2 { pins: "satori_python_sdk_2.txt" }],
        role: Role::Client { script: "satori_python_sdk.py", language: Language::Python2 },
    },
    Peer {
        name: "npm-sdk",
        of: "satori-rtm",
        what: "the JavaScript SDK: runs on the sandbox, through one cut",
        needs: &[Need::Npm { pins: "satori_npm_sdk.txt" }],
        role: Role::Client { script: "satori_npm_sdk.js", language: Language::JavaScript },
    },
    Peer {
        name: "sdk-pairs",
        of: "satori-rtm",
        what: "all SDKs and ours, JSON and CBOR: each publishes to each, through the sandbox",
        needs: &[],
        role: Role::Pairs {
            members: &[
                ("satori-rtm/python-sdk-2.7", "satori_speaker.py"),
                ("satori-rtm/python-sdk", "satori_speaker.py"),
                ("satori-rtm/npm-sdk", "satori_speaker.js"),
            ],
        },
    },
    Peer {
        name: "python-client",
        of: "stream-sea",
        what: "the Python client: every function of it, and 1,000 messages both ways",
        needs: &[Need::Venv {
            alone: Some("stream_sea_python_client_no_deps.txt"),
            pins: "stream_sea_python_client.txt",
        }],
        role: Role::Client { script: "stream_sea_python_client.py", language: Language::Python },
    },
    Peer {
        name: "js-client",
        of: "stream-sea",
        what: "the JavaScript client: every function of it, and 1,000 messages both ways",
        needs: &[
            Need::ByPath { variable: "STREAM_SEA_JS" },
            Need::Program { name: "node", package: "nodejs" },
        ],
        role: Role::Client { script: "stream_sea_js_client.js", language: Language::JavaScript },
    },
    Peer {
        name: "emitter-broker",
        of: "emitter",
        what: "the real broker, one node and three: our client's suite runs on it",
        needs: &[
            Need::ByPath { variable: "EMITTER_BROKER" },
            Need::Program { name: "openssl", package: "openssl" },
        ],
        role: Role::Server(mqtt::emitter_broker),
    },
    Peer {
        name: "mosquitto",
        of: "emitter",
        what: "a broker of MQTT alone: what our client can do there runs on it",
        needs: &[
            Need::Program { name: "mosquitto", package: "mosquitto" },
            Need::Program { name: "openssl", package: "openssl" },
        ],
        role: Role::Server(mqtt::mosquitto),
    },
    Peer {
        name: "python-sdk",
        of: "emitter",
        what: "the Python SDK: every call of it, and messages both ways, over TCP and TLS",
        needs: &[Need::Venv { alone: None, pins: "emitter_python_sdk.txt" }],
        role: Role::Client { script: "emitter_python_sdk.py", language: Language::Python },
    },
    Peer {
        name: "npm-sdk",
        of: "emitter",
        what: "the JavaScript SDK: every call of it, and messages both ways, over WebSocket",
        needs: &[Need::Npm { pins: "emitter_npm_sdk.txt" }],
        role: Role::Client { script: "emitter_npm_sdk.js", language: Language::JavaScript },
    },
    Peer {
        name: "high-templar-3.1",
        of: "high-templar-client",
        what: "the Python server of the 3.x line: our client's suite runs on it",
        needs: &[Need::Venv {
            alone: Some("high_templar_3_alone.txt"),
            pins: "high_templar_3.txt",
        }],
        role: Role::Server(templar::high_templar_3),
    },
    Peer {
        name: "high-templar-2.5",
        of: "high-templar-client",
        what: "the Python server of the 2.x line: our client's suite runs on it",
        needs: &[Need::Venv {
            alone: Some("high_templar_2_alone.txt"),
            pins: "high_templar_2.txt",
        }],
        role: Role::Server(templar::high_templar_2),
    },
    Peer {
        name: "tinyproxy",
        of: "ws-core",
        what: "an HTTP proxy: the proxy suite runs through it",
        needs: &[Need::Program { name: "tinyproxy", package: "tinyproxy" }],
        role: Role::Server(server::tinyproxy),
    },
];

pub(crate) fn all() -> &'static [Peer] {
    &PEERS
}

/// Finds a peer by its name, or where two crates have one of that name by
/// `CRATE/NAME`.
pub(crate) fn find(name: &str) -> Result<&'static Peer, Failure> {
    let (of, alone) = name.split_once('/').map_or((None, name), |(of, name)| (Some(of), name));
    let same = |peer: &&Peer| peer.name == alone && of.is_none_or(|of| of == peer.of);
    let mut found = all().iter().filter(same);
    match (found.next(), found.next()) {
        (Some(peer), None) => Ok(peer),
        (Some(one), Some(other)) => {
            let (one, other) = (one.of, other.of);
            let told = format!("{name} is a peer of two: say {one}/{alone} or {other}/{alone}");
            Err(Failure::usage(told))
        }
        (None, _) => {
            let names: Vec<&str> = all().iter().map(|peer| peer.name).collect();
            Err(Failure::usage(format!("no peer {name:?}; there are {}", names.join(", "))))
        }
    }
}

impl Peer {
    /// What its folder is called.
    pub(crate) fn folder(&self) -> String {
        format!("{}-{}", self.of, self.name)
    }
}
