//! `cargo xtask demo`: builds and runs the demo, a program of its own so that
//! this one stays small.

use crate::context::{Context, Failure};

pub(crate) fn run(context: &Context, args: &[String]) -> Result<(), Failure> {
    // Built first and by itself: cargo shows the progress of a build, and
    // nothing but the demo speaks afterwards.
    context.run("cargo", &["build", "--package", "realtime-demo"])?;
    let mut command = vec!["run", "--quiet", "--package", "realtime-demo", "--"];
    command.extend(args.iter().map(String::as_str));
    context.hand_over("cargo", &command)
}
