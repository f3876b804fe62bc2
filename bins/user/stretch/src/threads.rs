//! Thousands of threads that are woken at once, or end at once.

use alloc::{format, string::String};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use swos_ulib::{
    abi::{Handle, POLL_IN, PollItem, Protection, TIMEOUT_NEVER},
    io::Write as _,
    pipe::pipe,
    sys,
    testing::text,
    thread,
    time::{Duration, Instant},
};

use crate::{Case, child_ends, this_program};

pub(crate) const CASES: &[Case] = &[
    ("wake-4000", wake),
    ("wake-past-4000", wake_past),
    ("wake-4000-at-a-pipe", wake_pollers),
    ("time-outs-of-4000", sleep),
    ("end-with-4000-threads", || child_ends("threads")),
    ("kill-4000-threads", killed),
];

pub(crate) const THREADS: u32 = 4000;
const ALL: u32 = u32::MAX;
const STACK: usize = 4096;

/// What the threads wait for, and how many wait.
static WORD: AtomicU32 = AtomicU32::new(0);
static READER: AtomicU64 = AtomicU64::new(0);
static BEGUN: AtomicU32 = AtomicU32::new(0);
static LEFT: AtomicU32 = AtomicU32::new(0);
/// The id of the last one.
static LAST: AtomicU32 = AtomicU32::new(0);

/// A thread with nothing but a stack.
type Act = fn();

extern "C" fn enter(act: usize) -> ! {
    // SAFETY: `start` passes a function of this type.
    let act = unsafe { core::mem::transmute::<usize, Act>(act) };
    BEGUN.fetch_add(1, Relaxed);
    act();
    LEFT.fetch_add(1, Relaxed);
    // SAFETY: nothing is to be cleared, and the thread holds nothing.
    unsafe { sys::thread_exit(core::ptr::null()) }
}

/// Starts threads that each do `act`; returns when all have begun. Their stacks are one mapping: with one each, a process
/// would come to its limit of areas before.
fn start(act: Act) -> Result<(), String> {
    let length = THREADS as usize * STACK;
    let stacks = sys::map_anonymous(length, Protection::READ | Protection::WRITE).map_err(text)?;
    for number in 1..=THREADS as usize {
        let stack = stacks.addr().get() + number * STACK;
        // SAFETY: the stack is the thread's own; the function is `enter`'s argument.
        let tid = unsafe { sys::thread_create(enter, stack, act as usize, 0) }.map_err(text)?;
        LAST.store(tid, Relaxed);
    }
    while BEGUN.load(Relaxed) < THREADS {
        thread::yield_now();
    }
    // The last one may not wait yet.
    thread::sleep(Duration::from_millis(10));
    Ok(())
}

fn join() {
    while LEFT.load(Relaxed) < THREADS {
        thread::sleep(Duration::from_millis(1));
    }
}

fn wake() -> Result<(), String> {
    start(|| {
        while WORD.load(Relaxed) == 0 {
            let _woken = sys::futex_wait(&WORD, 0, TIMEOUT_NEVER, ALL);
        }
    })?;
    wake_all()
}

/// A wake for others passes all of them over.
fn wake_past() -> Result<(), String> {
    start(|| {
        while WORD.load(Relaxed) == 0 {
            let _woken = sys::futex_wait(&WORD, 0, TIMEOUT_NEVER, 1);
        }
    })?;
    let woken = sys::futex_wake(&WORD, 1, 2).map_err(text)?;
    wake_all()?;
    if woken == 0 { Ok(()) } else { Err(format!("{woken} woken")) }
}

fn wake_all() -> Result<(), String> {
    WORD.store(1, Relaxed);
    while sys::futex_wake(&WORD, ALL, ALL).map_err(text)? > 0 {}
    join();
    Ok(())
}

/// A byte arrives at a pipe at which all poll.
fn wake_pollers() -> Result<(), String> {
    let (reader, mut writer) = pipe().map_err(text)?;
    READER.store(reader.handle().0, Relaxed);
    start(|| {
        let handle = Handle(READER.load(Relaxed));
        let mut items = [PollItem { handle, events: POLL_IN, ready: 0, reserved: 0 }];
        let _count = sys::poll(&mut items, TIMEOUT_NEVER);
    })?;
    writer.write_all(&[1]).map_err(text)?;
    join();
    Ok(())
}

/// All sleep until the same moment.
fn sleep() -> Result<(), String> {
    let end = Instant::now().as_nanos() + 400_000_000;
    READER.store(end, Relaxed);
    start(|| {
        let left = READER.load(Relaxed).saturating_sub(Instant::now().as_nanos());
        let _over = sys::sleep(left);
    })?;
    join();
    Ok(())
}

/// Threads that sleep for ever; whoever called goes on.
pub(crate) fn crowd() -> Result<(), String> {
    start(for_ever)
}

/// The one that was started last.
pub(crate) fn last() -> u32 {
    LAST.load(Relaxed)
}

/// Threads that wait for ever, each at a word on its own stack.
pub(crate) fn each_at_a_word() -> Result<(), String> {
    start(|| {
        let word = AtomicU32::new(0);
        let _woken = sys::futex_wait(&word, 0, TIMEOUT_NEVER, ALL);
    })
}

pub(crate) fn for_ever() {
    let _never_ends = sys::sleep(TIMEOUT_NEVER - 1);
}

fn killed() -> Result<(), String> {
    let child = this_program("killed").spawn().map_err(text)?;
    // Until it has started them.
    while sys::system_info().map_err(text)?.threads < THREADS {
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().map_err(text)?;
    child.wait().map(drop).map_err(text)
}
