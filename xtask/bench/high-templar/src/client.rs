//! Deliveries to our client, and to the browser client on Node.

use std::{process::Command, time::Instant};

use high_templar_client::{Client, Config, Delivery, Room, Subscribe};

use crate::{
    helpers::{Running, on_a_runtime},
    sample::{Samples, cpu_seconds},
};

const SAMPLES: usize = 9;
const OURS: u64 = 2_000_000;
const THEIRS: u64 = 400_000;

/// The browser client: it wants a global WebSocket, which older Nodes have not.
const SCRIPT: &str = r"
const { createRequire } = require('module');
const [path, port, count] = process.argv.slice(1);
const beside = createRequire(path);
globalThis.WebSocket = globalThis.WebSocket || beside('ws');
const { Socket } = beside(path);
const socket = new Socket({ url: `ws://127.0.0.1:${port}/ws/` });
let got = 0, start = null;
socket.subscribe({
    room: { target: count },
    onPublish: () => {
        if (got === 0) start = process.cpuUsage();
        got += 1;
        if (got === Number(count)) {
            const used = process.cpuUsage(start);
            console.log(got / ((used.user + used.system) / 1e6));
            process.exit(0);
        }
    },
});
";

pub(crate) fn measure() {
    let (_feeder, port) = Running::helper("feeder");
    let js = std::env::var("HIGH_TEMPLAR_JS").ok();
    let (mut ours, mut wall, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let (by_cpu, by_clock) = on_a_runtime(deliveries(&port));
        ours.push(by_cpu);
        wall.push(by_clock);
        if let Some(path) = &js {
            theirs.push(browser(path, &port));
        }
    }
    let (ours, wall) = (Samples::of(ours), Samples::of(wall));
    println!("\ndeliveries of 100 B to one subscription");
    println!("ours {:.0} /s, {:.0} /CPU s", wall.median(), ours.median());
    if theirs.is_empty() {
        return println!("browser client: not run: HIGH_TEMPLAR_JS does not say where it is");
    }
    let theirs = Samples::of(theirs);
    let ratios = ours.ratios(&theirs);
    println!(
        "browser client {:.0} /CPU s; ours / theirs {:.1} ({:.1} .. {:.1})",
        theirs.median(),
        ratios.median(),
        ratios.p10(),
        ratios.p90()
    );
}

/// Messages a CPU second, and a second, from the first to the last.
async fn deliveries(port: &str) -> (f64, f64) {
    let client = Client::connect(Config::new(format!("ws://127.0.0.1:{port}"))).await;
    let client = client.expect("it lets us in");
    let room = Room::new().with("target", OURS.to_string());
    let mut messages = client.subscribe(room, Subscribe::new()).await.expect("it accepts");
    let (mut got, mut start) = (0, (0.0, Instant::now()));
    while got < OURS {
        match messages.next().await {
            Some(Delivery::Message(_)) if got == 0 => start = (cpu_seconds(), Instant::now()),
            Some(Delivery::Message(_)) => {}
            other => panic!("{other:?}"),
        }
        got += 1;
    }
    let (cpu, clock) = (cpu_seconds() - start.0, start.1.elapsed().as_secs_f64());
    (OURS as f64 / cpu, OURS as f64 / clock)
}

fn browser(path: &str, port: &str) -> f64 {
    let mut command = Command::new("node");
    command.args(["-e", SCRIPT, path, port, &THEIRS.to_string()]);
    let output = command.output().expect("Node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().parse().unwrap_or_else(|_| {
        panic!("Node failed: {said}{}", String::from_utf8_lossy(&output.stderr))
    })
}
