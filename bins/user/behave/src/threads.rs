//! Threads: ends, names, values of their own.

use alloc::{string::String, vec::Vec};
use core::{
    cell::Cell,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use swos_ulib::{
    abi::{Errno, THREAD_RUNNING, THREAD_WAITING},
    memory::SharedMapping,
    process::{self, Fork, fork},
    sync::{Arc, Barrier},
    sys, system,
    testing::{equal, text},
    thread::{self, Builder, LocalKey, thread_info},
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "threads",
    checks: &[
        ("a thread returns its value", joined),
        ("a thread goes on without its handle", detached),
        ("a finished thread is known without waiting", finished),
        ("each thread has an id of its own", ids),
        ("a thread has the name it was given", named),
        ("a long name is cut, and no character of it", long_name),
        ("a name of too many bytes is refused", name_too_long),
        ("threads of a process can be listed", listed),
        ("threads of nobody can't be listed", nobody),
        ("a thread has the stack that it asks for", stack),
        ("a stack beyond all memory is refused", no_stack),
        ("a thread that overflows its stack ends the process", overflow),
        ("each thread has its own local values", locals),
        ("local values are dropped at the end", locals_dropped),
        ("vector registers are each thread's own", registers),
        ("the end of the last thread ends the process", last),
        ("exit ends all threads", exit_ends_all),
        ("threads of one process run on all CPUs", all_cpus),
        ("more processes than CPUs run in turn without a call", all_run),
    ],
    child,
};

fn child(deed: &str) -> i32 {
    match deed {
        "overflow" => {
            let deep = thread::spawn(|| deeper(u64::MAX));
            deep.map_or(1, |thread| i32::from(thread.join() == 0))
        }
        "exit" => {
            for _ in 0..3 {
                let _detached = thread::spawn(|| {
                    loop {
                        core::hint::spin_loop();
                    }
                });
            }
            thread::yield_now();
            7
        }
        _ => UNKNOWN,
    }
}

#[inline(never)]
fn deeper(depth: u64) -> u64 {
    let page = core::hint::black_box([depth; 64]);
    if depth == 0 { 0 } else { deeper(depth - 1) + page.first().copied().unwrap_or(0) }
}

fn joined() -> Result<(), String> {
    let thread = thread::spawn(|| 42).map_err(text)?;
    equal(thread.join(), 42)
}

fn detached() -> Result<(), String> {
    static DONE: AtomicU32 = AtomicU32::new(0);
    drop(thread::spawn(|| DONE.store(1, SeqCst)).map_err(text)?);
    while DONE.load(SeqCst) == 0 {
        thread::yield_now();
    }
    Ok(())
}

fn finished() -> Result<(), String> {
    static GO: AtomicU32 = AtomicU32::new(0);
    let thread = thread::spawn(|| {
        while GO.load(SeqCst) == 0 {
            thread::yield_now();
        }
    })
    .map_err(text)?;
    equal(thread.is_finished(), false)?;
    GO.store(1, SeqCst);
    while !thread.is_finished() {
        thread::yield_now();
    }
    thread.join();
    Ok(())
}

fn ids() -> Result<(), String> {
    let own = thread::current_id();
    let threads: Result<Vec<_>, _> = (0..8).map(|_| thread::spawn(thread::current_id)).collect();
    let mut ids = Vec::new();
    for thread in threads.map_err(text)? {
        let id = thread.thread().id();
        equal(thread.join(), id)?;
        ids.push(id);
    }
    ids.push(own);
    ids.sort_unstable();
    ids.dedup();
    equal(ids.len(), 9)
}

fn named() -> Result<(), String> {
    let builder = Builder::new().name("worker".into());
    let thread = builder.spawn(|| thread::current().name().map(String::from)).map_err(text)?;
    equal(thread.thread().name(), Some("worker"))?;
    equal(thread.join().as_deref(), Some("worker"))?;
    equal(thread::current().name(), None)
}

fn long_name() -> Result<(), String> {
    // The sixteenth byte is in the middle of a character.
    let builder = Builder::new().name("fifteen bytes..\u{e9}t\u{e9}".into());
    let thread = builder.spawn(|| thread::current().name().map(String::from)).map_err(text)?;
    equal(thread.join().as_deref(), Some("fifteen bytes.."))
}

fn name_too_long() -> Result<(), String> {
    equal(sys::thread_name(b"seventeen bytes.."), Err(Errno::NAMETOOLONG))
}

fn listed() -> Result<(), String> {
    static GO: AtomicU32 = AtomicU32::new(0);
    let wait = || {
        while GO.load(SeqCst) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    };
    let one = Builder::new().name("one".into()).spawn(wait).map_err(text)?;
    let two = Builder::new().name("two".into()).spawn(wait).map_err(text)?;
    while thread_info(process::id(), two.thread().id()).map_err(text)?.is_none_or(|two| two.name[0] == 0) {
        thread::yield_now();
    }
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(info) = thread_info(process::id(), next).map_err(text)? {
        equal(info.pid, process::id())?;
        next = info.tid + 1;
        // A thread of an earlier check may still be on its way out.
        if ![thread::current_id(), one.thread().id(), two.thread().id()].contains(&info.tid) {
            continue;
        }
        found.push((info.tid, info.state, String::from_utf8_lossy(&info.name).replace('\0', "")));
    }
    let ids: Vec<u32> = found.iter().map(|(tid, ..)| *tid).collect();
    equal(ids, alloc::vec![thread::current_id(), one.thread().id(), two.thread().id()])?;
    let names: Vec<&str> = found.iter().map(|(_, _, name)| name.as_str()).collect();
    equal(names.last().copied(), Some("two"))?;
    equal(found.first().map(|(_, state, _)| *state), Some(THREAD_RUNNING))?;
    equal(found.iter().skip(1).all(|(_, state, _)| *state <= THREAD_WAITING), true)?;
    GO.store(1, SeqCst);
    one.join();
    two.join();
    Ok(())
}

fn nobody() -> Result<(), String> {
    equal(thread_info(1 << 30, 0), Err(Errno::SRCH))
}

fn stack() -> Result<(), String> {
    // 700 frames of more than 512 bytes: too deep for a usual stack.
    let thread = Builder::new().stack_size(4 << 20).spawn(|| deeper(5000)).map_err(text)?;
    equal(thread.join(), (1..=5000).sum())
}

fn no_stack() -> Result<(), String> {
    let refused = Builder::new().stack_size(usize::MAX).spawn(|| ());
    equal(refused.map(drop), Err(Errno::NOMEM))?;
    let refused = Builder::new().stack_size(1 << 46).spawn(|| ());
    equal(refused.map(drop), Err(Errno::NOMEM))
}

fn overflow() -> Result<(), String> {
    let status = crate::child(AREA.name, "overflow").status().map_err(text)?;
    equal(status.signal(), Some(11))
}

static COUNT: LocalKey<Cell<u32>> = LocalKey::new(|| Cell::new(1));

fn locals() -> Result<(), String> {
    static OTHER: LocalKey<String> = LocalKey::new(|| COUNT.with(|count| alloc::format!("{}", count.get())));
    COUNT.with(|count| count.set(10));
    let threads: Result<Vec<_>, _> = (0..4)
        .map(|turn| {
            thread::spawn(move || {
                for _ in 0..turn {
                    COUNT.with(|count| count.set(count.get() + 1));
                    thread::yield_now();
                }
                COUNT.with(Cell::get)
            })
        })
        .collect();
    for (turn, thread) in (0..).zip(threads.map_err(text)?) {
        equal(thread.join(), 1 + turn)?;
    }
    equal(COUNT.with(Cell::get), 10)?;
    equal(OTHER.with(String::clone).as_str(), "10")
}

fn locals_dropped() -> Result<(), String> {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    struct Noisy;
    impl Drop for Noisy {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, SeqCst);
        }
    }
    static KEY: LocalKey<Noisy> = LocalKey::new(|| Noisy);
    for _ in 0..3 {
        thread::spawn(|| KEY.with(|_| ())).map_err(text)?.join();
    }
    equal(DROPPED.load(SeqCst), 3)
}

fn registers() -> Result<(), String> {
    let sum = |start: f64| {
        let mut sum = start;
        for turn in 0..20_000 {
            sum += f64::from(turn) * 0.5;
            if turn % 2000 == 0 {
                thread::yield_now();
            }
        }
        sum.to_bits()
    };
    let threads: Result<Vec<_>, _> = (0..4).map(|own| thread::spawn(move || sum(f64::from(own)))).collect();
    for (own, thread) in (0..4).zip(threads.map_err(text)?) {
        let expected = (0..20_000).fold(f64::from(own), |sum, turn| sum + f64::from(turn) * 0.5);
        equal(thread.join(), expected.to_bits())?;
    }
    Ok(())
}

fn last() -> Result<(), String> {
    // A fork of a thread: there it is the only one, and its end is the process's.
    static PID: AtomicU32 = AtomicU32::new(0);
    let thread = thread::spawn(|| match process::fork() {
        Ok(process::Fork::Parent(child)) => PID.store(child.id(), SeqCst),
        Ok(process::Fork::Child) | Err(_) => {}
    });
    thread.map_err(text)?.join();
    let status = process::wait_any().map_err(text)?;
    equal((status.0.pid, status.code()), (PID.load(SeqCst), Some(0)))
}

fn exit_ends_all() -> Result<(), String> {
    equal(crate::child(AREA.name, "exit").status().map_err(text)?.code(), Some(7))
}

fn all_cpus() -> Result<(), String> {
    let cpus = system::system_info().map_err(text)?.cpus;
    let seen = Arc::new(AtomicU64::new(0));
    let barrier = Arc::new(Barrier::new(usize::try_from(cpus).unwrap_or(1)));
    let start = swos_ulib::time::Instant::now();
    let threads: Result<Vec<_>, _> = (0..cpus)
        .map(|_| {
            let (seen, barrier) = (seen.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                // Each computes until all CPUs were seen, or for too long.
                while seen.load(SeqCst).count_ones() < cpus && start.elapsed() < Duration::from_secs(20) {
                    let info = thread_info(process::id(), thread::current_id());
                    if let Ok(Some(info)) = info {
                        seen.fetch_or(1 << info.cpu, SeqCst);
                    }
                }
            })
        })
        .collect();
    threads.map_err(text)?.into_iter().for_each(thread::JoinHandle::join);
    equal(seen.load(SeqCst).count_ones(), cpus)
}

fn all_run() -> Result<(), String> {
    let runners = system::system_info().map_err(text)?.cpus as usize + 1;
    let shared = SharedMapping::anonymous(4096).map_err(text)?;
    let turns = shared.words().get(..runners).ok_or("more CPUs than a page has words")?;
    let mut children = Vec::new();
    for own in turns {
        match fork().map_err(text)? {
            Fork::Child => process::exit(take_turns(turns, own)),
            Fork::Parent(child) => children.push(child),
        }
    }
    for child in children {
        equal(child.wait().map_err(text)?.code(), Some(0))?;
    }
    Ok(())
}

/// Each computes until all others have come as far, or for too long.
fn take_turns(turns: &[AtomicU32], own: &AtomicU32) -> i32 {
    let start = swos_ulib::time::Instant::now();
    for turn in 1..=10 {
        own.store(turn, SeqCst);
        while turns.iter().any(|other| other.load(SeqCst) < turn) {
            if start.elapsed() > Duration::from_secs(20) {
                return 1;
            }
        }
    }
    0
}
