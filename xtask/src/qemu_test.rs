//! `xtask qemu-test`: the boots.

use crate::setup::Need;
use crate::workspace::Workspace;
use crate::{build, image, process, setup};
use anyhow::{Result, bail};
use clap::Args;
use swos_qemu_tests::{Artefacts, Tally};

/// Boots swos under QEMU in every way that we promise, drives it over serial port and network, asserts what comes.
/// Transcripts of failures stay in build/qemu-tests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask qemu-test                  all
  cargo xtask qemu-test site             those whose name contains `site`
  cargo xtask qemu-test long/            what takes too long for every run
  cargo xtask qemu-test --list")]
pub(crate) struct Options {
    /// Run only scenarios whose name contains this.
    #[arg(default_value = "")]
    filter: String,
    /// Print the names and run nothing.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.list {
        swos_qemu_tests::matching(&options.filter)
            .iter()
            .for_each(|scenario| println!("{}", scenario.name()));
        return Ok(());
    }
    let tally = scenarios(workspace, &options.filter)?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 || tally.passed == 0 {
        bail!("qemu-test failed");
    }
    Ok(())
}

/// Builds what the scenarios boot and runs those that match.
pub(crate) fn scenarios(workspace: &Workspace, filter: &str) -> Result<Tally> {
    let scenarios = swos_qemu_tests::matching(filter);
    setup::ensure(workspace, &[Need::Emulator])?;
    if scenarios.iter().any(|scenario| scenario.name().starts_with("page/")) {
        setup::ensure(workspace, &[Need::Browser])?;
    }
    let checked = scenarios.iter().any(|scenario| scenario.name().starts_with("checked/"));
    process::say("building what the tests boot");
    let artefacts = Artefacts {
        kernel: build::kernel(workspace)?,
        checked_kernel: if checked { Some(build::checked_kernel(workspace)?) } else { None },
        base_image: image::base(workspace)?,
        v3_image: image::base_v3(workspace)?,
        test_image: image::with_tests(workspace)?,
        trusted_key: image::keys::public(workspace)?,
        stage: workspace.build().join("stage/base"),
        browser: setup::browser(),
        scratch: workspace.build().join("qemu-tests"),
    };
    swos_qemu_tests::run(scenarios, &artefacts)
}
