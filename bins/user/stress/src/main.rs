//! Test program: does much of everything, then counts what is left.
//!
//! Free frames and open objects must be the same before and after, exactly. Speaks the protocol of the guest tests on standard
//! output. With a number as argument, that many processes are started (10,000 otherwise), and the others scale along.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![expect(unsafe_code, reason = "remaps pages under a reader, to see that no stale translation survives")]

extern crate alloc;

mod exhaust;
mod memory;
mod pipes;
mod processes;
mod siege;
mod storms;
mod threads;

use alloc::{string::String, vec::Vec};

use swos_ulib::{
    abi::{Capabilities, DOMAIN_IPV4, Errno, Handle, Rights, SOCKET_DATAGRAM, SOCKET_STREAM},
    env,
    fs::File,
    println,
    process::{Child, Command},
    sync::{Arc, Condvar, Mutex},
    sys, system,
    testing::{Report, equal, text},
    thread,
    time::Duration,
};

swos_ulib::main!(run);

const SELF: &str = "/bin/stress";
/// Of the counter under a lock, by all threads together.
const INCREMENTS: u32 = 1_000_000;

fn run() -> i32 {
    let mut args = env::args().skip(1);
    match args.next() {
        Some("nothing") => 0,
        Some("spin") => spin(),
        Some("unmapped") => memory::read_after_unmap(),
        Some("limited") => limited(),
        Some("crowd") => crowd(),
        Some("serve") => serve(args.next().and_then(|count| count.parse().ok()).unwrap_or(64)),
        Some("echo") => pipes::echo(),
        Some("besieged") => siege::besieged(),
        Some("exhaust") => exhaust::all(),
        Some("bomb") => siege::explode(),
        count => all(count.and_then(|count| count.parse().ok()).unwrap_or(10_000)),
    }
}

/// This program again.
fn child(deed: &str) -> Command {
    let mut command = Command::new(SELF);
    command.arg(deed).handle(2, Handle::STDERR, Rights::WRITE);
    command.capabilities(Capabilities::FS_READ);
    command
}

/// What must not change: bytes that can be handed out, and objects.
fn left() -> Result<(u64, u32, u32, u32, u32), Errno> {
    // Ends of processes and sockets are tidied up by the kernel in its own time; but it does come to an end.
    let mut before = None;
    for _ in 0..200 {
        let info = system::system_info()?;
        let now =
            (info.memory_free + info.memory_cached, info.processes, info.threads, info.sockets, info.objects);
        if before.replace(now) == Some(now) {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(10));
    }
    before.ok_or(Errno::AGAIN)
}

/// Does something `times` after a smaller run (so that caches are filled), and compares what is left, exactly.
///
/// One of four rounds must leave all as it was. In the first a stack that this program keeps for its next thread may be used deeper than
/// before, or a CPU may need its least list of timers for the first time: a page, once. On a busy host what one round leaves for later may
/// go in the next, which then ends with more than it began with. What leaks is gone after each round.
fn leaves_nothing(times: u32, act: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    leaves_nothing_after(64, times, act)
}

/// The same, after `warm_up` runs.
fn leaves_nothing_after(
    warm_up: u32,
    times: u32,
    mut act: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    const ROUNDS: u32 = 4;
    for _ in 0..warm_up {
        act()?;
    }
    let mut round = || {
        let before = left().map_err(text)?;
        for _ in 0..times {
            act()?;
        }
        equal(left().map_err(text)?, before)
    };
    let mut outcome = round();
    for _ in 1..ROUNDS {
        if outcome.is_ok() {
            break;
        }
        outcome = round();
    }
    outcome
}

/// Lists of the kernel that are one for each CPU get their least memory when that CPU first needs them, and keep it: so all CPUs
/// have to be busy once before anything is counted.
fn busy_everywhere() -> Result<(), String> {
    for _ in 0..8 {
        equal(start_together(64), 64)?;
        let sleepers: Vec<_> =
            (0..64).filter_map(|_| thread::spawn(|| thread::sleep(Duration::from_millis(5))).ok()).collect();
        sleepers.into_iter().for_each(thread::JoinHandle::join);
        let children: Vec<Child> = (0..16).filter_map(|_| child("nothing").spawn().ok()).collect();
        children.iter().try_for_each(|child| equal(child.wait().map_err(text)?.code(), Some(0)))?;
    }
    Ok(())
}

fn all(count: u32) -> i32 {
    let mut report = Report::default();
    report.test("busy everywhere", busy_everywhere);
    report.test("processes in sequence", || {
        leaves_nothing(count, || equal(child("nothing").status().map_err(text)?.code(), Some(0)))
    });
    report.test("processes in parallel", || {
        leaves_nothing(count / 100, || {
            let children: Vec<Child> = (0..8).filter_map(|_| child("nothing").spawn().ok()).collect();
            equal(children.len(), 8)?;
            children.iter().try_for_each(|child| equal(child.wait().map_err(text)?.code(), Some(0)))
        })
    });
    report.test("processes killed with their threads", || {
        leaves_nothing(count / 5, || {
            let child = child("spin").spawn().map_err(text)?;
            thread::yield_now();
            child.kill().map_err(text)?;
            equal(child.wait().map_err(text)?.signal(), Some(9))
        })
    });
    report.test("threads", || {
        leaves_nothing(count, || {
            let thread = thread::spawn(|| 7).map_err(text)?;
            equal(thread.join(), 7)
        })
    });
    report.test("detached threads", || {
        static ENDED: Mutex<u32> = Mutex::new(0);
        // Stacks are kept for the next threads, a bounded number: that many first.
        equal(start_together(16), 16)?;
        leaves_nothing(count / 10, || {
            let before = *ENDED.lock();
            drop(thread::spawn(|| *ENDED.lock() += 1).map_err(text)?);
            while *ENDED.lock() == before {
                thread::yield_now();
            }
            Ok(())
        })
    });
    report.test("a counter under a lock on all CPUs", || threads::counter(INCREMENTS));
    report.test("signals between threads", || leaves_nothing_after(1, 1, || storms::between_threads(count)));
    report.test("signals between processes", || {
        leaves_nothing_after(1, 1, || storms::between_processes(count))
    });
    report.test("a condition from thread to thread", || handoff(count));
    report.test("a reader-writer lock on all CPUs", || threads::readers_and_writers(count * 2));
    report.test("a channel between threads", || leaves_nothing(count / 20, threads::channels));
    report.test("a message in time", threads::timeouts);
    report.test("scoped threads", || leaves_nothing(count / 5, threads::scoped));
    report.test("files", || leaves_nothing(count * 10, || File::open(SELF).map(drop).map_err(text)));
    report.test("sockets", || {
        leaves_nothing(count, || {
            for kind in [SOCKET_STREAM, SOCKET_DATAGRAM] {
                sys::close(sys::socket(DOMAIN_IPV4, kind).map_err(text)?).map_err(text)?;
            }
            Ok(())
        })
    });
    report.test("pipes", || leaves_nothing(count, pipes::there_and_back));
    report.test("pipes between processes", || leaves_nothing(count / 50, pipes::through_a_child));
    report.test("mappings", || leaves_nothing(count, memory::map_touch_unmap));
    report.test("fresh pages are zero", || memory::fresh(count * 10));
    report.test("no stale translation after a remap", || memory::remap(count * 10));
    report.test("no stale translation after an unmap", || {
        (0..count / 200).try_for_each(|_| equal(child("unmapped").status().map_err(text)?.signal(), Some(11)))
    });
    report.test("a call is refused after an unmap", || memory::unmap(count * 10));
    report.test("limits are errors", || {
        leaves_nothing(4, || {
            let mut limited = child("limited");
            limited.limits(16 << 20, 32, 8);
            equal(limited.status().map_err(text)?.code(), Some(0))
        })
    });
    report.test("a thousand threads", || {
        leaves_nothing(2, || equal(child("crowd").status().map_err(text)?.code(), Some(0)))
    });
    report.test("forks that become another program", || leaves_nothing(count, processes::fork_and_exec));
    report.test("processes alive together", || {
        leaves_nothing_after(1, 1, || processes::alive_together((count / 10).max(64)))
    });
    report.test("handles open together", || leaves_nothing_after(1, 1, || processes::open_together(10_000)));
    report.test("threads alive together", || {
        leaves_nothing_after(1, 1, || processes::threads_together(count.max(1000)))
    });
    report.done()
}

/// Threads that only count, until somebody ends the process.
fn spin() -> i32 {
    for _ in 0..3 {
        drop(thread::spawn(|| {
            loop {
                core::hint::spin_loop();
            }
        }));
    }
    loop {
        thread::yield_now();
    }
}

fn handoff(times: u32) -> Result<(), String> {
    let shared = Arc::new((Mutex::new(0_u32), Condvar::new()));
    let other = Arc::clone(&shared);
    let turn = move |shared: &(Mutex<u32>, Condvar), mine: u32| {
        for _ in 0..times {
            let mut value = shared.0.lock();
            while *value % 2 != mine {
                value = shared.1.wait(value);
            }
            *value += 1;
            shared.1.notify_one();
        }
    };
    let thread = thread::spawn(move || turn(&other, 1)).map_err(text)?;
    turn(&shared, 0);
    thread.join();
    equal(*shared.0.lock(), times * 2)
}

/// Runs into the limits of memory, handles and threads; each must be an error, and the process must go on.
fn limited() -> i32 {
    let mut files = Vec::new();
    let handles = loop {
        match File::open(SELF) {
            Ok(file) => files.push(file),
            Err(errno) => break errno,
        }
        if files.len() > 64 {
            return 1;
        }
    };
    files.clear();
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let mut waiting = Vec::new();
    let threads = loop {
        let gate = Arc::clone(&gate);
        match thread::spawn(move || drop(gate.lock())) {
            Ok(thread) => waiting.push(thread),
            Err(errno) => break errno,
        }
        if waiting.len() > 16 {
            return 2;
        }
    };
    drop(closed);
    waiting.into_iter().for_each(thread::JoinHandle::join);
    let memory = memory::until_refused(64 << 20);
    if handles == Errno::MFILE && threads == Errno::AGAIN && memory { 0 } else { 3 }
}

/// Starts the web server with so many handles, 0 = as many as this process may have.
fn website(handles: u32) -> Result<Child, Errno> {
    let mut command = Command::new("/bin/httpd");
    command
        .args(["--root", "/www"])
        .inherit_streams()
        .capabilities(Capabilities::NET | Capabilities::FS_READ);
    command.limits(0, handles, 0).spawn()
}

/// Lets the web server run with so many handles, and says how much of each quarter of a second nothing ran, in thousandths.
fn serve(handles: u32) -> i32 {
    if let Err(errno) = website(handles) {
        println!("httpd can't be started: {errno}");
        return 1;
    }
    loop {
        let Ok(before) = system::system_info() else { return 2 };
        thread::sleep(Duration::from_millis(250));
        let Ok(after) = system::system_info() else { return 2 };
        let passed = after.uptime_ns.saturating_sub(before.uptime_ns) * u64::from(after.cpus);
        let idle = after.idle_ns.saturating_sub(before.idle_ns);
        println!("@idle {}", idle * 1000 / passed.max(1));
    }
}

/// A thousand threads at once, all waiting for one lock.
fn crowd() -> i32 {
    i32::from(start_together(1_000) != 1_000)
}

/// Starts so many threads, which wait for one lock until all are there; returns how many ran.
fn start_together(count: u32) -> u32 {
    let gate = Arc::new(Mutex::new(0_u32));
    let closed = gate.lock();
    let mut waiting = Vec::new();
    for _ in 0..count {
        let gate = Arc::clone(&gate);
        match thread::spawn(move || *gate.lock() += 1) {
            Ok(thread) => waiting.push(thread),
            Err(_) => break,
        }
    }
    drop(closed);
    waiting.into_iter().for_each(thread::JoinHandle::join);
    *gate.lock()
}
