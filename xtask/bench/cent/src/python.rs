//! The Python client, where `CENT_PYTHON` names an interpreter that has it.

use std::process::Command;

use crate::{
    CALLERS,
    sample::{Samples, alternate},
    work::{Ours, Target},
};

/// Publishes from threads for 0.3 s, and prints calls a second; fifteen times.
const SCRIPT: &str = "\
import sys, threading, time
import cent
url, key, callers = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = cent.Client(url + '/api', key)
def sample():
    end, counts = time.monotonic() + 0.3, []
    def work():
        calls = 0
        while time.monotonic() < end:
            client.publish(cent.PublishRequest(channel='bench', data={'input': 'hello'}))
            calls += 1
        counts.append(calls)
    threads = [threading.Thread(target=work) for _ in range(callers)]
    start = time.monotonic()
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return sum(counts) / (time.monotonic() - start)
sample()
for _ in range(15): print(sample())
";

pub(crate) fn measure(target: &Target, ours: &Ours) {
    let Ok(python) = std::env::var("CENT_PYTHON") else {
        println!("pycent: not run: CENT_PYTHON names no interpreter that has it");
        return;
    };
    println!("{:<22}{:>12}{:>12}{:>8}", "", "ours", "pycent", "ratio");
    for callers in CALLERS {
        let mut command = Command::new(&python);
        command.args(["-c", SCRIPT, &target.url, &target.key, &callers.to_string()]);
        command.env("NO_PROXY", "127.0.0.1,localhost");
        let Ok(output) = command.output() else {
            println!("pycent: not run: {python} does not start");
            return;
        };
        if !output.status.success() {
            println!("pycent: failed: {}", String::from_utf8_lossy(&output.stderr));
            std::process::exit(1);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let theirs = Samples::of(text.lines().filter_map(|line| line.parse().ok()).collect());
        let (own, _) = alternate(|time| ours.blocking(callers, time), |_| 0);
        let (a, b) = (own.median(), theirs.median());
        println!("{:<22}{a:>10.0}/s{b:>10.0}/s{:>8.1}", format!("{callers} callers"), a / b);
    }
}
