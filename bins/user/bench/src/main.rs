//! Test program: times small operations of the system.
//!
//! Prints `BENCH <name> <operations> <total_ns> <ns_per_operation>`. Names, loop counts and meaning are those of the
//! micro-benchmarks that the figures in the documentation compare with; what the system does not have is left out.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![expect(unsafe_code, reason = "touches fresh pages one by one")]

extern crate alloc;

mod network;
mod threads;

use core::hint::black_box;

use swos_ulib::{
    abi::{Capabilities, Errno, Handle, OpenFlags, POLL_OUT, Protection},
    env,
    fs::File,
    println,
    process::Command,
    ready::{ReadyEvent, ReadySet},
    sys,
};

swos_ulib::main!(run);

const SELF: &str = "/bin/bench";
const PAGE: usize = 4096;

type Bench = (&'static str, fn() -> Result<(), Errno>);

/// In the order of the original.
const BENCHES: [Bench; 12] = [
    ("cpu", cpu),
    ("memcpy", memcpy),
    ("getpid", getpid),
    ("file", file),
    ("mm", mm),
    ("yield", threads::yielding),
    ("proc", processes),
    ("thread", threads::create),
    ("futex", threads::futex),
    ("epoll", ready),
    ("lo", network::loopback),
    ("smp", threads::parallel),
];

fn run() -> i32 {
    if env::args().nth(1) == Some("nop") {
        return 0;
    }
    if env::args().nth(1) == Some("yield") {
        loop {
            sys::yield_now();
        }
    }
    let repeats = env::var("REP").and_then(|text| text.parse().ok()).unwrap_or(3);
    for _ in 0..repeats {
        for (name, bench) in BENCHES {
            let wanted = env::args()
                .skip(1)
                .any(|argument| argument == name || argument == "all" || argument == "quick");
            if (wanted || env::args().nth(1).is_none())
                && let Err(errno) = bench()
            {
                println!("BENCH-FAIL {name}: {errno}");
            }
        }
    }
    println!("BENCH-DONE");
    0
}

/// Prints one line for `operations` done between two readings of the counter.
pub(crate) fn report(name: &str, operations: u64, start: u64, end: u64) {
    let frequency = sys::counter_frequency().max(1);
    let nanos = u128::from(end.wrapping_sub(start)) * 1_000_000_000 / u128::from(frequency);
    let tenths = nanos * 10 / u128::from(operations.max(1));
    println!("BENCH {name} {operations} {nanos} {}.{}", tenths / 10, tenths % 10);
}

/// Times `operations` runs of `act` together.
pub(crate) fn time(name: &str, operations: u64, mut act: impl FnMut(u64)) {
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
    let mut total = 0;
    for _ in 0..4 {
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
    report("page_fault_anon", 4 * PAGES as u64, 0, total);
    Ok(())
}

/// There is no fork; a start of a program is what `vfork` and `exec` come to.
fn processes() -> Result<(), Errno> {
    let mut command = Command::new(SELF);
    command.arg("nop").capabilities(Capabilities::empty());
    command.status()?;
    time("vfork_exec_wait", 200, |_| {
        let _ = black_box(command.status());
    });
    Ok(())
}

fn ready() -> Result<(), Errno> {
    let set = ReadySet::new()?;
    let socket =
        File::from_handle(sys::socket(swos_ulib::abi::DOMAIN_IPV4, swos_ulib::abi::SOCKET_DATAGRAM)?);
    sys::bind(socket.handle(), &swos_ulib::abi::SocketAddress::ipv4([0; 4], 0))?;
    set.add(socket.handle(), u32::from(POLL_OUT), 1)?;
    let mut events = [ReadyEvent::default(); 1];
    if set.wait(&mut events, Some(core::time::Duration::ZERO))?.len() != 1 {
        return Err(Errno::AGAIN);
    }
    time("epoll_wait_ready", 20_000, |_| {
        let _ = black_box(set.wait(&mut events, Some(core::time::Duration::ZERO)));
    });
    Ok(())
}
