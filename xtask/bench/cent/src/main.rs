//! Publications by HTTP: this crate and the official one in turn, against a server
//! in a process of its own, or against the one that is named.
//!
//! ```text
//! cent-bench                     against the mock
//! cent-bench URL KEY             against a real server, v6
//! cent-bench mock                the mock alone; prints its address
//! ```

#![forbid(unsafe_code)]

mod mock;
mod python;
mod sample;
mod work;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use sample::{Samples, alternate};
use work::{Official, Ours, Target};

/// Callers at a time.
const CALLERS: [usize; 3] = [1, 16, 64];

/// Commands in an explicit batch.
const BATCH: usize = 512;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["mock"] => mock::run(),
        [] => {
            let mock = Mock::start();
            println!("against the mock");
            measure(&Target { url: mock.url.clone(), key: "my-api-key".into() });
        }
        [url, key] => {
            println!("against {url}");
            measure(&Target { url: (*url).into(), key: (*key).into() });
        }
        _ => {
            eprintln!("cent-bench [URL KEY | mock]");
            std::process::exit(2);
        }
    }
}

fn measure(target: &Target) {
    println!(
        "{:<22}{:>12}{:>12}{:>8}{:>16}{:>18}",
        "", "ours", "official", "ratio", "p10 .. p90", "CPU us a call"
    );
    let (ours, official) = (Ours::new(target), Official::new(target));
    for callers in CALLERS {
        let pair =
            alternate(|time| ours.blocking(callers, time), |time| official.blocking(callers, time));
        tell(&format!("blocking, {callers} callers"), &pair);
    }
    for callers in CALLERS {
        let pair = alternate(
            |time| ours.asynchronous(callers, time),
            |time| official.asynchronous(callers, time),
        );
        tell(&format!("async, {callers} callers"), &pair);
    }
    let pair = alternate(|time| ours.batches(BATCH, time), |time| official.batches(BATCH, time));
    tell("batches of 512", &pair);
    python::measure(target, &ours);
}

fn tell(name: &str, (ours, official): &(Samples, Samples)) {
    let (a, b) = (ours.median(), official.median());
    let ratios = ours.ratios(official);
    println!(
        "{name:<22}{a:>10.0}/s{b:>10.0}/s{:>8.2}{:>9.2} .. {:.2}{:>9.1} / {:.1}",
        a / b,
        ratios.p10(),
        ratios.p90(),
        ours.cpu(),
        official.cpu(),
    );
}

/// The mock in a process of its own, ended with its owner.
struct Mock {
    child: Child,
    url: String,
}

impl Mock {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .arg("mock")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the mock starts");
        let mut url = String::new();
        let out = child.stdout.take().expect("its output is ours");
        BufReader::new(out).read_line(&mut url).expect("it says where it listens");
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
