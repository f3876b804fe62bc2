//! The site beside a program that takes whatever it can get.

use super::super::boot::with_site;
use super::super::site::{arrive_as_rendered, files_below};
use super::leaves_nothing;
use crate::figures::Figures;
use crate::guest::Guest;
use crate::machine::Machine;
use crate::scenario::Bench;
use anyhow::{Context, Result, ensure};
use core::time::Duration;

/// A fork bomb stops at the limit that it was given, and the whole site arrives as it was rendered while the bomb goes on at its
/// limit and after it was killed. Then nothing is left of it.
pub(super) fn beside_a_bomb(bench: &Bench, cpus: u32) -> Result<()> {
    let forward = crate::ports::forward_to(80)?;
    let machine = Machine::new(&bench.artefacts().kernel).disk(&bench.artefacts().test_image).smp(cpus);
    let machine = machine.network(&[forward]).only("/bin/stress besieged");
    let root = bench.artefacts().stage.join("www");
    let files = files_below(&root)?;
    ensure!(files.len() > 10, "only {} files are staged", files.len());
    with_site(bench, machine, |guest, port| {
        // Read from the disk and verified now, which takes many times as long in the bomb's company.
        arrive_as_rendered(port, &root, &files).context("before the bomb")?;
        leaves_nothing(guest, |guest| {
            let before = Figures::now(guest)?.processes;
            let full = before + lit(guest)?;
            reach(guest, full)?;
            arrive_as_rendered(port, &root, &files).context("beside the bomb")?;
            let beside = Figures::now(guest)?.processes;
            ensure!(
                beside == full,
                "{beside} processes instead of {full}: the bomb did not go on at its limit"
            );
            guest.send("!")?;
            guest.expect("@bomb out")?;
            arrive_as_rendered(port, &root, &files).context("after the bomb")?;
            reach(guest, before)
        })
    })
}

/// Lights the bomb; how many processes it may be.
fn lit(guest: &mut Guest) -> Result<u64> {
    guest.send("!")?;
    let line = guest.expect("@bomb lit processes=")?;
    let (_, count) = line.split_once("processes=").context("how many it may be")?;
    count.trim_end().parse().with_context(|| format!("not a number: {line}"))
}

/// Waits until there are so many processes.
fn reach(guest: &mut Guest, processes: u64) -> Result<()> {
    Figures::wait_until(guest, Duration::from_secs(60), |now| now.processes == processes).map(drop)
}
