//! Deliveries to a subscriber, and publications by HTTP: this crate and the original
//! Python client in turn, each by the CPU time of its own process. The servers run in
//! a process of their own.
//!
//! ```text
//! stream-sea-bench               all; SEA_PYTHON is an interpreter that has the client
//! stream-sea-bench servers       the servers alone; prints their ports
//! ```

#![forbid(unsafe_code)]

mod python;
#[expect(dead_code, reason = "the benches share what is the same")]
#[path = "../../cent/src/sample.rs"]
mod sample;
mod servers;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use python::Python;
use sample::{Samples, cpu_seconds};
use serde_json::json;
use stream_sea::{Client, Config, Credentials, Delivery, Subscribe};

/// Samples of each side; odd, so that a median is one of them.
const SAMPLES: usize = 7;

/// Messages of one sample: enough for ticks of 10 ms to count it.
const OURS: [u64; 2] = [500_000, 20_000];
const THEIRS: [u64; 2] = [20_000, 1_000];

const CLIENT: &str = "app123";
const SECRET: &str = "01234567890123456789";
const STREAM: &str = "bench";

/// What is published and delivered: 100 bytes.
fn payload() -> serde_json::Value {
    json!({"station": "N4", "level": 1.75, "text": "x".repeat(62)})
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["servers"] => servers::run(),
        [] => measure(&Servers::start()),
        _ => {
            eprintln!("stream-sea-bench [servers]");
            std::process::exit(2);
        }
    }
}

fn measure(servers: &Servers) {
    println!(
        "messages of {} bytes, by CPU time of the client's process",
        payload().to_string().len()
    );
    println!(
        "{:<14}{:>16}{:>16}{:>8}{:>18}{:>22}",
        "", "ours /CPU s", "Python /CPU s", "ratio", "p10 .. p90", "CPU us, ours / Python"
    );
    let python = match std::env::var("SEA_PYTHON") {
        Ok(program) => Some(Python::new(program)),
        Err(_) => {
            println!("Python: not run: SEA_PYTHON names no interpreter that has the client");
            None
        }
    };
    for (at, name) in ["deliveries", "publications"].into_iter().enumerate() {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..SAMPLES {
            ours.push(match at {
                0 => deliveries(servers.feeder, OURS[0]),
                _ => publications(servers.sandbox, OURS[1]),
            });
            if let Some(python) = &python {
                theirs.push(match at {
                    0 => python.deliveries(servers.feeder, THEIRS[0]),
                    _ => python.publications(servers.sandbox, THEIRS[1]),
                });
            }
        }
        let (ours, theirs) = (Samples::of(ours), Samples::of(theirs));
        let (a, b, ratios) = (ours.median(), theirs.median(), ours.ratios(&theirs));
        println!(
            "{name:<14}{a:>16.0}{b:>16.0}{:>8.1}{:>9.1} .. {:.1}{:>12.2} / {:.1}",
            a / b,
            ratios.p10(),
            ratios.p90(),
            1e6 / a,
            1e6 / b,
        );
    }
}

fn config(port: u16) -> Config {
    Config::new("127.0.0.1", port, Credentials::basic(CLIENT, SECRET))
}

fn on_a_runtime<F: Future<Output = f64>>(future: F) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// Messages a CPU second. The feeder begins when somebody subscribes to a stream that
/// is called after the number of messages.
fn deliveries(port: u16, messages: u64) -> f64 {
    on_a_runtime(async {
        let client = Client::connect(config(port)).await.expect("the feeder answers");
        let stream = messages.to_string();
        let mut bench = client.subscribe(&stream, Subscribe::new()).await.expect("it accepts");
        let (cpu, mut got) = (cpu_seconds(), 0);
        while got < messages {
            match bench.next().await {
                Some(Delivery::Message(message)) => got += u64::from(message.json().len() > 90),
                other => panic!("{other:?}"),
            }
        }
        messages as f64 / (cpu_seconds() - cpu)
    })
}

/// Publications a CPU second, four at a time as the original's.
fn publications(port: u16, messages: u64) -> f64 {
    on_a_runtime(async {
        let client = Client::new(config(port)).expect("a client");
        let payload = payload();
        let cpu = cpu_seconds();
        let publish = || async {
            for _ in 0..messages / 4 {
                client.publish(STREAM, &payload).await.expect("the sandbox takes it");
            }
        };
        tokio::join!(publish(), publish(), publish(), publish());
        messages as f64 / (cpu_seconds() - cpu)
    })
}

/// The servers in a process of their own, ended with their owner.
struct Servers {
    child: Child,
    feeder: u16,
    sandbox: u16,
}

impl Servers {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .arg("servers")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the servers start");
        let mut ports = String::new();
        let out = child.stdout.take().expect("their output is ours");
        BufReader::new(out).read_line(&mut ports).expect("they say where they listen");
        let mut ports = ports.split_whitespace().map(|port| port.parse().expect("a port"));
        let mut next = || ports.next().expect("two ports");
        Self { feeder: next(), sandbox: next(), child }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
