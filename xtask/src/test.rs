//! `xtask test`: everything that must pass before a change goes in.

mod count;
mod steps;

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use clap::Args;
use count::Count;
use std::time::Instant;

/// Format, lints for the host and both bare-metal targets, host tests, lock models, documentation, the rules of the
/// workspace, licences and sources of dependencies, and the boots under QEMU. The last line counts what passed and failed;
/// the output of a failed step is shown and stays in build/test.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                   everything
  cargo xtask test clippy docs       the steps whose names contain one of these
  cargo xtask test --list")]
pub(crate) struct Options {
    /// Run only steps whose name contains one of these.
    filters: Vec<String>,
    /// Print the names of the steps and run nothing.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let wanted = |name: &str| {
        options.filters.is_empty() || options.filters.iter().any(|part| name.contains(part.as_str()))
    };
    let steps: Vec<_> = steps::all().into_iter().filter(|step| wanted(step.name)).collect();
    if options.list {
        steps.iter().for_each(|step| println!("{:14} {}", step.name, step.what));
        return Ok(());
    }
    let started = Instant::now();
    let mut total = Count::default();
    let mut summary = Vec::new();
    for step in &steps {
        process::say(&format!("{}: {}", step.name, step.what));
        let begun = Instant::now();
        let (count, failure) = match (step.run)(workspace) {
            Ok(count) if count.failed == 0 => (count, None),
            Ok(count) => (count, Some("see above".to_owned())),
            Err(error) => (Count::FAILURE, Some(format!("{error:#}"))),
        };
        let verdict = failure.map_or_else(|| "ok".to_owned(), |why| format!("FAILED: {why}"));
        let line = format!(
            "{:14} {:>7.1} s  {:>5} passed  {verdict}",
            step.name,
            begun.elapsed().as_secs_f32(),
            count.passed
        );
        process::say(&line);
        summary.push(line);
        total += count;
    }
    println!("\nSummary ({:.0} s)", started.elapsed().as_secs_f32());
    summary.iter().for_each(|line| println!("  {line}"));
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 || total.passed == 0 {
        bail!("test failed");
    }
    Ok(())
}
