//! Runs an original client against the sandbox, where its protocol has one cuts its
//! connection once, and compares what it saw with what the server stored.

#![forbid(unsafe_code)]

mod cent;
mod driver;
mod emitter;
mod pairs;
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
    /// Whose protocol; `pairs` for clients of Satori RTM that talk to each other
    #[arg(value_name = "CRATE", value_parser = ["cent", "emitter", "pairs", "satori-rtm", "stream-sea"])]
    protocol: String,

    /// Seconds after which the client is ended
    #[arg(long, default_value_t = 60)]
    within: u64,

    /// An empty folder for the client to live in
    #[arg(long)]
    home: PathBuf,

    /// A kind of client for `pairs`, as JSON: name, command, env
    #[arg(long = "kind")]
    kinds: Vec<String>,

    /// A kind that could not be had, and why
    #[arg(long)]
    missing: Vec<String>,

    /// The client: a program that prints what it saw as one line of JSON
    #[arg(last = true)]
    client: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let within = Duration::from_secs(options.within);
    if options.protocol == "pairs" {
        return ExitCode::from(tell("pairs", pairs(&options, within).await));
    }
    let client = Client { command: options.client, home: options.home };
    let ran = match options.protocol.as_str() {
        "cent" => cent::run(&client, within).await,
        "emitter" => emitter::run(&client, within).await,
        "stream-sea" => stream_sea::run(&client, within).await,
        _ => satori_rtm::run(&client, within).await,
    };
    ExitCode::from(tell(&options.protocol, ran))
}

async fn pairs(options: &Options, within: Duration) -> Result<report::Report, String> {
    let kinds: Result<Vec<pairs::Kind>, _> =
        options.kinds.iter().map(|kind| serde_json::from_str(kind)).collect();
    let kinds = kinds.map_err(|e| format!("--kind: {e}"))?;
    pairs::run(kinds, &options.missing, &options.home, within).await
}

fn tell(what: &str, ran: Result<report::Report, String>) -> u8 {
    match ran {
        Ok(report) => {
            report.tell();
            u8::from(!report.is_good)
        }
        Err(reason) => {
            eprintln!("{what}: {reason}");
            1
        }
    }
}
