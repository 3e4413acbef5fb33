//! `cargo xtask package`: makes the archives and builds each from its archive.

use crate::context::{Context, Failure};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    // In a work tree with changes the archives would not be what is committed;
    // that is for a person to decide, not for a check.
    context.run("cargo", &["publish", "--workspace", "--dry-run", "--allow-dirty"])
}
