//! Acknowledged publishes, pipelined, and deliveries to one subscriber: this crate, its
//! bare parts (ws-core and serde), the Python SDK and the JavaScript SDK in turn, each by
//! the CPU time of its own process, on one sandbox in a process of its own.
//!
//! ```text
//! satori-rtm-bench               all; RTM_PYTHON is an interpreter that has the SDK,
//!                                RTM_NODE_PATH a folder of npm packages
//! satori-rtm-bench server        the sandbox alone; prints its port and appkey
//! satori-rtm-bench ours ROW N    one row of ours alone, N times, for a profile
//! ```

#![forbid(unsafe_code)]

mod bare;
mod ours;
mod peers;
#[expect(dead_code, reason = "the benches share what is the same")]
#[path = "../../cent/src/sample.rs"]
mod sample;
mod server;

use peers::Peer;
use sample::Samples;
use serde::{Deserialize, Serialize};
use server::Server;

/// Samples of each side; odd, so that a median is one of them.
const SAMPLES: usize = 15;

/// What is published and delivered.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Payload {
    pub(crate) station: String,
    pub(crate) level: f64,
    pub(crate) text: String,
}

impl Payload {
    /// About so many bytes, as it is written.
    pub(crate) fn of(bytes: usize) -> Self {
        let text = "x".repeat(bytes - 38);
        Self { station: "N4".to_owned(), level: 1.75, text }
    }
}

/// One row: what is measured, and how often in one sample, ours and theirs.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub(crate) deliveries: bool,
    pub(crate) cbor: bool,
    pub(crate) bytes: usize,
    /// How often the history is delivered in one sample: enough for ticks of 10 ms.
    pub(crate) rounds: u64,
    ours: u64,
    node: u64,
    python: u64,
}

impl Work {
    fn name(self) -> String {
        let what = if self.deliveries { "deliveries" } else { "publishes" };
        let protocol = if self.cbor { "CBOR" } else { "JSON" };
        format!("{what} {protocol} {} B", self.bytes)
    }

    /// The channel whose history is delivered.
    pub(crate) fn channel(self) -> String {
        format!("bench {} {}", self.cbor, self.bytes)
    }

    /// Messages that the history holds: what is delivered in one go.
    pub(crate) const fn kept(bytes: usize) -> u64 {
        if bytes > 1000 { 2000 } else { 50_000 }
    }
}

fn works() -> Vec<Work> {
    let mut works = Vec::new();
    for deliveries in [false, true] {
        for cbor in [false, true] {
            for bytes in [100, 10 << 10] {
                let few = bytes > 1000;
                let (rounds, ours, node, python) = match (deliveries, few) {
                    (false, false) => (1, 100_000, 10_000, 5000),
                    (false, true) => (1, 20_000, 4000, 2000),
                    (true, false) => (10, 50_000, 50_000, 50_000),
                    (true, true) => (20, 2000, 2000, 2000),
                };
                works.push(Work { deliveries, cbor, bytes, rounds, ours, node, python });
            }
        }
    }
    works
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["server"] => server::run(),
        ["ours", at, times] => alone(&Server::start(), at, times),
        [] => measure(&Server::start()),
        _ => {
            eprintln!("satori-rtm-bench [server | ours ROW N]");
            std::process::exit(2);
        }
    }
}

/// One row of ours alone, for a profile.
fn alone(server: &Server, at: &str, times: &str) {
    let (at, times) = (at.parse().unwrap_or(0), times.parse().unwrap_or(1));
    let work = *works().get(at).expect("a row");
    for _ in 0..times {
        println!("{}: {:.0}", work.name(), ours::run(server, work, work.ours));
    }
}

fn measure(server: &Server) {
    let (python, node) = (Peer::python(), Peer::node());
    for (name, peer) in [("Python", &python), ("Node", &node)] {
        if let Err(reason) = peer {
            println!("{name}: not run: {reason}");
        }
    }
    println!("messages a CPU second of the client's process; ratios are ours to theirs");
    println!("{:<26}{:>10}{:>26}{:>26}{:>26}", "", "ours", "bare", "Node", "Python");
    for work in works() {
        let (mut mine, mut parts) = (Vec::new(), Vec::new());
        let (mut of_node, mut of_python) = (Vec::new(), Vec::new());
        for _ in 0..SAMPLES {
            mine.push(ours::run(server, work, work.ours));
            parts.push(bare::run(server, work, work.ours));
            of_node.extend(node.as_ref().ok().map(|peer| peer.run(server, work, work.node)));
            of_python.extend(python.as_ref().ok().map(|peer| peer.run(server, work, work.python)));
        }
        let mine = Samples::of(mine);
        let column = |theirs: Vec<f64>| {
            if theirs.is_empty() {
                return "not run".to_owned();
            }
            let theirs = Samples::of(theirs);
            let ratios = mine.ratios(&theirs);
            let (median, low, high) = (ratios.median(), ratios.p10(), ratios.p90());
            format!("{:.0} {median:.2} ({low:.2}..{high:.2})", theirs.median())
        };
        let (parts, of_node, of_python) = (column(parts), column(of_node), column(of_python));
        println!(
            "{:<26}{:>10.0}{parts:>26}{of_node:>26}{of_python:>26}",
            work.name(),
            mine.median()
        );
    }
}

/// Runs on one thread.
pub(crate) fn on_a_runtime<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}
