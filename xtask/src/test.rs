//! `cargo xtask test`: unit, integration and documentation tests. Needs no
//! network and no server; with `--credentials` the suite for any service runs on the
//! one that they are for.

use std::fs;

use serde_json::Value;

use crate::context::{Context, Failure};

pub(crate) fn run(context: &Context, args: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => context.run("cargo", &["test", "--workspace", "--all-features"]),
        ["satori-rtm", "--credentials", file] => on_a_service(context, file),
        [_, "--credentials", ..] => {
            Err(Failure::usage("--credentials FILE goes with satori-rtm alone"))
        }
        [name] => {
            let package = context.package(name)?;
            context.run("cargo", &["test", "--package", package, "--all-features"])
        }
        _ => Err(Failure::usage("test takes one crate or none")),
    }
}

/// The keys of the file, as the tests of the original Python SDK take it, and what our
/// suite calls them.
const KEYS: [(&str, &str); 5] = [
    ("endpoint", "SATORI_RTM_URL"),
    ("appkey", "SATORI_RTM_APPKEY"),
    ("auth_role_name", "SATORI_RTM_ROLE"),
    ("auth_role_secret_key", "SATORI_RTM_ROLE_SECRET"),
    ("auth_restricted_channel", "SATORI_RTM_RESTRICTED"),
];

fn on_a_service(context: &Context, file: &str) -> Result<(), Failure> {
    let text = fs::read_to_string(file).map_err(|e| Failure::new(format!("{file}: {e}")))?;
    // What a parser says may quote a secret.
    let keys: Value = serde_json::from_str(&text).map_err(|e| {
        Failure::new(format!("{file}: line {} column {} is no JSON", e.line(), e.column()))
    })?;
    let mut command = context.command("cargo", &["test", "--package", "satori-rtm"]);
    command.args(["--all-features", "--test", "it", "service::", "--", "--nocapture"]);
    for (key, variable) in KEYS {
        let value = keys.get(key).and_then(Value::as_str);
        let value = value.ok_or_else(|| Failure::new(format!("{file}: {key} is missing")))?;
        command.env(variable, value);
    }
    eprintln!("the suite for any service, on the endpoint of {file}");
    match command.status()?.success() {
        true => Ok(()),
        false => Err(Failure::new("the suite failed")),
    }
}
