//! Publishes and subscribes with every SDK, cuts each connection once, and says
//! what was lost: nothing.

#![forbid(unsafe_code)]

mod cent_demo;
mod emitter_demo;
mod forgetful;
mod high_templar_demo;
mod lines;
mod report;
mod satori_rtm_demo;
mod stream_sea_demo;

use std::process::ExitCode;

use clap::Parser;
use report::{Narrator, Row};

/// The SDKs that there are.
const NAMES: [&str; 5] = ["satori-rtm", "stream-sea", "cent", "emitter", "high-templar-client"];

/// A publisher and a subscriber of every SDK against local servers, each
/// connection cut once.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask demo")]
struct Options {
    /// One SDK only
    #[arg(value_name = "CRATE", value_parser = NAMES)]
    only: Option<String>,

    /// A server of yours in place of the local one, e.g. ws://127.0.0.1:8080
    #[arg(long, requires = "only", requires = "appkey")]
    url: Option<String>,

    /// The appkey of that server
    #[arg(long, requires = "url")]
    appkey: Option<String>,

    /// The role to authenticate as
    #[arg(long, requires = "url", requires = "role_secret")]
    role: Option<String>,

    /// That role's secret
    #[arg(long, env = "SATORI_ROLE_SECRET", hide_env_values = true)]
    role_secret: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut options = Options::parse();
    let mut rows = Vec::new();
    for name in NAMES {
        if options.only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        match run(name, &mut options).await {
            Ok(row) => rows.push(row),
            Err(reason) => {
                eprintln!("{name}: {reason}");
                return ExitCode::FAILURE;
            }
        }
    }
    conclude(&rows)
}

async fn run(name: &'static str, options: &mut Options) -> Result<Row, String> {
    let narrator = Narrator::new(name);
    if name != "satori-rtm" && options.url.is_some() {
        return Err("it runs on the local server only".into());
    }
    match name {
        "cent" => return cent_demo::local(&narrator).await,
        "emitter" => return emitter_demo::local(&narrator).await,
        "high-templar-client" => return high_templar_demo::local(&narrator).await,
        "stream-sea" => return stream_sea_demo::local(&narrator).await,
        _ => {}
    }
    let row = match (options.url.take(), options.appkey.take()) {
        (Some(url), Some(appkey)) => {
            let role = options.role.take().zip(options.role_secret.take());
            satori_rtm_demo::at(&narrator, &url, &appkey, role).await
        }
        _ => satori_rtm_demo::local(&narrator).await,
    };
    row.map_err(|error| report::explain(&error))
}

/// The table; success only if nothing is missing, doubled or unrecovered.
fn conclude(rows: &[Row]) -> ExitCode {
    // A table that nobody reads does not change what happened.
    let _written = report::table(rows);
    match rows.iter().all(Row::is_good) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
