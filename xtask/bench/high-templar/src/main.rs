//! The server beside the Python server of the 3.x line, and the client beside the browser
//! client on Node: in turn, each in a process of its own.
//!
//! ```text
//! high-templar-bench            all; HIGH_TEMPLAR_PROGRAM is our server,
//!                               HIGH_TEMPLAR_PYTHON an interpreter that has the Python one,
//!                               HIGH_TEMPLAR_SCRIPT what starts it,
//!                               HIGH_TEMPLAR_JS the browser client
//! high-templar-bench backend    an API that lets everybody in; prints its prefix
//! high-templar-bench feeder     delivers as fast as it is read; prints its port
//! ```

#![forbid(unsafe_code)]

mod client;
mod crowd;
mod helpers;
#[expect(dead_code, reason = "the benches share what is the same")]
#[path = "../../cent/src/sample.rs"]
mod sample;
mod server;
mod side;
mod socket;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["backend"] => helpers::backend(),
        ["feeder"] => helpers::feeder(),
        [] => {
            server::measure();
            client::measure();
        }
        _ => {
            eprintln!("high-templar-bench [backend|feeder]");
            std::process::exit(2);
        }
    }
}
