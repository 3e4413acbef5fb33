//! `cargo xtask test`: unit, integration and documentation tests. Needs no
//! network and no server.

use crate::context::{Context, Failure};

pub(crate) fn run(context: &Context, args: &[String]) -> Result<(), Failure> {
    match args {
        [] => context.run("cargo", &["test", "--workspace", "--all-features"]),
        [name] => {
            let package = context.package(name)?;
            context.run("cargo", &["test", "--package", package, "--all-features"])
        }
        _ => Err(Failure::usage("test takes one crate or none")),
    }
}
