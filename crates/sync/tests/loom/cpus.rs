//! What CPUs tell each other: a thread that is ready, and registers that are saved.

use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};
use swos_sched::{Enter, Entity, RunQueue, Weight};
use swos_sync::{Lock, Rank};

use crate::explore;

const QUEUE: &Rank = &Rank::new(1, "run queue");

/// An interrupt that stays pending until it is taken. What was stored before it was sent is seen by who takes it: the
/// kernel has a barrier there (`send` of its `interrupts`).
#[derive(Default)]
pub(crate) struct Interrupt {
    pending: Mutex<bool>,
    sent: Condvar,
}

impl Interrupt {
    pub(crate) fn send(&self) {
        *self.pending.lock().unwrap() = true;
        self.sent.notify_one();
    }

    /// Sleeps until one is pending, and takes it.
    pub(crate) fn wait(&self) {
        let mut pending = self.pending.lock().unwrap();
        while !*pending {
            pending = self.sent.wait(pending).unwrap();
        }
        *pending = false;
    }
}

/// Whom `enqueue` kicks.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kick {
    /// Another CPU: it may have to make room.
    Always,
    /// A CPU that had nothing to do: itself, in an interrupt. It needs no more than this to wake up.
    Idle,
}

/// A CPU as others see it (`Shared` and `Flags` of `swos-kcore`).
struct Cpu {
    queue: Lock<RunQueue<u32>>,
    idle: AtomicBool,
    reschedule: AtomicBool,
    kick: Interrupt,
}

impl Cpu {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: Lock::new(QUEUE, RunQueue::new(0)),
            idle: AtomicBool::new(false),
            reschedule: AtomicBool::new(false),
            kick: Interrupt::default(),
        })
    }

    /// As `enqueue`, on another CPU.
    fn enqueue(&self, item: u32, kick: Kick) {
        self.queue.lock().enqueue(&mut Entity::new(Weight::NORMAL), item, Enter::Woken);
        self.reschedule.store(true, Ordering::SeqCst);
        if kick == Kick::Always || self.idle.load(Ordering::SeqCst) {
            self.kick.send();
        }
    }

    /// As `dispatch` with `next_thread` and `go_idle`, and `on_kick`: the next thread, after as much sleep as need be.
    fn run(&self) -> u32 {
        loop {
            self.idle.store(false, Ordering::SeqCst);
            self.reschedule.store(false, Ordering::SeqCst);
            if let Some(item) = self.queue.lock().pick() {
                return item;
            }
            self.idle.store(true, Ordering::SeqCst);
            if self.reschedule.load(Ordering::SeqCst) {
                continue;
            }
            self.kick.wait();
            self.reschedule.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn no_thread_is_left_in_the_queue_of_a_cpu_that_sleeps() {
    for kick in [Kick::Always, Kick::Idle] {
        explore(3, move || {
            let cpu = Cpu::new();
            let other = cpu.clone();
            let waker = thread::spawn(move || (0..2).for_each(|item| other.enqueue(item, kick)));
            // loom fails the model if this sleeps for ever.
            assert_eq!(cpu.run() + cpu.run(), 1);
            waker.join().unwrap();
        });
    }
}

/// The saved registers of a thread (`Context` of `swos-arch`).
struct Context {
    registers: UnsafeCell<u64>,
    running: AtomicU64,
}

impl Context {
    fn take(&self) {
        while self.running.load(Ordering::Acquire) != 0 {
            thread::yield_now();
        }
        self.running.store(1, Ordering::Relaxed);
    }

    fn put(&self) {
        self.running.store(0, Ordering::Release);
    }
}

/// Two CPUs that run one thread in turn.
struct Machine {
    queue: Lock<RunQueue<u32>>,
    context: Context,
}

impl Machine {
    /// As the trap entry and `next` of the kernel: the thread is in the queue before its registers are saved.
    fn leave(&self) {
        self.queue.lock().enqueue(&mut Entity::new(Weight::NORMAL), 0, Enter::Preempted);
        // loom's cell fails the model if two accesses are not ordered.
        self.context.registers.with_mut(|_| ());
        self.context.put();
    }

    /// As `next` of the kernel. Whether there was a thread.
    fn enter(&self) -> bool {
        let found = self.queue.lock().pick().is_some();
        if found {
            self.context.take();
            self.context.registers.with_mut(|_| ());
        }
        found
    }
}

#[test]
fn registers_are_saved_before_another_cpu_has_them() {
    explore(3, || {
        let machine = Arc::new(Machine {
            queue: Lock::new(QUEUE, RunQueue::new(0)),
            // The first CPU runs the thread.
            context: Context { registers: UnsafeCell::new(0), running: AtomicU64::new(1) },
        });
        let other = machine.clone();
        let second = thread::spawn(move || {
            let entered = other.enter();
            if entered {
                other.leave();
            }
            entered
        });
        machine.leave();
        let again = machine.enter();
        assert!(second.join().unwrap() || again, "the thread is lost");
    });
}
