//! The only door to the project: every task a person or a machine does with swos is a verb here.
//!
//! **Invariant:** no verb changes anything outside `build/`, `target/` and what it says it installs.

mod bench;
mod build;
mod cargo;
mod debug;
mod docs;
mod elf_file;
mod fingerprint;
mod image;
mod process;
mod qemu_test;
mod repro;
mod run;
mod setup;
mod symbolize;
mod test;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use workspace::Workspace;

/// The door to swos: build it, boot it, prove it, measure it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXAMPLES)]
struct Door {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask run                 boot swos with 4 CPUs and open its website
  cargo xtask test                everything that must pass before a change goes in
  cargo xtask qemu-test boot      the boots whose name contains `boot`
  cargo xtask <VERB> --help       what a verb does, its options, examples";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build what is missing, boot it under QEMU with network, print the URL, leave a console.
    Run(run::Options),
    /// Build the kernel and the programs.
    Build(build::Options),
    /// Build the signed base image: programs, configuration, rendered website.
    Image(image::Options),
    /// Boot it in every promised way and assert what comes.
    QemuTest(qemu_test::Options),
    /// Run everything that must pass before a change goes in.
    Test(test::Options),
    /// Measure.
    Bench(bench::Options),
    /// Boot with a gdb stub and write a gdb script.
    Debug(debug::Options),
    /// Name the addresses of a kernel panic.
    Symbolize(symbolize::Options),
    /// Show that two builds give the same bytes.
    Repro(repro::Options),
    /// Install what is missing.
    Setup(setup::SetupOptions),
    /// Say what is needed, what is there, and how to get the rest.
    Doctor(setup::DoctorOptions),
    /// Check the rules of the workspace.
    Tidy(tidy::Options),
    /// Render the book.
    Docs(docs::Options),
}

fn main() -> ExitCode {
    match open(Door::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes on one line; where in this program it arose helps nobody.
            process::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn open(verb: Verb) -> anyhow::Result<()> {
    let workspace = Workspace::locate()?;
    match verb {
        Verb::Run(options) => run::run(&workspace, &options),
        Verb::Build(options) => build::run(&workspace, &options),
        Verb::Image(options) => image::run(&workspace, &options),
        Verb::Test(options) => test::run(&workspace, &options),
        Verb::Bench(options) => bench::run(&workspace, &options),
        Verb::Debug(options) => debug::run(&workspace, &options),
        Verb::Symbolize(options) => symbolize::run(&workspace, &options),
        Verb::Repro(options) => repro::run(&workspace, &options),
        Verb::Setup(options) => setup::setup(&workspace, &options),
        Verb::Doctor(options) => setup::doctor(&workspace, &options),
        Verb::Docs(options) => docs::run(&workspace, &options),
        Verb::Tidy(options) => tidy::run(&workspace, &options),
        Verb::QemuTest(options) => qemu_test::run(&workspace, &options),
    }
}
