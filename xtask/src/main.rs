//! The project's only automation: `cargo xtask VERB`.

#![forbid(unsafe_code)]

mod bench;
mod ci;
mod context;
mod demo;
mod faults;
mod interop;
mod package;
mod peers;
mod test;
mod tidy;

use std::process::ExitCode;

use context::{Context, Failure};

const HELP: &str = "\
cargo xtask VERB

  demo [CRATE] [OPTIONS]  start local servers, publish, subscribe, cut the
                          connections, and say what was lost; --help for options
  test [CRATE]            run all tests, offline: of one crate or of all
  test satori-rtm --credentials FILE
                          run the suite for any service on the one of FILE
  faults CRATE            run the tests that inject faults, and add them up
  interop [CRATE] [--require NAME,..]
                          run our clients on servers, and our servers under
                          clients, that others wrote
  peers [up|down NAME]    list those; install and start one, or end it
  bench CRATE             measure against other clients, in turn; needs a network
  tidy                    check lengths, manifests, layers, budgets, documents
  ci [JOB]                run the jobs of ci/, or one of them
  package                 make and verify the archives for crates.io

CRATE is a folder of crates/, e.g. satori-rtm.";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let verb = args.next();
    let rest: Vec<String> = args.collect();
    let result = Context::new().and_then(|context| run(&context, verb.as_deref(), &rest));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_told() {
                eprintln!("xtask: {failure}");
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run(context: &Context, verb: Option<&str>, args: &[String]) -> Result<(), Failure> {
    match verb {
        Some("demo") => demo::run(context, args),
        Some("test") => test::run(context, args),
        Some("faults") => faults::run(context, args),
        Some("interop") => interop::run(context, args),
        Some("peers") => peers::run(context, args),
        Some("bench") => bench::run(context, args),
        Some("tidy") => tidy::run(context),
        Some("ci") => ci::run(context, args),
        Some("package") => package::run(context),
        Some("help" | "--help" | "-h") => {
            eprintln!("{HELP}");
            Ok(())
        }
        Some(other) => Err(Failure::usage(format!("no verb {other:?}\n\n{HELP}"))),
        None => Err(Failure::usage(format!("a verb is missing\n\n{HELP}"))),
    }
}
