//! Instructions of small things, measured by a program inside: one instruction is one nanosecond of the guest's time.

use super::plugin::{Account, Counter};
use super::{Figure, INSTRUCTIONS, Subject};
use crate::image;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, HashMap};
use swos_qemu_tests::{Guest, Machine};

/// Figures that `/bin/bench` measures, by the names it knows them by.
pub(super) const NAMES: &[&str] = &[
    "getpid",
    "page_fault_anon",
    "read1_zero",
    "pread4k_cached",
    "open_close",
    "stat",
    "pipe_pingpong",
    "pipe_bw_KiB",
    "ipc_call",
    "yield_2procs",
    "spawn_wait",
    "fork_exit_wait",
    "fork_exec_wait",
    "thread_create_join",
    "futex_handoff_rt",
    "epoll_wait_ready",
    "mmap_munmap",
    "malloc_free_64",
    "malloc_free_64_4threads",
];

pub(super) fn measure(workspace: &Workspace, subject: &Subject, names: &[&str]) -> Result<Vec<Figure>> {
    let seen = run(&mut Guest::start(machine(workspace, subject, &names.join(" "))?)?)?;
    let figure = |name: &&str| {
        let Some(values) = seen.get(*name) else { bail!("/bin/bench does not measure {name}") };
        let each: Vec<f64> = values.iter().map(|run| run.total / run.operations).collect();
        Ok(Figure::new(*name, super::requests::median(&each).context("a value")?, INSTRUCTIONS))
    };
    names.iter().map(figure).collect()
}

/// Executions by address, and the operations to which they belong: what a long run has more than a short one.
pub(super) fn profile(
    workspace: &Workspace,
    subject: &Subject,
    name: &str,
) -> Result<(HashMap<u64, u64>, f64)> {
    let counted = |times: u32| -> Result<(HashMap<u64, u64>, f64)> {
        let counter = Counter::new(subject, Account::Profile)?;
        let machine = machine(workspace, subject, &format!("{name} times={times}"))?;
        let mut guest = Guest::start(counter.load(machine))?;
        let seen = run(&mut guest)?;
        let operations = seen.get(name).context("it was measured")?.iter().map(|run| run.operations).sum();
        Ok((counter.finish(guest)?.by_address, operations))
    };
    let ((few, done), (mut many, all)) = (counted(1)?, counted(3)?);
    ensure!(all > done, "the long run of {name} is no longer");
    for (address, count) in &mut many {
        *count = count.saturating_sub(few.get(address).copied().unwrap_or(0));
    }
    Ok((many, all - done))
}

fn machine(workspace: &Workspace, subject: &Subject, arguments: &str) -> Result<Machine> {
    let image = image::with_tests(workspace)?;
    let machine = Machine::new(&subject.kernel).disk(image).only(&format!("/bin/bench {arguments}"));
    // Also under the profile: slices and time-outs come where they come when the figure is taken.
    Ok(machine.extra(["-icount", "shift=0,sleep=off"]))
}

/// One loop of the program.
struct Run {
    operations: f64,
    total: f64,
}

/// All loops by name, once the program is at its end.
fn run(guest: &mut Guest) -> Result<BTreeMap<String, Vec<Run>>> {
    let mut seen: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    loop {
        let line = guest.expect("BENCH")?;
        if line.starts_with("BENCH-DONE") {
            return Ok(seen);
        }
        ensure!(!line.starts_with("BENCH-FAIL"), "{}", line.trim_end());
        if let Some((name, run)) = parse(&line) {
            seen.entry(name).or_default().push(run);
        }
    }
}

/// `BENCH name operations total_ns ns_per_operation`.
fn parse(line: &str) -> Option<(String, Run)> {
    let mut words = line.trim_end().strip_prefix("BENCH ")?.split(' ');
    let name = words.next()?.to_owned();
    let operations: f64 = words.next()?.parse().ok()?;
    let total: f64 = words.next()?.parse().ok()?;
    (operations > 0.0).then_some((name, Run { operations, total }))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines_of_the_guest_are_read() {
        let (name, run) = parse("BENCH getpid 1000 75000 75.0\r").expect("a line");
        assert_eq!((name.as_str(), run.operations, run.total), ("getpid", 1000.0, 75000.0));
        for other in ["BENCH getpid", "BENCH getpid 0 5 1", "BENCHgetpid 1 1 1", "BENCH getpid x 1 1"] {
            assert!(parse(other).is_none(), "{other}");
        }
    }
}
