//! The Python SDK, in a process of its own that measures itself.

use std::process::Command;

use crate::{PYTHON_SAMPLES, Place, Work, ours, sample::Samples};

const SCRIPT: &str = r"
import sys, threading, time
from emitter import Client
work, port, key, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
done, connected = threading.Event(), threading.Event()
client = Client()
client.on_connect = connected.set
client.on_me = lambda me: done.set()
client.connect(host='127.0.0.1', port=port, secure=False)
client.loop_start()
connected.wait()
start = time.process_time()
if work == 'Deliveries':
    got = 0
    def handler(message):
        global got
        got += 1
        if got == count:
            done.set()
    client.subscribe(key, str(count), handler)
else:
    options = {Client.with_at_least_once()} if work == 'Qos1' else {}
    client._mqtt.max_inflight_messages_set(1000)
    for _ in range(count):
        client.publish(key, 'bench', 'x' * 100, options)
    if work == 'Qos1':
        while client._mqtt._out_messages:
            time.sleep(0.01)
        done.set()
    else:
        client.me()
done.wait()
print(count / (time.process_time() - start))
";

pub(crate) fn measure(program: &str, sandbox: &Place, feeder: &Place) {
    println!("\nby CPU time of the client's process");
    for (work, place, ours_of, theirs_of) in [
        (Work::Qos0, sandbox, 200_000, 20_000),
        (Work::Qos1, sandbox, 100_000, 10_000),
        (Work::Deliveries, feeder, 500_000, 50_000),
    ] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..PYTHON_SAMPLES {
            ours.push(ours::run(work, place, ours_of).cpu);
            theirs.push(run(program, work, place, theirs_of));
        }
        let (ours, theirs) = (Samples::of(ours), Samples::of(theirs));
        let ratios = ours.ratios(&theirs);
        println!(
            "{:<12} ours {:>10.0} /CPU s, Python {:>8.0} /CPU s, ratio {:.0} ({:.0} .. {:.0})",
            format!("{work:?}"),
            ours.median(),
            theirs.median(),
            ours.median() / theirs.median(),
            ratios.p10(),
            ratios.p90(),
        );
    }
}

fn run(program: &str, work: Work, place: &Place, messages: u64) -> f64 {
    let mut command = Command::new(program);
    let (port, messages) = (place.port.to_string(), messages.to_string());
    command.args(["-c", SCRIPT, &format!("{work:?}"), &port, &place.key, &messages]);
    let output = command.output().expect("Python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().parse().unwrap_or_else(|_| {
        panic!("Python failed: {said}{}", String::from_utf8_lossy(&output.stderr))
    })
}
