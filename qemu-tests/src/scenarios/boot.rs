//! The system comes up on every kind of machine that we promise, and serves.

use crate::guest::Guest;
use crate::http;
use crate::machine::{Gic, Machine};
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::time::Instant;

/// Time for a boot on a loaded host, with another guest beside it.
const BOOT_LIMIT: Duration = Duration::from_secs(120);

const CPUS: [u32; 2] = [1, 4];
const GICS: [Gic; 2] = [Gic::V2, Gic::V3];
const MODELS: [&str; 2] = ["cortex-a72", "max"];
const MEMORIES_MIB: [u32; 3] = [32, 256, 2048];
/// What the long run boots once each.
const MATRIX_CPUS: [u32; 4] = [1, 2, 4, 8];
const MATRIX_MEMORIES_MIB: [u32; 3] = [128, 256, 4096];
/// What it boots a hundred times each: CPUs, interrupt controller, memory.
const CORNERS: [(u32, Gic, u32); 4] =
    [(1, Gic::V2, 128), (8, Gic::V3, 4096), (8, Gic::V2, 128), (1, Gic::V3, 4096)];
const BOOTS: u32 = 100;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for cpus in CPUS {
        for gic in GICS {
            for model in MODELS {
                for mib in MEMORIES_MIB {
                    let name = format!("boot/{cpus}cpu-{}-{model}-{mib}MiB", name_of(gic));
                    scenarios.push(Scenario::new(name, move |bench| serves(bench, cpus, gic, model, mib)));
                }
            }
        }
    }
    scenarios.push(Scenario::new("boot/repeatable", repeatable));
    scenarios.push(Scenario::new("boot/console", console));
    for gic in GICS {
        let name = format!("long/boot-matrix-{}", name_of(gic));
        scenarios.push(Scenario::new(name, move |bench| matrix(bench, gic)));
    }
    for (cpus, gic, mib) in CORNERS {
        let name = format!("long/boot-{BOOTS}-{cpus}cpu-{}-{mib}MiB", name_of(gic));
        scenarios.push(Scenario::new(name, move |bench| again(bench, cpus, gic, mib)));
    }
    scenarios
}

const fn name_of(gic: Gic) -> &'static str {
    match gic {
        Gic::V2 => "gic2",
        Gic::V3 => "gic3",
        Gic::Host => "host",
    }
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

/// Every number of CPUs with every size of memory.
fn matrix(bench: &Bench, gic: Gic) -> Result<()> {
    for cpus in MATRIX_CPUS {
        for mib in MATRIX_MEMORIES_MIB {
            let context = || format!("{cpus} CPUs, {mib} MiB");
            serves(bench, cpus, gic, "cortex-a72", mib).with_context(context)?;
        }
    }
    Ok(())
}

/// The same machine again and again says the same.
fn again(bench: &Bench, cpus: u32, gic: Gic, mib: u32) -> Result<()> {
    let mut first = None;
    for number in 1..=BOOTS {
        let machine = bench.served()?.smp(cpus).gic(gic).memory_mib(mib);
        let log = bench.boot_and_outlive(machine, log_of).with_context(|| format!("boot {number}"))?;
        let first = first.get_or_insert_with(|| log.clone());
        ensure!(log == *first, "boot {number} logs {log:#?}, the first {first:#?}");
    }
    Ok(())
}

/// Two boots in virtual time, with the same random numbers, say the same.
fn repeatable(bench: &Bench) -> Result<()> {
    let boot = || {
        let machine = bench.served()?.extra(["-icount", "shift=auto", "-seed", "1"]);
        bench.boot_and_outlive(machine, log_of)
    };
    let (first, second) = (boot()?, boot()?);
    ensure!(first.len() >= 6, "only {first:#?}");
    ensure!(first == second, "first {first:#?}, then {second:#?}");
    Ok(())
}

/// What an operator types, and a line that must come of it; what succeeds in silence is only echoed.
const TYPED: &[(&str, &str)] = &[
    ("help", "write    FILE TEXT"),
    ("cat", "usage: cat FILE"),
    ("write /tmp/note", "usage: write FILE TEXT"),
    ("uptime now", "usage: uptime"),
    ("nonsense", "nonsense: no such command; try help"),
    ("mkdir /tmp/notes", "mkdir /tmp/notes"),
    ("write /tmp/notes/one what was written", "write /tmp/notes/one what was written"),
    ("cp /tmp/notes/one /tmp/notes/two", "cp /tmp/notes/one /tmp/notes/two"),
    ("mv /tmp/notes/two /tmp/notes/three", "mv /tmp/notes/two /tmp/notes/three"),
    ("cat /tmp/notes/three", "what was written"),
    ("ls /tmp/notes", "three"),
    ("rm /tmp/notes", "rm /tmp/notes"),
    ("ls /tmp/notes", "ls: "),
    ("write /etc/note text", "write: "),
    ("ps", "RESIDENT KiB NAME"),
    ("df", "/tmp: "),
    ("net", "sockets "),
];

/// The commands of the console, as typed by hand.
fn console(bench: &Bench) -> Result<()> {
    bench.boot_and_outlive(bench.served()?, |guest| {
        log_of(guest)?;
        for (line, answer) in TYPED {
            guest.send(&format!("{line}\n"))?;
            guest.expect(answer).with_context(|| format!("after {line:?}"))?;
        }
        Ok(())
    })
}

/// What the system logs until its services run, in order and without the times: first as it appears on the console, then as the
/// console's `log` shows it.
fn log_of(guest: &mut Guest) -> Result<Vec<String>> {
    let deadline = Instant::now() + BOOT_LIMIT;
    let mut log = Vec::new();
    // Two programs say that they are there, in whatever order.
    let mut missing = vec!["httpd: listening on 80", "console: type help"];
    while !missing.is_empty() {
        let line = guest.line(deadline).with_context(|| format!("while waiting for {missing:?}"))?;
        missing.retain(|text| !line.contains(text));
        log.extend(record(&line));
    }
    // Init says that it has started a program after the program may have begun to run.
    loop {
        let shown = shown_log(guest, deadline)?;
        if shown.iter().any(|record| record.contains("console started")) {
            log.extend(shown);
            return Ok(log);
        }
    }
}

/// What `log` shows.
fn shown_log(guest: &mut Guest, deadline: Instant) -> Result<Vec<String>> {
    guest.send("log\nfree\n")?;
    let mut log = Vec::new();
    loop {
        let line = guest.line(deadline).context("while reading the log")?;
        if line.contains("total ") {
            return Ok(log);
        }
        log.extend(record(&line));
    }
}

/// A record of the log without its time, or the first line of all; nothing for what programs print. What stands before a record
/// is the unfinished line of somebody else who shares the console.
fn record(line: &str) -> Option<String> {
    if line.contains(" cpu, ") {
        return Some(line.to_owned());
    }
    let (before, record) = line.split_once("] [")?;
    before.contains('[').then(|| record.to_owned())
}
