//! `cent`: one command to a Centrifugo, from a shell.

#![forbid(unsafe_code)]

mod centrc;
mod options;

use std::{
    io::{IsTerminal, Read, Write},
    process::ExitCode,
};

use cent::{Client, Config, Item};
use clap::{CommandFactory, Parser};
use options::Options;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

/// A configuration that cannot be used, or a request that failed.
const FAILED: u8 = 1;
/// The server has processed the request and refused the command.
const REFUSED: u8 = 3;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(shell) = options.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Options::command(), "cent", &mut script);
        // Who reads only the beginning has what he wanted.
        let _read = std::io::stdout().write_all(&script);
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("cent: {reason}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, String> {
    // The command line is complete, or it shows how it is used.
    let (Some(section), Some(method)) = (&options.section, &options.method) else {
        Options::command()
            .error(
                clap::error::ErrorKind::MissingRequiredArgument,
                "a section of the configuration and a method are wanted: cent SECTION METHOD",
            )
            .exit();
    };
    let (config, generation) = centrc::read(&options.config, section)?;
    let params = params(options.params.as_deref())?;
    let items = send(config, method, &params, options.unchecked)?;
    let refused = items.iter().any(|item| item.error.is_some());
    let list: Vec<Printed<'_>> = items.iter().map(|item| printable(item, generation)).collect();
    let list = serde_json::to_string(&list).map_err(|e| e.to_string())?;
    writeln!(std::io::stdout(), "{list}").map_err(|e| format!("stdout: {e}"))?;
    Ok(if refused { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

fn send(
    config: Config,
    method: &str,
    params: &RawValue,
    unchecked: bool,
) -> Result<Vec<Item>, String> {
    let client = Client::new(config).map_err(|e| e.to_string())?;
    let added = match unchecked {
        true => client.add_unchecked(method, params),
        false => client.add(method, params),
    };
    added.map_err(|e| e.to_string().replace("add_unchecked()", "--unchecked"))?;
    client.send().map_err(|error| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    })
}

/// `--params` wins; `-`, or nothing while something is piped in, is standard
/// input. No text is no parameters.
fn params(given: Option<&str>) -> Result<Box<RawValue>, String> {
    let text = match given {
        Some(text) if text != "-" => text.to_owned(),
        None if std::io::stdin().is_terminal() => String::new(),
        _ => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|e| format!("stdin: {e}"))?;
            text
        }
    };
    let text = if text.trim().is_empty() { "{}" } else { text.trim() };
    RawValue::from_string(text.to_owned()).map_err(|e| format!("the parameters are no JSON: {e}"))
}

/// An item in the order of the original.
#[derive(Serialize)]
struct Printed<'a> {
    method: &'a str,
    error: Option<Value>,
    body: Option<&'a RawValue>,
}

/// An item as its generation writes it: up to v1 an error is a text.
fn printable(item: &Item, generation: u8) -> Printed<'_> {
    let error = item.error.as_ref().map(|error| match generation {
        0 | 1 => json!(error.message),
        _ => json!({"code": error.code, "message": error.message}),
    });
    Printed { method: &item.method, error, body: item.body.as_deref() }
}
