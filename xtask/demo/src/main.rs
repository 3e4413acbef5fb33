//! Publishes and subscribes with every SDK, cuts each connection once, and says
//! what was lost: nothing.

#![forbid(unsafe_code)]

mod report;
mod satori_rtm_demo;

use std::process::ExitCode;

use clap::Parser;
use report::{Narrator, Row};

/// A publisher and a subscriber of every SDK against local servers, each
/// connection cut once.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask demo")]
struct Options {
    /// One SDK only
    #[arg(value_name = "CRATE", value_parser = ["satori-rtm"])]
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
    let options = Options::parse();
    let narrator = Narrator::new("satori-rtm");
    let result = match (options.url, options.appkey) {
        (Some(url), Some(appkey)) => {
            let role = options.role.zip(options.role_secret);
            satori_rtm_demo::at(&narrator, &url, &appkey, role).await
        }
        _ => satori_rtm_demo::local(&narrator).await,
    };
    match result {
        Ok(row) => conclude(&[row]),
        Err(error) => {
            eprintln!("satori-rtm: {}", report::explain(&error));
            ExitCode::FAILURE
        }
    }
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
