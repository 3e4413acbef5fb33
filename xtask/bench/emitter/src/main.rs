//! Publishes and deliveries: this crate, bare rumqttc and the original Python SDK in
//! turn. The servers run in a process of their own; a real broker is measured beside
//! them where it is given.
//!
//! ```text
//! emitter-bench                 all; EMITTER_PYTHON is an interpreter that has the SDK,
//!                               EMITTER_PORT and EMITTER_KEY a broker beside the sandbox
//! emitter-bench servers         the servers alone; prints their ports
//! ```

#![forbid(unsafe_code)]

mod bare;
mod ours;
mod python;
#[expect(dead_code, reason = "the benches share what is the same")]
#[path = "../../cent/src/sample.rs"]
mod sample;
mod servers;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Instant,
};

use sample::Samples;

/// Samples of each side; odd, so that a median is one of them.
const SAMPLES: usize = 15;
const PYTHON_SAMPLES: usize = 5;

/// What is published and delivered: 100 bytes.
const PAYLOAD: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Unacknowledged messages at a time.
const WINDOW: u16 = 1000;

/// Where a side is sent.
#[derive(Clone, Debug)]
struct Place {
    port: u16,
    key: String,
}

/// Messages a second by the clock, and by the CPU time of the process.
#[derive(Clone, Copy, Debug)]
struct Rate {
    wall: f64,
    cpu: f64,
}

/// Started before the first message. At QoS 1 it stops a window before the last: a
/// real broker keeps the last acknowledgements for up to a second, whoever waits.
#[derive(Clone, Copy, Debug)]
struct Stopwatch {
    wall: Instant,
    cpu: f64,
}

impl Stopwatch {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu: sample::cpu_seconds() }
    }

    fn rate(&self, messages: u64) -> Rate {
        let (wall, cpu) = (self.wall.elapsed().as_secs_f64(), sample::cpu_seconds() - self.cpu);
        Rate { wall: messages as f64 / wall, cpu: messages as f64 / cpu }
    }
}

#[derive(Clone, Copy, Debug)]
enum Work {
    Qos0,
    Qos1,
    Deliveries,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["servers"] => servers::run(),
        [] => measure(),
        _ => {
            eprintln!("emitter-bench [servers]");
            std::process::exit(2);
        }
    }
}

fn measure() {
    let servers = Servers::start();
    let sandbox = Place { port: servers.sandbox, key: servers::KEY.to_owned() };
    let feeder = Place { port: servers.feeder, key: "K".to_owned() };
    println!("messages of {} bytes, window {WINDOW}", PAYLOAD.len());
    println!(
        "{:<22}{:>12}{:>12}{:>7}{:>16}{:>14}{:>10}",
        "", "ours /s", "rumqttc /s", "ratio", "p10 .. p90", "CPU us, ours", "/ rumqttc"
    );
    against("QoS 0, sandbox", Work::Qos0, &sandbox, 200_000);
    against("QoS 1, sandbox", Work::Qos1, &sandbox, 100_000);
    against("deliveries, feeder", Work::Deliveries, &feeder, 500_000);
    if let (Ok(port), Ok(key)) = (std::env::var("EMITTER_PORT"), std::env::var("EMITTER_KEY")) {
        let real = Place { port: port.parse().expect("a port"), key };
        against("QoS 0, broker", Work::Qos0, &real, 100_000);
        against("QoS 1, broker", Work::Qos1, &real, 300_000);
    } else {
        println!("real broker: not run: EMITTER_PORT and EMITTER_KEY name none");
    }
    latency(&sandbox);
    match std::env::var("EMITTER_PYTHON") {
        Ok(program) => python::measure(&program, &sandbox, &feeder),
        Err(_) => println!("Python: not run: EMITTER_PYTHON names no interpreter that has it"),
    }
}

fn against(name: &str, work: Work, place: &Place, messages: u64) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        ours.push(ours::run(work, place, messages));
        theirs.push(bare::run(work, place, messages));
    }
    let wall = |rates: &[Rate]| Samples::of(rates.iter().map(|rate| rate.wall).collect());
    let cpu = |rates: &[Rate]| Samples::of(rates.iter().map(|rate| rate.cpu).collect()).median();
    let (a, b) = (wall(&ours), wall(&theirs));
    let ratios = a.ratios(&b);
    println!(
        "{name:<22}{:>12.0}{:>12.0}{:>7.2}{:>8.2} .. {:.2}{:>14.2}{:>10.2}",
        a.median(),
        b.median(),
        a.median() / b.median(),
        ratios.p10(),
        ratios.p90(),
        1e6 / cpu(&ours),
        1e6 / cpu(&theirs),
    );
}

/// From publishing to delivery and back, one message at a time.
fn latency(place: &Place) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        ours.push(ours::round_trip(place, 1000));
        theirs.push(bare::round_trip(place, 1000));
    }
    let (ours, theirs) = (Samples::of(ours).median(), Samples::of(theirs).median());
    println!(
        "round trip p50: ours {ours:.1} us, rumqttc {theirs:.1} us, added {:.1} us",
        ours - theirs
    );
}

fn on_a_runtime<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// The servers in a process of their own, ended with their owner.
struct Servers {
    child: Child,
    sandbox: u16,
    feeder: u16,
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
        Self { sandbox: next(), feeder: next(), child }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
