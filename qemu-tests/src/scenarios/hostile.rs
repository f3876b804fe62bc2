//! A program that breaks every rule dies alone, or is refused.

use crate::machine::{ExitBy, Machine};
use crate::protocol::Plan;
use crate::scenario::{Bench, Scenario};
use anyhow::{Result, ensure};
use core::time::Duration;

/// What `/bin/hostile` must at least have tried; it knows more.
const DEEDS: [&str; 24] = [
    "bystanders-start",
    "read-null",
    "write-null",
    "call-null",
    "read-kernel",
    "write-kernel",
    "call-kernel",
    "read-nowhere",
    "execute-stack",
    "execute-heap",
    "execute-data",
    "write-text",
    "overflow-stack",
    "stack-pointer-misaligned",
    "undefined-instruction",
    "brk",
    "hvc",
    "write-ttbr0",
    "unknown-calls",
    "bad-handles",
    "bad-buffers",
    "lengths-beyond-everything",
    "a-program-without-capabilities-is-refused",
    "bystanders-are-unhurt",
];

pub(super) fn scenarios() -> Vec<Scenario> {
    let on = |cpus| Scenario::new(format!("hostile/program-{cpus}cpu"), move |bench| program(bench, cpus));
    vec![on(1), on(4)]
}

fn program(bench: &Bench, cpus: u32) -> Result<()> {
    let artefacts = bench.artefacts();
    let machine = Machine::new(&artefacts.kernel).disk(&artefacts.test_image).smp(cpus).only("/bin/hostile");
    bench.boot(machine.exit_by(ExitBy::Semihosting), |guest| {
        guest.expect_tests(Plan::AtLeast(&DEEDS))?;
        let status = guest.exit(Duration::from_secs(60))?;
        ensure!(status.success(), "the machine ended with {status}");
        Ok(())
    })
}
