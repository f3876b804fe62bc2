//! Programs that break every rule die alone or are refused, and programs that do much of everything leave nothing behind.

use crate::machine::{ExitBy, Machine};
use crate::protocol::Plan;
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::path::Path;

/// What `/bin/hostile` must at least have tried; it knows more.
const DEEDS: [&str; 25] = [
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
    "undefined-instruction",
    "brk",
    "hvc",
    "write-ttbr0",
    "long-copies-keep-vector-registers",
    "unknown-calls",
    "bad-handles",
    "bad-buffers",
    "lengths-beyond-everything",
    "a-program-without-capabilities-is-refused",
    "fork",
    "bystanders-are-unhurt",
];

/// What it must at least say of random calls.
const CALLS: [&str; 7] = [
    "first-mmap",
    "calls-of-any-kind-first",
    "mmap",
    "endpoint_reply_receive",
    "calls-of-any-kind-10-of-10",
    "as-many-calls-as-were-asked-for",
    "bystanders-are-unhurt",
];

/// What `/bin/stress` must at least have done.
const LOADS: [&str; 29] = [
    "busy-everywhere",
    "processes-in-sequence",
    "processes-in-parallel",
    "processes-killed-with-their-threads",
    "threads",
    "detached-threads",
    "a-counter-under-a-lock-on-all-CPUs",
    "signals-between-threads",
    "signals-between-processes",
    "a-condition-from-thread-to-thread",
    "a-reader-writer-lock-on-all-CPUs",
    "a-channel-between-threads",
    "a-message-in-time",
    "scoped-threads",
    "files",
    "sockets",
    "pipes",
    "pipes-between-processes",
    "mappings",
    "fresh-pages-are-zero",
    "no-stale-translation-after-a-remap",
    "no-stale-translation-after-an-unmap",
    "a-call-is-refused-after-an-unmap",
    "limits-are-errors",
    "a-thousand-threads",
    "forks-that-become-another-program",
    "processes-alive-together",
    "handles-open-together",
    "threads-alive-together",
];

/// Ways in which `/bin/stress exhaust` must at least have used memory up.
const WAYS: [&str; 20] = [
    "a-bystander-starts",
    "anonymous-memory",
    "translation-tables",
    "memory-objects",
    "private-pages-of-a-file",
    "files",
    "names",
    "pipes",
    "socket-pairs",
    "connections",
    "datagrams",
    "messages-with-handles",
    "handles",
    "timers-and-events-and-sets",
    "signals",
    "threads",
    "forks",
    "forks-of-a-large-process",
    "arguments",
    "looks-at-a-full-system",
];

/// The areas of `/bin/behave`, each booted alone, with what must at least be among their checks.
const AREAS: &[(&str, &[&str])] = &[
    ("authority", &["without-its-capability-each-call-is-refused", "a-loan-ends-when-its-source-says-so"]),
    ("bytes", &["a-hole-takes-no-room", "a-full-file-system-says-so,-and-a-short-write-what-fitted"]),
    ("confine", &["what-is-outside-does-not-exist", "a-handle-to-outside-is-no-way-out"]),
    ("devices", &["null-takes-all-and-gives-nothing", "who-opens-a-named-pipe-first-waits-for-the-other"]),
    ("dirs", &["a-listing-goes-on-while-names-come-and-go", "a-thousand-names-are-found"]),
    ("files", &["what-is-written-is-read", "mode-bits-of-the-owner-decide"]),
    ("groups", &["a-group-is-signalled-and-others-are-not", "what-is-stopped-stands-still"]),
    ("signals", &["a-handler-has-run-when-raise-returns", "floating-point-survives-handlers"]),
    ("signalled", &["an-overflow-is-handled-on-another-stack", "ten-thousand-signals-to-and-fro"]),
    ("handles", &["a-copy-takes-the-place-of-what-was-there", "close-on-exec-is-one-handle's"]),
    ("endpoints", &["messages-arrive-in-order", "handles-move", "forged-tokens-are-refused"]),
    ("events", &["a-count-is-taken-at-once", "a-period-is-counted"]),
    (
        "names",
        &[
            "a-service-is-found-by-its-name",
            "a-name-is-its-owner's",
            "who-has-a-name-is-told-when-it-has-it-no-more",
        ],
    ),
    ("rings", &["a-thousand-records-come-back-from-a-child"]),
    ("socketpairs", &["bytes-go-both-ways", "the-end-of-one-is-the-end-for-the-other"]),
    ("messages", &["a-live-connection-moves-to-a-child", "each-of-ten-thousand-calls-gets-its-own-answer"]),
    (
        "futex",
        &["moved-waiters-are-woken-at-the-other-word", "two-processes-meet-at-a-word-of-a-memory-object"],
    ),
    ("memory", &["new-memory-is-zero", "code-that-was-written-runs-after-its-page-was-made-executable"]),
    (
        "objects",
        &[
            "what-a-child-writes-to-a-memory-object-its-parent-reads",
            "a-page-that-was-cut-off-ends-who-touches-it",
        ],
    ),
    (
        "mappings",
        &[
            "what-is-stored-in-a-shared-mapping-is-read-from-the-file",
            "a-page-that-is-cut-off-a-file-ends-who-touches-it",
        ],
    ),
    ("log", &["a-record-with-fields-is-a-line-of-JSON", "what-the-filter-keeps-out-is-not-there"]),
    ("pipes", &["bytes-arrive-in-order", "a-child-writes-and-its-parent-reads"]),
    ("processes", &["a-fork-returns-twice", "ids-are-not-used-again-soon", "an-end-is-told-once"]),
    ("renames", &["a-name-moves-onto-a-file", "a-directory-does-not-move-into-itself"]),
    ("limits", &["limits-are-only-lowered", "a-fork-bomb-stops-at-its-limit"]),
    ("threads", &["a-thread-returns-its-value", "threads-of-one-process-run-on-all-CPUs"]),
    ("trace", &["each-call-of-a-child-is-told-in-order", "the-result-and-the-path-are-told"]),
    ("sys", &["a-process-finds-itself", "others-are-absent-without-the-capability"]),
];

/// The programs of the guide. Each prints what the book says that it prints.
const GUIDE: &[(&str, &str)] = &[
    ("spawning", include_str!("../../../docs/src/guide/spawning.txt")),
    ("forks", include_str!("../../../docs/src/guide/forks.txt")),
    ("files", include_str!("../../../docs/src/guide/files.txt")),
    ("pipes", include_str!("../../../docs/src/guide/pipes.txt")),
    ("threads", include_str!("../../../docs/src/guide/threads.txt")),
    ("endpoints", include_str!("../../../docs/src/guide/endpoints.txt")),
    ("shared", include_str!("../../../docs/src/guide/shared.txt")),
    ("mapped", include_str!("../../../docs/src/guide/mapped.txt")),
    ("signals", include_str!("../../../docs/src/guide/signals.txt")),
    ("readiness", include_str!("../../../docs/src/guide/readiness.txt")),
    ("tcp", include_str!("../../../docs/src/guide/tcp.txt")),
    ("lending", include_str!("../../../docs/src/guide/lending.txt")),
];

/// Hardly more than the system needs.
const LEAST_MIB: u32 = 10;
/// Used up in a moment.
const LITTLE_MIB: u32 = 32;
const MUCH_MIB: u32 = 256;

/// What an audit of the translation tables says when nothing is writable and executable.
const SOUND: &str = "mappings, 0 of them writable and executable";

pub(super) fn scenarios() -> Vec<Scenario> {
    let on = |name: &str, cpus, command: &'static str, planned: &'static [&'static str]| {
        Scenario::new(format!("{name}-{cpus}cpu"), move |bench| {
            program(bench, &bench.artefacts().kernel, cpus, command, planned)
        })
    };
    let checked = |name: &str, command: String, planned: &'static [&'static str]| {
        Scenario::new(format!("checked/{name}"), move |bench| {
            let kernel =
                bench.artefacts().checked_kernel.as_ref().context("the kernel that checks itself")?;
            program(bench, kernel, 4, &command, planned)
        })
    };
    let behaviours = AREAS.iter().flat_map(|&(area, planned)| {
        [1, 4].map(|cpus| {
            Scenario::new(format!("behave/{area}-{cpus}cpu"), move |bench| {
                program(bench, &bench.artefacts().kernel, cpus, &format!("/bin/behave {area}"), planned)
            })
        })
    });
    let checked_behaviours = AREAS
        .iter()
        .map(|&(area, planned)| checked(&format!("behave/{area}"), format!("/bin/behave {area}"), planned));
    let programs = vec![
        on("hostile/program", 1, "/bin/hostile", &DEEDS),
        on("hostile/program", 4, "/bin/hostile", &DEEDS),
        on("stress/program", 1, "/bin/stress 500", &LOADS),
        on("stress/program", 4, "/bin/stress 500", &LOADS),
        checked("hostile", "/bin/hostile".into(), &DEEDS),
        checked("stress", "/bin/stress 100".into(), &LOADS),
        // A million calls with random arguments.
        on("long/fuzz", 1, "/bin/hostile calls 1000000 1", &CALLS),
        on("long/fuzz", 4, "/bin/hostile calls 1000000 2", &CALLS),
        // As often as it likes: ten thousand processes, a hundred thousand pages.
        on("long/stress", 1, "/bin/stress", &LOADS),
        on("long/stress", 4, "/bin/stress", &LOADS),
    ];
    let sizes = [("exhaust/least", LEAST_MIB), ("exhaust/program", LITTLE_MIB), ("long/exhaust", MUCH_MIB)];
    let exhausted = sizes.into_iter().flat_map(|(name, mib)| {
        [1, 4].map(|cpus| {
            Scenario::new(format!("{name}-{cpus}cpu"), move |bench| {
                let machine = Machine::new(&bench.artefacts().kernel).memory_mib(mib);
                on_machine(bench, machine, cpus, "/bin/stress exhaust", &WAYS)
            })
        })
    });
    let guide = [1, 4]
        .map(|cpus| Scenario::new(format!("guide/programs-{cpus}cpu"), move |bench| guide(bench, cpus)));
    let wired = [1, 4]
        .map(|cpus| Scenario::new(format!("services/wired-{cpus}cpu"), move |bench| wired(bench, cpus)));
    programs
        .into_iter()
        .chain(exhausted)
        .chain(wired)
        .chain(guide)
        .chain(behaviours)
        .chain(checked_behaviours)
        .collect()
}

fn program(bench: &Bench, kernel: &Path, cpus: u32, command: &str, planned: &[&str]) -> Result<()> {
    on_machine(bench, Machine::new(kernel), cpus, command, planned)
}

fn on_machine(bench: &Bench, machine: Machine, cpus: u32, command: &str, planned: &[&str]) -> Result<()> {
    let machine = machine.disk(&bench.artefacts().test_image).smp(cpus).only(command);
    // Loopback connections need an address.
    let machine = machine.network(&[]).append("swos.log=debug");
    bench.boot(machine.exit_by(ExitBy::Semihosting), |guest| {
        guest.expect_tests(Plan::AtLeast(planned))?;
        for line in guest.transcript().lines().filter(|line| line.starts_with("@calls ")) {
            println!("        {line}");
        }
        let status = guest.exit(Duration::from_secs(60))?;
        ensure!(status.success(), "the machine ended with {status}");
        // The kernel reads all translation tables when it starts the first program and before it switches off.
        let audits = guest.transcript().matches(SOUND).count();
        ensure!(audits == 2, "{audits} audits found the tables sound");
        Ok(())
    })
}

/// What `init` leads from one service to another.
fn wired(bench: &Bench, cpus: u32) -> Result<()> {
    let machine = Machine::new(&bench.artefacts().kernel).disk(&bench.artefacts().test_image).smp(cpus);
    bench.boot_and_outlive(machine.only("--services /etc/swos/wired"), |guest| {
        guest
            .expect_tests(Plan::AtLeast(&["a-service-finds-another-by-its-name", "names-are-there-again"]))?;
        let deaths = guest.transcript().matches("names ended with signal 9").count();
        ensure!(deaths == 2, "the name service died {deaths} times");
        Ok(())
    })
}

/// Two lines of two processes may change places.
fn guide(bench: &Bench, cpus: u32) -> Result<()> {
    let names: Vec<&str> = GUIDE.iter().map(|(name, _)| *name).collect();
    let kernel = &bench.artefacts().kernel;
    let machine = Machine::new(kernel).disk(&bench.artefacts().test_image).smp(cpus).only("/bin/guide");
    bench.boot(machine.network(&[]).exit_by(ExitBy::Semihosting), |guest| {
        guest.expect_tests(Plan::Exactly(&names))?;
        let said = guest.transcript();
        for (name, expected) in GUIDE {
            let (_, rest) = said.split_once(&format!("@test {name}")).context("a test that was planned")?;
            let (printed, _) = rest.split_once("@ok").context("a test that passed")?;
            let sorted = |text: &str| {
                let mut lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
                lines.retain(|line| !line.is_empty());
                lines.sort();
                lines
            };
            ensure!(sorted(printed) == sorted(expected), "{name} printed {printed:?}, and not {expected:?}");
        }
        Ok(())
    })
}
