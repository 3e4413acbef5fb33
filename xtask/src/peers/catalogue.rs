//! The peers.

use super::server;
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
    /// A folder of npm packages.
    Npm { pins: &'static str },
}

pub(crate) enum Role {
    /// Our suite runs against it.
    Server(server::Starter),
    /// It runs against the sandbox: a script of `ci/peers`.
    Client { script: &'static str, language: Language },
}

#[derive(Clone, Copy)]
pub(crate) enum Language {
    JavaScript,
    Python,
}

static PEERS: [Peer; 4] = [
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
        name: "npm-sdk",
        of: "satori-rtm",
        what: "the JavaScript SDK: runs on the sandbox, through one cut",
        needs: &[Need::Npm { pins: "satori_npm_sdk.txt" }],
        role: Role::Client { script: "satori_npm_sdk.js", language: Language::JavaScript },
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

pub(crate) fn find(name: &str) -> Result<&'static Peer, Failure> {
    all().iter().find(|peer| peer.name == name).ok_or_else(|| {
        let names: Vec<&str> = all().iter().map(|peer| peer.name).collect();
        Failure::usage(format!("no peer {name:?}; there are {}", names.join(", ")))
    })
}
