//! `cargo xtask ci`: runs the scripts of `ci/` and says how each went.

use std::{process::Command, time::Instant};

use crate::context::{Context, Failure};

pub(crate) fn run(context: &Context, args: &[String]) -> Result<(), Failure> {
    let all = jobs(context)?;
    let wanted: Vec<&String> = match args {
        [] => all.iter().collect(),
        [job] => all.iter().filter(|name| *name == job).collect(),
        _ => return Err(Failure::usage("ci takes one job or none")),
    };
    if wanted.is_empty() {
        return Err(Failure::usage(format!("there is no such job; there are {}", all.join(", "))));
    }
    let mut results = Vec::new();
    for job in wanted {
        eprintln!("\n=== {job}");
        let start = Instant::now();
        let script = context.root.join("ci").join(format!("{job}.sh"));
        let status = Command::new("bash").arg(script).current_dir(&context.root).status()?;
        results.push((job, status.success(), start.elapsed().as_secs()));
    }
    eprintln!();
    for (job, passed, seconds) in &results {
        eprintln!("{job:<12} {}  {seconds} s", if *passed { "passed" } else { "FAILED" });
    }
    match results.iter().filter(|(_, passed, _)| !passed).count() {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} of {} jobs failed", results.len()))),
    }
}

/// The jobs, in the order of their names.
fn jobs(context: &Context) -> Result<Vec<String>, Failure> {
    let mut jobs = Vec::new();
    for entry in std::fs::read_dir(context.root.join("ci"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        jobs.extend(name.strip_suffix(".sh").map(str::to_owned));
    }
    jobs.sort();
    Ok(jobs)
}
