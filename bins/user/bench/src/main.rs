//! Test program: times small operations of the system.
//!
//! Prints `BENCH <name> <operations> <total_ns> <ns_per_operation>`. Names, loop counts and meaning are those of the
//! micro-benchmarks that the figures in the documentation compare with; what the system does not have is left out.
//!
//! Arguments are names of groups or of figures (none = all), and `times=N`, by which loops are longer.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![expect(unsafe_code, reason = "touches fresh pages one by one")]

extern crate alloc;

mod ipc;
mod network;
mod pipes;
mod processes;
mod threads;

use core::hint::black_box;

use swos_ulib::{
    abi::{Errno, Handle, OpenFlags, POLL_IN, Protection},
    env,
    fs::File,
    pipe::pipe,
    println,
    ready::{ReadyEvent, ReadySet},
    sys,
};

swos_ulib::main!(run);

const SELF: &str = "/bin/bench";
const PAGE: usize = 4096;

/// A group: its name, its figures, what measures them.
type Bench = (&'static str, &'static [&'static str], fn() -> Result<(), Errno>);

/// In the order of the original.
const BENCHES: [Bench; 18] = [
    ("cpu", &["cpu_loop2"], cpu),
    ("memcpy", &["memcpy_KiB"], memcpy),
    ("getpid", &["getpid"], getpid),
    ("rw", &["read1_zero"], read_one),
    ("file", &["pread4k_cached", "open_close", "stat"], file),
    ("mm", &["mmap_munmap", "page_fault_anon"], mm),
    ("pipe", &["pipe_pingpong"], pipes::ping_pong),
    ("pipebw", &["pipe_bw_KiB"], pipes::bandwidth),
    ("ipc", &["ipc_call"], ipc::call),
    ("yield", &["yield_2procs"], threads::yielding),
    ("proc", &["spawn_wait"], processes::spawn),
    ("fork", &["fork_exit_wait", "fork_exec_wait"], processes::forks),
    ("thread", &["thread_create_join"], threads::create),
    ("heap", &["malloc_free_64", "malloc_free_64_4threads"], threads::heap),
    ("futex", &["futex_handoff_rt", "futex_wake_empty"], threads::futex),
    ("epoll", &["epoll_wait_ready"], ready),
    (
        "lo",
        &["lo_tcp_pingpong", "lo_tcp_bw_KiB", "lo_tcp_connect_close", "lo_udp_pingpong"],
        network::loopback,
    ),
    ("smp", &["getpid_par"], threads::parallel),
];

fn run() -> i32 {
    match env::args().nth(1) {
        // What the other process of a benchmark does.
        Some("nop") => return 0,
        Some("yield") => loop {
            sys::yield_now();
        },
        Some("serve") => return ipc::echo(),
        Some("echo") => return pipes::echo(),
        Some("flood") => return pipes::flood(),
        _ => {}
    }
    let repeats = env::var("REP").and_then(|text| text.parse().ok()).unwrap_or(3);
    for _ in 0..repeats {
        for (group, figures, bench) in BENCHES {
            if figures.iter().any(|figure| wanted(group, figure))
                && let Err(errno) = bench()
            {
                println!("BENCH-FAIL {group}: {errno}");
            }
        }
    }
    println!("BENCH-DONE");
    0
}

/// Whether the arguments ask for a figure: by its name, its group's, or by naming none.
fn wanted(group: &str, figure: &str) -> bool {
    let mut names = env::args().skip(1).filter(|argument| !argument.starts_with(TIMES)).peekable();
    names.peek().is_none() || names.any(|name| [figure, group, "all", "quick"].contains(&name))
}

const TIMES: &str = "times=";

/// By what the loops are longer than those of the original.
pub(crate) fn times() -> u64 {
    let factor = env::args().find_map(|argument| argument.strip_prefix(TIMES)?.parse().ok());
    factor.unwrap_or(1)
}

/// Prints one line for `operations` done between two readings of the counter.
pub(crate) fn report(name: &str, operations: u64, start: u64, end: u64) {
    let frequency = sys::counter_frequency().max(1);
    let nanos = u128::from(end.wrapping_sub(start)) * 1_000_000_000 / u128::from(frequency);
    let tenths = nanos * 10 / u128::from(operations.max(1));
    println!("BENCH {name} {operations} {nanos} {}.{}", tenths / 10, tenths % 10);
}

/// Times `operations` runs of `act` together, if the arguments ask for that figure.
pub(crate) fn time(name: &str, operations: u64, mut act: impl FnMut(u64)) {
    let group = BENCHES.iter().find(|(_, figures, _)| figures.contains(&name)).map_or("", |bench| bench.0);
    if !wanted(group, name) {
        return;
    }
    let operations = operations * times();
    let start = sys::counter();
    for turn in 0..operations {
        act(turn);
    }
    report(name, operations, start, sys::counter());
}

#[expect(clippy::unnecessary_wraps, reason = "one of many that can fail")]
fn cpu() -> Result<(), Errno> {
    let turns = 20_000_000_u64;
    let start = sys::counter();
    // SAFETY: changes one register of its own.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("2: subs {0}, {0}, #1", "b.ne 2b", inout(reg) turns => _, options(nomem, nostack));
    }
    report("cpu_loop2", turns, start, sys::counter());
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "one of many that can fail")]
fn memcpy() -> Result<(), Errno> {
    const SIZE: usize = 4 << 20;
    let (from, mut to) = (alloc::vec![1_u8; SIZE], alloc::vec![2_u8; SIZE]);
    let start = sys::counter();
    for _ in 0..16 {
        to.copy_from_slice(&from);
        black_box(&mut to);
    }
    report("memcpy_KiB", 16 * (SIZE as u64 >> 10), start, sys::counter());
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "one of many that can fail")]
fn getpid() -> Result<(), Errno> {
    time("getpid", 50_000, |_| {
        let _ = black_box(sys::getpid());
    });
    Ok(())
}

/// A byte at a time.
fn read_one() -> Result<(), Errno> {
    let zeros = File::open("/dev/zero").or_else(|_| File::open(SELF))?;
    let mut byte = [0];
    // Also reads the first page, if it is of a file.
    sys::read(zeros.handle(), &mut byte)?;
    time("read1_zero", 20_000, |_| {
        let _ = black_box(sys::read(zeros.handle(), &mut byte));
    });
    Ok(())
}

/// The original uses a file of its own; here it is this very program, of which at least 64 KiB are cached.
fn file() -> Result<(), Errno> {
    let file = File::open(SELF)?;
    let mut buffer = alloc::vec![0; PAGE];
    let pages = (file.metadata()?.size / 4096).clamp(1, 16);
    for page in 0..pages {
        file.read_at(&mut buffer, page * 4096)?;
    }
    time("pread4k_cached", 5_000, |turn| {
        let _ = black_box(file.read_at(&mut buffer, turn % pages * 4096));
    });
    time("open_close", 5_000, |_| drop(black_box(File::open(SELF))));
    time("stat", 5_000, |_| {
        let _ = black_box(sys::stat(Handle::CWD, SELF.as_bytes(), OpenFlags::empty()));
    });
    Ok(())
}

fn mm() -> Result<(), Errno> {
    const PAGES: usize = 2048;
    let both = Protection::READ | Protection::WRITE;
    time("mmap_munmap", 5_000, |_| {
        if let Ok(page) = sys::map_anonymous(PAGE, both) {
            // SAFETY: the page is ours and not used.
            let _ = unsafe { sys::munmap(page, PAGE) };
        }
    });
    if !wanted("mm", "page_fault_anon") {
        return Ok(());
    }
    let (mut total, turns) = (0, 4 * times());
    for _ in 0..turns {
        let start = sys::map_anonymous(PAGES * PAGE, both)?;
        let before = sys::counter();
        for page in 0..PAGES {
            // SAFETY: within the mapping, which is ours.
            unsafe { start.add(page * PAGE).write_volatile(1) };
        }
        total += sys::counter() - before;
        // SAFETY: the mapping is ours and not used any more.
        unsafe { sys::munmap(start, PAGES * PAGE)? };
    }
    report("page_fault_anon", turns * PAGES as u64, 0, total);
    Ok(())
}

fn ready() -> Result<(), Errno> {
    let set = ReadySet::new()?;
    let (reader, writer) = pipe()?;
    set.add(reader.handle(), u32::from(POLL_IN), 1)?;
    sys::write(writer.handle(), &[0])?;
    let mut events = [ReadyEvent::default(); 1];
    if set.wait(&mut events, Some(core::time::Duration::ZERO))?.len() != 1 {
        return Err(Errno::AGAIN);
    }
    time("epoll_wait_ready", 20_000, |_| {
        let _ = black_box(set.wait(&mut events, Some(core::time::Duration::ZERO)));
    });
    Ok(())
}
