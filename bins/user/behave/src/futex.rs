//! Futexes.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Release, SeqCst},
};

use swos_ulib::{
    abi::{CLOCK_MONOTONIC, Errno, Handle, Rights, TIMEOUT_NEVER},
    memory::{MemoryObject, Use},
    sync::{Condvar, Mutex},
    sys::{self, FUTEX_ANY, futex_requeue, futex_wait, futex_wait_until, futex_wake},
    testing::{equal, text},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "futex",
    checks: &[
        ("another value is told at once", other_value),
        ("a wait ends when its time is over", late),
        ("a wait ends at its deadline", deadline),
        ("a deadline that is past ends the wait at once", past),
        ("words and bits that make no sense are refused", senseless),
        ("waking where nobody waits wakes nobody", nobody),
        ("a wake reaches the number it names", count),
        ("a wake reaches those whose bits it names", bits),
        ("moved waiters are woken at the other word", moved),
        ("moving looks at the value first", moved_value),
        ("two processes meet at a word of a memory object", processes),
        ("a private word of a process is its own", private),
        ("a mutex lets one in at a time", mutex),
        ("a condition wakes all who wait for it", condition),
    ],
    child,
};

/// Under this number a child gets the object.
const GIVEN: Handle = Handle(3);

fn child(deed: &str) -> i32 {
    let Ok(mapping) = MemoryObject::from_handle(GIVEN).map(Use::Write) else { return 1 };
    let Some(word) = mapping.words().get(9) else { return 2 };
    match deed {
        "turns" => i32::from(turns(word, 1).is_err()),
        _ => UNKNOWN,
    }
}

/// Takes turns with another one who counts the same word.
fn turns(word: &AtomicU32, me: u32) -> Result<(), String> {
    for _ in 0..500 {
        loop {
            let now = word.load(Acquire);
            if now % 2 == me {
                break;
            }
            match futex_wait(word, now, TIMEOUT_NEVER, FUTEX_ANY) {
                Ok(()) | Err(Errno::AGAIN) => {}
                Err(other) => return Err(text(other)),
            }
        }
        word.fetch_add(1, Release);
        futex_wake(word, 1, FUTEX_ANY).map_err(text)?;
    }
    Ok(())
}

fn now() -> Result<u64, String> {
    sys::clock_get(CLOCK_MONOTONIC).map_err(text)
}

fn other_value() -> Result<(), String> {
    let word = AtomicU32::new(1);
    equal(futex_wait(&word, 0, TIMEOUT_NEVER, FUTEX_ANY), Err(Errno::AGAIN))?;
    equal(futex_wait_until(&word, 0, TIMEOUT_NEVER, FUTEX_ANY), Err(Errno::AGAIN))
}

fn late() -> Result<(), String> {
    let word = AtomicU32::new(0);
    let before = now()?;
    equal(futex_wait(&word, 0, 5_000_000, FUTEX_ANY), Err(Errno::TIMEDOUT))?;
    equal(now()? - before >= 5_000_000, true)
}

fn deadline() -> Result<(), String> {
    let word = AtomicU32::new(0);
    let at = now()? + 5_000_000;
    equal(futex_wait_until(&word, 0, at, FUTEX_ANY), Err(Errno::TIMEDOUT))?;
    equal(now()? >= at, true)
}

fn past() -> Result<(), String> {
    let word = AtomicU32::new(0);
    for at in [0, 1, now()?] {
        equal(futex_wait_until(&word, 0, at, FUTEX_ANY), Err(Errno::TIMEDOUT))?;
    }
    Ok(())
}

fn senseless() -> Result<(), String> {
    let word = AtomicU32::new(0);
    equal(futex_wait(&word, 0, 0, 0), Err(Errno::INVAL))?;
    equal(futex_wake(&word, 1, 0), Err(Errno::INVAL))?;
    let at = crate::region::Region::reserve(1).map_err(text)?;
    let address = u64::try_from(at.address(0)).map_err(text)?;
    let raw = crate::region::futex_raw;
    equal(raw(address), [Err(Errno::FAULT), Ok(0), Err(Errno::FAULT)])?;
    equal(raw(address + 2), [Err(Errno::INVAL); 3])?;
    equal(raw(1 << 60), [Err(Errno::FAULT); 3])
}

fn nobody() -> Result<(), String> {
    let word = AtomicU32::new(0);
    equal(futex_wake(&word, u32::MAX, FUTEX_ANY), Ok(0))?;
    equal(futex_requeue(&word, 0, 1, &AtomicU32::new(0), 1), Ok(0))
}

/// Threads that wait at one word, each for a bit of its own.
struct Crowd {
    words: Arc<[AtomicU32; 3]>,
    threads: Vec<JoinHandle<Result<(), Errno>>>,
}

impl Crowd {
    /// Starts them, and lets them wait.
    fn new(count: u32) -> Result<Self, String> {
        let words = Arc::new([const { AtomicU32::new(0) }; 3]);
        let mut threads = Vec::new();
        for number in 0..count {
            let words = words.clone();
            let wait = move || {
                let [gate, _, through] = &*words;
                let woken = futex_wait(gate, 0, TIMEOUT_NEVER, 1 << number);
                through.fetch_add(1, SeqCst);
                woken
            };
            threads.push(thread::spawn(wait).map_err(text)?);
        }
        // All of them wait here before anybody is woken, and not for a page of their program, say: who can be moved waits.
        let [gate, second, _] = &*words;
        let mut waiting = 0;
        while waiting < count {
            waiting += futex_requeue(gate, 0, 0, second, u32::MAX).map_err(text)?;
            thread::sleep(Duration::from_millis(1));
        }
        equal(futex_requeue(second, 0, 0, gate, u32::MAX), Ok(waiting))?;
        Ok(Self { words, threads })
    }

    fn gate(&self) -> &AtomicU32 {
        &self.words[0]
    }

    fn second(&self) -> &AtomicU32 {
        &self.words[1]
    }

    /// How many are through, once `expected` are, and others that were woken had time to run.
    fn through(&self, expected: u32) -> u32 {
        for _ in 0..10_000 {
            if self.words[2].load(SeqCst) >= expected {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(5));
        self.words[2].load(SeqCst)
    }

    /// Everybody was woken by now.
    fn join(self) -> Result<(), String> {
        self.threads.into_iter().try_for_each(|thread| equal(thread.join(), Ok(())))
    }
}

fn count() -> Result<(), String> {
    let crowd = Crowd::new(5)?;
    equal(futex_wake(crowd.gate(), 2, FUTEX_ANY), Ok(2))?;
    equal(crowd.through(2), 2)?;
    equal(futex_wake(crowd.gate(), u32::MAX, FUTEX_ANY), Ok(3))?;
    crowd.join()
}

fn bits() -> Result<(), String> {
    let crowd = Crowd::new(4)?;
    equal(futex_wake(crowd.gate(), u32::MAX, 1 << 20), Ok(0))?;
    equal(futex_wake(crowd.gate(), u32::MAX, 0b101), Ok(2))?;
    equal(crowd.through(2), 2)?;
    equal(futex_wake(crowd.gate(), u32::MAX, FUTEX_ANY), Ok(2))?;
    crowd.join()
}

fn moved() -> Result<(), String> {
    let crowd = Crowd::new(6)?;
    equal(futex_requeue(crowd.gate(), 0, 1, crowd.second(), 3), Ok(4))?;
    equal(crowd.through(1), 1)?;
    equal(futex_wake(crowd.gate(), u32::MAX, FUTEX_ANY), Ok(2))?;
    equal(crowd.through(3), 3)?;
    equal(futex_wake(crowd.second(), u32::MAX, FUTEX_ANY), Ok(3))?;
    crowd.join()
}

fn moved_value() -> Result<(), String> {
    let crowd = Crowd::new(2)?;
    equal(futex_requeue(crowd.gate(), 1, 1, crowd.second(), 1), Err(Errno::AGAIN))?;
    equal(crowd.through(0), 0)?;
    equal(futex_wake(crowd.gate(), u32::MAX, FUTEX_ANY), Ok(2))?;
    crowd.join()
}

fn processes() -> Result<(), String> {
    let object = MemoryObject::new(100).map_err(text)?;
    let mut command = crate::child(AREA.name, "turns");
    let running = command.handle(3, object.handle(), Rights::all()).spawn().map_err(text)?;
    let mapping = object.map(Use::Write).map_err(text)?;
    turns(mapping.words().get(9).ok_or("no such word")?, 0)?;
    equal(running.wait().map_err(text)?.code(), Some(0))
}

fn private() -> Result<(), String> {
    // Also in a process that shares memory, for a word that is not in it.
    let object = MemoryObject::new(100).map_err(text)?;
    let _mapping = object.map(Use::Write).map_err(text)?;
    count()?;
    moved()
}

fn mutex() -> Result<(), String> {
    let counter = Arc::new(Mutex::new(0));
    let count = |counter: Arc<Mutex<u32>>| (0..500).for_each(|_| *counter.lock() += 1);
    let threads: Result<Vec<_>, Errno> = (0..4)
        .map(|_| {
            let counter = counter.clone();
            thread::spawn(move || count(counter))
        })
        .collect();
    threads.map_err(text)?.into_iter().for_each(JoinHandle::join);
    let total = *counter.lock();
    equal(total, 2_000)
}

fn condition() -> Result<(), String> {
    let shared = Arc::new((Mutex::new(false), Condvar::new()));
    let wait = |shared: Arc<(Mutex<bool>, Condvar)>| {
        let mut open = shared.0.lock();
        while !*open {
            open = shared.1.wait(open);
        }
    };
    let threads: Result<Vec<_>, Errno> = (0..8)
        .map(|_| {
            let shared = shared.clone();
            thread::spawn(move || wait(shared))
        })
        .collect();
    let threads = threads.map_err(text)?;
    thread::sleep(Duration::from_millis(20));
    *shared.0.lock() = true;
    shared.1.notify_all();
    threads.into_iter().for_each(JoinHandle::join);
    Ok(())
}
