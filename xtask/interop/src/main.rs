//! Runs an original client against the sandbox, where its protocol has one cuts its
//! connection once, and compares what it saw with what the server stored.

#![forbid(unsafe_code)]

mod cent;
mod driver;
mod emitter;
mod report;
mod satori_rtm;
mod stream_sea;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use driver::Client;

/// An original client against a local server.
#[derive(Debug, Parser)]
#[command(name = "realtime-interop")]
struct Options {
    /// Whose protocol
    #[arg(value_name = "CRATE", value_parser = ["cent", "emitter", "satori-rtm", "stream-sea"])]
    protocol: String,

    /// Seconds after which the client is ended
    #[arg(long, default_value_t = 60)]
    within: u64,

    /// An empty folder for the client to live in
    #[arg(long)]
    home: PathBuf,

    /// The client: a program that prints what it saw as one line of JSON
    #[arg(last = true, required = true)]
    client: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let within = Duration::from_secs(options.within);
    let client = Client { command: options.client, home: options.home };
    let ran = match options.protocol.as_str() {
        "cent" => cent::run(&client, within).await,
        "emitter" => emitter::run(&client, within).await,
        "stream-sea" => stream_sea::run(&client, within).await,
        _ => satori_rtm::run(&client, within).await,
    };
    match ran {
        Ok(report) => {
            report.tell();
            if report.is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(reason) => {
            eprintln!("{}: {reason}", options.protocol);
            ExitCode::FAILURE
        }
    }
}
