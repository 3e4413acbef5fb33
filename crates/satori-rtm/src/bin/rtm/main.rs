//! `rtm`: publish, subscribe, record and replay from a shell.

#![forbid(unsafe_code)]

mod interrupt;
mod options;
mod receive;
mod record;
mod replay;
mod send;
mod session;
mod settings;

use std::process::ExitCode;

use clap::Parser;
use options::{Command, Options};
use settings::Settings;

/// What a command could not do, for people.
type Failure = String;

fn main() -> ExitCode {
    let options = Options::parse();
    // One thread: what is begun first is sent first.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}")),
    };
    let result = runtime.block_on(run(options));
    // Nobody waits for a thread that waits for standard input.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => failed(&reason),
    }
}

fn failed(reason: &str) -> ExitCode {
    eprintln!("rtm: {reason}");
    ExitCode::FAILURE
}

async fn run(options: Options) -> Result<(), Failure> {
    let settings = Settings::collect(&options)?;
    match options.command {
        Command::Subscribe { channels, start } => {
            receive::subscribe(&settings, &channels, start).await
        }
        Command::View { query, start } => receive::view(&settings, query, start).await,
        Command::Read { key } => receive::read(&settings, &key).await,
        Command::Publish { channel } => send::publish(&settings, &channel).await,
        Command::Write { key, value } => send::write(&settings, &key, &value).await,
        Command::Delete { key } => send::delete(&settings, &key).await,
        Command::Record(options) => record::record(&settings, options).await,
        Command::Replay(options) => replay::replay(&settings, options).await,
    }
}
