//! Benchmarks with several threads or processes.

use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use core::{
    hint::black_box,
    sync::atomic::{
        AtomicBool, AtomicU32,
        Ordering::{Acquire, Release},
    },
};

use swos_ulib::{
    abi::{Errno, TIMEOUT_NEVER},
    process::Command,
    sys::{self, FUTEX_ANY},
    system,
    thread::{self, JoinHandle},
};

use crate::{report, time, times};

/// Two processes that only yield. On one CPU each call is two switches.
pub(crate) fn yielding() -> Result<(), Errno> {
    let other = Command::new(crate::SELF).arg("yield").spawn()?;
    for _ in 0..100 {
        sys::yield_now();
    }
    time("yield_2procs", 20_000, |_| sys::yield_now());
    other.kill()?;
    other.wait().map(drop)
}

pub(crate) fn create() -> Result<(), Errno> {
    thread::spawn(|| ())?.join();
    time("thread_create_join", 1_000, |_| {
        if let Ok(thread) = thread::spawn(|| ()) {
            thread.join();
        }
    });
    Ok(())
}

/// A word that two threads hand to each other: 1 = the other's turn, 0 = ours.
struct Baton {
    word: AtomicU32,
    stop: AtomicBool,
}

impl Baton {
    fn wait_for(&self, value: u32) {
        while self.word.load(Acquire) != value {
            let _ = sys::futex_wait(&self.word, 1 - value, TIMEOUT_NEVER, FUTEX_ANY);
        }
    }

    fn set(&self, value: u32) {
        self.word.store(value, Release);
        let _ = sys::futex_wake(&self.word, 1, FUTEX_ANY);
    }
}

pub(crate) fn futex() -> Result<(), Errno> {
    let baton = Arc::new(Baton { word: AtomicU32::new(0), stop: AtomicBool::new(false) });
    let other = Arc::clone(&baton);
    let peer = thread::spawn(move || {
        loop {
            other.wait_for(1);
            let stop = other.stop.load(Acquire);
            other.set(0);
            if stop {
                return;
            }
        }
    })?;
    let hand_over = || {
        baton.set(1);
        baton.wait_for(0);
    };
    (0..50).for_each(|_| hand_over());
    time("futex_handoff_rt", 10_000, |_| hand_over());
    baton.stop.store(true, Release);
    hand_over();
    peer.join();

    let nobody = AtomicU32::new(0);
    time("futex_wake_empty", 20_000, |_| {
        let _ = black_box(sys::futex_wake(&nobody, 1, FUTEX_ANY));
    });
    Ok(())
}

/// A block of 64 bytes that is made and freed at once.
fn make_and_free() {
    drop(black_box(Box::new([0_u64; 8])));
}

/// The heap: one thread alone, and four at once.
pub(crate) fn heap() -> Result<(), Errno> {
    const TURNS: u64 = 20_000;
    time("malloc_free_64", TURNS, |_| make_and_free());
    let start = sys::counter();
    let threads: Result<Vec<_>, Errno> =
        (0..4).map(|_| thread::spawn(|| (0..TURNS * times()).for_each(|_| make_and_free()))).collect();
    threads?.into_iter().for_each(JoinHandle::join);
    report("malloc_free_64_4threads", 4 * TURNS * times(), 0, sys::counter() - start);
    Ok(())
}

/// All CPUs at once.
pub(crate) fn parallel() -> Result<(), Errno> {
    const CALLS: u64 = 50_000;
    let cpus = system::system_info()?.cpus.min(8);
    let start = sys::counter();
    let threads: Vec<_> = (0..cpus)
        .filter_map(|_| {
            thread::spawn(|| {
                (0..CALLS).for_each(|_| {
                    let _ = black_box(sys::getpid());
                });
            })
            .ok()
        })
        .collect();
    threads.into_iter().for_each(thread::JoinHandle::join);
    report(&format!("getpid_par_cpus{cpus}"), CALLS * u64::from(cpus), start, sys::counter());
    Ok(())
}
