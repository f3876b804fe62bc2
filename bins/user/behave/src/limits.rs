//! Limits, which hold and only become lower, and what was used.

use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;

use swos_ulib::{
    abi::{Errno, Handle, Protection, Rights},
    io::{Read as _, Write as _},
    pipe::{PipeWriter, pipe},
    process::{self, Command, Fork, ProcessLimits, fork, limits, lower_limits, usage},
    sys,
    testing::{equal, text},
    thread,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "limits",
    checks: &[
        ("limits can be read", read),
        ("limits are only lowered", lowered),
        ("handles stop at their limit", handles),
        ("threads stop at their limit", threads),
        ("memory stops at its limit", memory),
        ("processes stop at their limit", processes),
        ("a fork bomb stops at its limit", bomb),
        ("one that was not waited for counts", zombies),
        ("a limit of CPU time ends the process", cpu_time),
        ("threads share the limit of CPU time", cpu_time_of_threads),
        ("a sleeping process does not use CPU time", sleeping),
        ("a child has its parent's limits at most", inherited),
        ("a fork has its parent's limits", forked),
        ("what is used can be read", used),
        ("page faults are counted exactly", faults),
    ],
    child,
};

fn child(deed: &str) -> i32 {
    match deed {
        "lowered" => outcome(lowered_in_child()),
        "handles" => outcome(handles_in_child()),
        "threads" => outcome(threads_in_child()),
        "memory" => outcome(memory_in_child()),
        "processes" => outcome(processes_in_child()),
        "bomb" => explode(),
        "zombies" => outcome(zombies_in_child()),
        "spin" => loop {
            core::hint::spin_loop();
        },
        "spin together" => spin_together(),
        "sleep" => {
            thread::sleep(Duration::from_millis(260));
            0
        }
        "inherited" => outcome(inherited_in_child()),
        _ => UNKNOWN,
    }
}

fn outcome(result: Result<(), String>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(why) => {
            swos_ulib::eprintln!("{why}");
            1
        }
    }
}

/// A process that sleeps a little, and has no stream: those of a child can't be passed on.
fn grandchild() -> Command {
    let mut command = Command::new("/bin/behave");
    command.args(["child", AREA.name, "sleep"]);
    command
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    equal(command.status().map_err(text)?.code(), Some(0))
}

fn read() -> Result<(), String> {
    let own = limits().map_err(text)?;
    equal(own.size, 32)?;
    equal(own.cpu_ns, u64::MAX)?;
    equal(own.processes > 1000 && own.handles > 100 && own.threads > 100 && own.memory > 1 << 20, true)
}

fn lowered() -> Result<(), String> {
    succeeds(&mut crate::child(AREA.name, "lowered"))
}

fn lowered_in_child() -> Result<(), String> {
    let before = limits().map_err(text)?;
    lower_limits(&ProcessLimits::default()).map_err(text)?;
    equal(limits(), Ok(before))?;
    let to =
        ProcessLimits { processes: 9, memory: 64 << 20, handles: 20, threads: 7, cpu_ns: 1 << 40, size: 0 };
    lower_limits(&to).map_err(text)?;
    equal(limits(), Ok(ProcessLimits { size: 32, ..to }))?;
    lower_limits(&before).map_err(text)?;
    equal(limits(), Ok(ProcessLimits { size: 32, ..to }))
}

fn handles() -> Result<(), String> {
    let mut command = crate::child(AREA.name, "handles");
    command.handle(1, Handle::STDOUT, Rights::WRITE | Rights::DUPLICATE);
    succeeds(command.limits(0, 6, 0))
}

fn handles_in_child() -> Result<(), String> {
    let mut open = usage().map_err(text)?.handles;
    loop {
        match sys::handle_duplicate(Handle::STDOUT, Rights::WRITE, 0) {
            Ok(_) => open += 1,
            Err(errno) => {
                equal((errno, open), (Errno::MFILE, 6))?;
                return equal(usage().map(|usage| usage.handles), Ok(6));
            }
        }
    }
}

fn threads() -> Result<(), String> {
    succeeds(crate::child(AREA.name, "threads").limits(0, 0, 5))
}

fn threads_in_child() -> Result<(), String> {
    let mut count = 1;
    loop {
        match thread::spawn(|| thread::sleep(Duration::from_secs(1000))) {
            Ok(_) => count += 1,
            Err(errno) => {
                equal((errno, count), (Errno::AGAIN, 5))?;
                return equal(usage().map(|usage| usage.threads), Ok(5));
            }
        }
    }
}

fn memory() -> Result<(), String> {
    succeeds(crate::child(AREA.name, "memory").limits(48 << 20, 0, 0))
}

fn memory_in_child() -> Result<(), String> {
    const PART: usize = 1 << 20;
    let mut parts = 0;
    while sys::map_anonymous(PART, Protection::READ).is_ok() {
        parts += 1;
        equal(parts < 48, true)?;
    }
    let used = usage().map_err(text)?;
    equal(used.memory <= 48 << 20 && used.memory > 46 << 20, true)?;
    equal(sys::map_anonymous(PART, Protection::READ), Err(Errno::NOMEM))?;
    // Reserved addresses are not memory.
    sys::map_anonymous(PART, Protection::empty()).map(drop).map_err(text)
}

fn processes() -> Result<(), String> {
    succeeds(crate::child(AREA.name, "processes").process_limit(4))
}

fn processes_in_child() -> Result<(), String> {
    let mut children = Vec::new();
    loop {
        match grandchild().spawn() {
            Ok(child) => children.push(child),
            Err(errno) => {
                equal((errno, children.len()), (Errno::AGAIN, 3))?;
                break;
            }
        }
    }
    equal(usage().map(|usage| usage.processes), Ok(4))?;
    children.iter().try_for_each(|child| child.wait().map(drop)).map_err(text)?;
    equal(usage().map(|usage| usage.processes), Ok(1))?;
    succeeds(&mut grandchild())
}

/// Each process that comes to be starts as many as it can. The parent, and the rest of the system, do not notice.
fn bomb() -> Result<(), String> {
    let before = usage().map_err(text)?.processes;
    let running = crate::child(AREA.name, "bomb").process_limit(50).spawn().map_err(text)?;
    for _ in 0..20 {
        equal(usage().map_err(text)?.processes <= before + 50, true)?;
        succeeds(&mut crate::child(AREA.name, "sleep"))?;
    }
    running.kill().map_err(text)?;
    equal(running.wait().map_err(text)?.signal(), Some(9))?;
    // Its children are init's now, and end in their own time.
    for _ in 0..2000 {
        if usage().map_err(text)?.processes == before {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    equal(usage().map_err(text)?.processes, before)
}

fn explode() -> i32 {
    let start = swos_ulib::time::Instant::now();
    let first = process::id();
    let mut refused = 0_u32;
    // The moment is copied, too: all of them end then, but for the first, which ends when it is killed.
    while start.elapsed() < Duration::from_secs(3) {
        if let Err(errno) = fork() {
            if errno != Errno::AGAIN {
                return 1;
            }
            refused += 1;
            if refused.is_multiple_of(16) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
    while process::id() == first {
        thread::sleep(Duration::from_secs(1));
    }
    0
}

fn zombies() -> Result<(), String> {
    succeeds(crate::child(AREA.name, "zombies").process_limit(3))
}

fn zombies_in_child() -> Result<(), String> {
    for _ in 0..2 {
        let Fork::Parent(_) = fork().map_err(text)? else { process::exit(0) };
    }
    thread::sleep(Duration::from_millis(20));
    equal(fork().map(drop), Err(Errno::AGAIN))?;
    process::wait_any().map_err(text)?;
    match fork().map_err(text)? {
        Fork::Child => process::exit(0),
        Fork::Parent(child) => child.wait().map(drop).map_err(text),
    }
}

fn over_time(deed: &str, limit: Duration) -> Result<(), String> {
    let status = crate::child(AREA.name, deed).cpu_limit(limit).status().map_err(text)?;
    equal(status.signal(), Some(24))?;
    // How far beyond is for the simulation to see: here the host may have taken the CPU away.
    equal(u128::from(status.0.cpu_ns) >= limit.as_nanos(), true)
}

fn cpu_time() -> Result<(), String> {
    over_time("spin", Duration::from_millis(50))
}

fn cpu_time_of_threads() -> Result<(), String> {
    over_time("spin together", Duration::from_millis(80))
}

fn spin_together() -> i32 {
    for _ in 0..4 {
        let _detached = thread::spawn(|| {
            loop {
                core::hint::spin_loop();
            }
        });
    }
    loop {
        thread::yield_now();
    }
}

fn sleeping() -> Result<(), String> {
    let status = crate::child(AREA.name, "sleep").cpu_limit(Duration::from_millis(200)).status();
    equal(status.map_err(text)?.code(), Some(0))
}

fn inherited() -> Result<(), String> {
    let mut command = crate::child(AREA.name, "inherited");
    command.limits(64 << 20, 10, 5).process_limit(6).cpu_limit(Duration::from_secs(100));
    succeeds(&mut command)
}

fn inherited_in_child() -> Result<(), String> {
    let own = limits().map_err(text)?;
    let expected = ProcessLimits {
        size: 32,
        processes: 6,
        memory: 64 << 20,
        handles: 10,
        threads: 5,
        cpu_ns: 100_000_000_000,
    };
    equal(own, expected)?;
    let mut command = grandchild();
    command.limits(1 << 40, 1 << 20, 1 << 20).process_limit(1 << 20).cpu_limit(Duration::from_secs(1 << 20));
    succeeds(&mut command)?;
    let Fork::Parent(child) = fork().map_err(text)? else {
        process::exit(i32::from(limits() != Ok(expected)));
    };
    equal(child.wait().map_err(text)?.code(), Some(0))
}

fn forked() -> Result<(), String> {
    let (mut reader, writer) = pipe().map_err(text)?;
    let own = limits().map_err(text)?;
    let Fork::Parent(child) = fork().map_err(text)? else {
        let same = limits() == Ok(own);
        let _told = PipeWriter::from_handle(writer.handle()).write_all(&[u8::from(same)]);
        process::exit(0)
    };
    drop(writer);
    let mut told = [0];
    reader.read_exact(&mut told).map_err(text)?;
    child.wait().map_err(text)?;
    equal(told, [1])
}

fn used() -> Result<(), String> {
    let before = usage().map_err(text)?;
    equal((before.size, before.threads), (64, 1))?;
    let start = sys::counter();
    while sys::counter() - start < sys::counter_frequency() / 100 {}
    let after = usage().map_err(text)?;
    equal(after.cpu_ns - before.cpu_ns >= 5_000_000, true)
}

fn faults() -> Result<(), String> {
    const PAGES: usize = 50;
    let _stack_is_touched = usage().map_err(text)?;
    let before = usage().map_err(text)?;
    // So much is a mapping of its own, which nobody touches before us.
    let mut mapping = core::hint::black_box(vec![0_u8; PAGES * 4096]);
    for page in mapping.chunks_mut(4096) {
        if let Some(byte) = page.first_mut() {
            *byte = 1;
        }
    }
    let mapping = core::hint::black_box(mapping);
    let touched = usage().map_err(text)?;
    equal(touched.faults - before.faults, PAGES as u64)?;
    equal(touched.resident - before.resident, (PAGES * 4096) as u64)?;
    equal(touched.memory - before.memory, (PAGES * 4096) as u64)?;
    drop(mapping);
    let after = usage().map_err(text)?;
    equal((after.resident, after.memory), (before.resident, before.memory))
}
