//! The kernel's hand-overs between CPUs, in small: how waiting, waking and stealing use locks.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};
use swos_futex::{ANY, FutexTable, SeededHash};
use swos_sched::{Enter, Entity, RunQueue, Weight};
use swos_sync::{Lock, Rank};

use crate::explore;

const WAITS: &Rank = &Rank::new(1, "waits");
const THREAD: &Rank = &Rank::new(2, "thread");
const QUEUE: &Rank = &Rank::new(3, "run queue");

/// What the kernel knows of a thread that waits.
#[derive(Default)]
struct State {
    stopped: bool,
    /// Woken before it stopped.
    woken: bool,
    /// Times it was made ready.
    ready: u32,
}

/// One futex, one thread, as the kernel runs them.
struct Kernel {
    word: AtomicU32,
    waits: Lock<FutexTable<u32, (), SeededHash>>,
    state: Lock<State>,
}

impl Kernel {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU32::new(0),
            waits: Lock::new(WAITS, FutexTable::new(SeededHash::new([1, 2]))),
            state: Lock::new(THREAD, State::default()),
        })
    }

    /// Waits while the word is 0, as `futex_wait` and `stop`: registers, looks, then stops unless woken between. Whether it
    /// stopped.
    fn wait(&self) -> bool {
        let id = self.waits.lock().wait(7, (), ANY).unwrap();
        if self.word.load(Ordering::Relaxed) != 0 {
            self.waits.lock().remove(id);
            return false;
        }
        let mut state = self.state.lock();
        if state.woken {
            return false;
        }
        state.stopped = true;
        true
    }

    /// As `wake` and `make_ready`: takes the waiter out and makes it ready, or notes the wake-up for it to find.
    fn wake(&self) {
        let woken = self.waits.lock().wake(&7, 1, ANY).next();
        if woken.is_some() {
            let mut state = self.state.lock();
            if state.stopped {
                state.stopped = false;
                state.ready += 1;
            } else {
                state.woken = true;
            }
        }
    }
}

#[test]
fn no_wake_up_is_lost() {
    explore(3, || {
        let kernel = Kernel::new();
        let other = kernel.clone();
        let waker = thread::spawn(move || {
            other.word.store(1, Ordering::Relaxed);
            other.wake();
        });
        let stopped = kernel.wait();
        waker.join().unwrap();
        let state = kernel.state.lock();
        assert!(!state.stopped, "sleeps for ever");
        assert_eq!(state.ready, u32::from(stopped));
    });
}

#[test]
fn one_waiter_is_made_ready_once_by_two_wakers() {
    explore(3, || {
        let kernel = Kernel::new();
        assert!(kernel.wait());
        let other = kernel.clone();
        let waker = thread::spawn(move || other.wake());
        kernel.wake();
        waker.join().unwrap();
        assert_eq!(kernel.state.lock().ready, 1);
    });
}

#[test]
fn a_thread_that_is_stolen_while_another_is_picked_runs_once() {
    explore(3, || {
        let queue = Arc::new(Lock::new(QUEUE, RunQueue::new(0)));
        for item in 0..2_u32 {
            queue.lock().enqueue(&mut Entity::new(Weight::NORMAL), item, Enter::New);
        }
        let victim = queue.clone();
        let thief = thread::spawn(move || {
            // Two locks, never held together.
            let stolen = victim.lock().steal(|_| true)?;
            let own = Lock::new(QUEUE, RunQueue::new(1));
            own.lock().enqueue_stolen(&mut Entity::new(Weight::NORMAL), stolen);
            own.into_inner().pick()
        });
        let mine = queue.lock().pick();
        let theirs = thief.join().unwrap();
        let left = queue.lock().pick();
        let mut all: Vec<u32> = [mine, theirs, left].into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
    });
}
