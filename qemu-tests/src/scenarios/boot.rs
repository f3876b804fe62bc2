//! The system comes up on every kind of machine that we promise, and serves.

use crate::guest::Guest;
use crate::http;
use crate::machine::{Gic, Machine};
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, ensure};
use core::time::Duration;

/// Time for a boot on a loaded host, with another guest beside it.
const BOOT_LIMIT: Duration = Duration::from_secs(120);

const CPUS: [u32; 2] = [1, 4];
const GICS: [Gic; 2] = [Gic::V2, Gic::V3];
const MODELS: [&str; 2] = ["cortex-a72", "max"];
const MEMORIES_MIB: [u32; 3] = [32, 256, 2048];

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for cpus in CPUS {
        for gic in GICS {
            for model in MODELS {
                for mib in MEMORIES_MIB {
                    let gic_name = if gic == Gic::V3 { "gic3" } else { "gic2" };
                    let name = format!("boot/{cpus}cpu-{gic_name}-{model}-{mib}MiB");
                    scenarios.push(Scenario::new(name, move |bench| serves(bench, cpus, gic, model, mib)));
                }
            }
        }
    }
    scenarios
}

/// Boots a machine to the point where its website answers, lets `drive` talk to that port, and checks that the guest
/// lived through it.
pub(super) fn with_site<T>(
    bench: &Bench,
    machine: Machine,
    drive: impl FnOnce(&mut Guest, u16) -> Result<T>,
) -> Result<T> {
    let port = machine.host_port(80).context("the web server's port is led in")?;
    bench.boot_and_outlive(machine, |guest| {
        let front = http::wait_until_served(guest, port, BOOT_LIMIT)?;
        ensure!(front.status == 200, "the front page answers {}", front.status);
        drive(guest, port)
    })
}

fn serves(bench: &Bench, cpus: u32, gic: Gic, model: &str, mib: u32) -> Result<()> {
    let machine = bench.served()?.smp(cpus).gic(gic).cpu(model).memory_mib(mib);
    with_site(bench, machine, |_, _| Ok(()))
}
