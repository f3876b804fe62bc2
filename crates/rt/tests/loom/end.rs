//! The end of a thread: its stack is given back once, and used again only when nobody stands on it.

use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};
use swos_rt::{
    end::{End, Giver},
    lock::Mutex,
};

use crate::explore;

/// A thread with its stack, and the list of stacks that were given back.
struct Model {
    end: End,
    stack: UnsafeCell<u32>,
    kept: Mutex<bool>,
    given: AtomicU32,
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            end: End::new(),
            stack: UnsafeCell::new(0),
            kept: Mutex::new(false),
            given: AtomicU32::new(0),
        })
    }

    fn give(&self) {
        self.given.fetch_add(1, Ordering::Relaxed);
        *self.kept.lock() = true;
    }

    /// As `begin` and the kernel's `thread_exit`.
    fn run(&self) {
        // loom's cell fails the model if two accesses are not ordered.
        self.stack.with_mut(|_| ());
        if self.end.finish() == Giver::Us {
            self.give();
        }
        self.stack.with_mut(|_| ());
        self.end.leave();
    }

    /// As `spawn` when it looks for a stack.
    fn use_again(&self) -> bool {
        let mut kept = self.kept.lock();
        let taken = *kept && self.end.has_left();
        if taken {
            *kept = false;
            self.stack.with_mut(|_| ());
        }
        taken
    }
}

#[test]
fn a_joined_thread_has_left_its_stack() {
    explore(3, || {
        let model = Model::new();
        let other = model.clone();
        let thread = thread::spawn(move || other.run());
        model.end.join();
        // What the thread wrote is seen by who joins it.
        model.stack.with_mut(|_| ());
        model.give();
        assert!(model.use_again());
        thread.join().unwrap();
        assert_eq!(model.given.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn of_a_detached_thread_one_side_gives_the_stack_back() {
    explore(3, || {
        let model = Model::new();
        let other = model.clone();
        let thread = thread::spawn(move || other.run());
        if model.end.detach() == Giver::Us {
            model.give();
        }
        let early = model.use_again();
        thread.join().unwrap();
        assert_eq!(model.given.load(Ordering::Relaxed), 1);
        assert!(early != model.use_again());
    });
}
