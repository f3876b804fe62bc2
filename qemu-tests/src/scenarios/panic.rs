//! The kernel can't go on: it says where and why, and the machine ends as the operator chose.

use crate::machine::{ExitBy, Machine};
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::fs;
use std::path::PathBuf;

/// Time for the little that happens before a panic, on a loaded host.
const LIMIT: Duration = Duration::from_secs(60);
/// Exit status of a panic under test.
const PANICKED: i32 = 101;

pub(super) fn scenarios() -> Vec<Scenario> {
    let overflow = |stack: &'static str, report: &'static str| {
        Scenario::new(format!("checked/overflow-{stack}"), move |bench| overflow(bench, stack, report))
    };
    vec![
        // Before there is a console the exit status is all that can be had.
        overflow("early", ""),
        overflow("boot", "cpu 0"),
        overflow("first", "cpu 0"),
        overflow("other", "cpu 1"),
        // In a call, the last of the last program.
        overflow("last", "cpu "),
        Scenario::new("panic/tree-too-large", tree_too_large),
        Scenario::new("panic/is-reported", is_reported),
        Scenario::new("panic/resets-the-machine", resets_the_machine),
    ]
}

fn is_reported(bench: &Bench) -> Result<()> {
    bench.boot(without_interrupts(bench)?.exit_by(ExitBy::Semihosting), |guest| {
        let status = guest.exit(LIMIT)?;
        ensure!(status.code() == Some(PANICKED), "ended with {status}");
        let said = guest.transcript();
        for part in ["panic: no interrupt controller", "build-id ", "cpu 0", "#0 0xffff8", "end of panic"] {
            ensure!(said.contains(part), "no \"{part}\" in the report");
        }
        Ok(())
    })
}

/// A stack of the kernel used up to its end: what lies below is not touched, and the machine ends with a report that names
/// `cpu`, on whose stack that was. Empty: without one.
fn overflow(bench: &Bench, stack: &str, cpu: &str) -> Result<()> {
    let kernel = bench.artefacts().checked_kernel.as_ref().context("the kernel that checks itself")?;
    let machine = Machine::new(kernel).smp(2).append(&format!("swos.overflow={stack}"));
    let machine = machine.disk(&bench.artefacts().test_image).only("/bin/hello");
    bench.boot(machine.exit_by(ExitBy::Semihosting), |guest| {
        let status = guest.exit(LIMIT)?;
        ensure!(status.code() == Some(PANICKED), "ended with {status}");
        let said = guest.transcript();
        let parts = ["panic: kernel stack overflow", cpu, "pc 0xffff8", "x0 ", "#1 0xffff8", "end of panic"];
        ensure!(
            cpu.is_empty() || parts.iter().all(|part| said.contains(part)),
            "not the report of an overflow"
        );
        // What was logged stands in the report once more.
        if stack == "last" {
            let (_, newest) = said.split_once("log, its newest ").context("no log in the report")?;
            ensure!(newest.contains("] [I] "), "no record in the report");
        }
        Ok(())
    })
}

/// Without the option CPUs stop for good, and this would never end. QEMU itself is told not to start the machine again.
fn resets_the_machine(bench: &Bench) -> Result<()> {
    bench.boot(without_interrupts(bench)?.append("swos.panic=reset"), |guest| {
        let status = guest.exit(LIMIT)?;
        ensure!(status.success(), "ended with {status}");
        ensure!(guest.transcript().contains("end of panic"), "it ended without a panic");
        Ok(())
    })
}

/// A device tree as large as may be is read; of a larger one the console is found, and why it is refused is said there.
fn tree_too_large(bench: &Bench) -> Result<()> {
    let ends = |len: usize, line: &'static str, code| {
        let machine = Machine::new(&bench.artefacts().kernel);
        let mut tree = device_tree(bench, &machine)?;
        tree.resize(len, 0);
        tree.get_mut(4..8).context("a short tree")?.copy_from_slice(&u32::try_from(len)?.to_be_bytes());
        bench.boot(with_tree(bench, machine, &tree)?.exit_by(ExitBy::Semihosting), |guest| {
            let status = guest.exit(LIMIT)?;
            ensure!(status.code() == Some(code), "a tree of {len} bytes: ended with {status}");
            ensure!(guest.transcript().contains(line), "a tree of {len} bytes: no \"{line}\"");
            Ok(())
        })
    };
    // QEMU doubles what it is given.
    ends(900 << 10, "no system disk", 1)?;
    ends(2 << 20, "panic: device tree has", PANICKED)?;
    ends(6 << 20, "panic: device tree has", PANICKED)
}

/// A machine whose device tree names no interrupt controller that there is a driver for.
fn without_interrupts(bench: &Bench) -> Result<Machine> {
    const CONTROLLER: &[u8] = b"arm,cortex-a15-gic\0";
    let machine = Machine::new(&bench.artefacts().kernel);
    let mut tree = device_tree(bench, &machine)?;
    let at = tree.windows(CONTROLLER.len()).position(|window| window == CONTROLLER);
    let name = at.and_then(|at| tree.get_mut(at..at + 3)).context("the tree names a GICv2")?;
    name.copy_from_slice(b"not");
    with_tree(bench, machine, &tree)
}

/// `machine` with this device tree.
fn with_tree(bench: &Bench, machine: Machine, tree: &[u8]) -> Result<Machine> {
    let path = scratch(bench);
    fs::write(&path, tree).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(machine.extra(["-dtb".into(), path.display().to_string()]))
}

/// The device tree that QEMU makes for `machine`, without the free space at its end, which QEMU doubles each time.
/// Source: Devicetree Specification v0.4 §5.2 (header).
fn device_tree(bench: &Bench, machine: &Machine) -> Result<Vec<u8>> {
    let path = scratch(bench);
    let status = machine.command().args(["-machine", &format!("dumpdtb={}", path.display())]).output();
    let output = status.context("cannot start QEMU")?;
    let mut tree = fs::read(&path).with_context(|| {
        format!("QEMU wrote no device tree: {}", String::from_utf8_lossy(&output.stderr).trim())
    })?;
    let field = |at: usize| {
        let bytes = tree.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).context("a short tree")?;
        Ok::<_, anyhow::Error>(u32::from_be_bytes(bytes))
    };
    let (structure, strings, strings_len, structure_len) = (field(8)?, field(12)?, field(32)?, field(36)?);
    let end = (structure + structure_len).max(strings + strings_len);
    tree.truncate(end.try_into()?);
    tree.get_mut(4..8).context("a short tree")?.copy_from_slice(&end.to_be_bytes());
    Ok(tree)
}

/// A file of this scenario's own: others run at the same time, but not another of the same thread.
fn scratch(bench: &Bench) -> PathBuf {
    let name = format!("{:?}.dtb", std::thread::current().id());
    bench.artefacts().scratch.join(name.replace(['(', ')'], "-"))
}
