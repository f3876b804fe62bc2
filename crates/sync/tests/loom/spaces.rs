//! Address spaces: who must forget a translation, and when tables can be freed.

use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering, fence},
    },
    thread,
};

use crate::{cpus::Interrupt, explore};

const HERE: u64 = 1 << 0;
const THERE: u64 = 1 << 1;

/// A table entry, and the CPUs that ran its space (`Space` of `swos-kcore`).
struct Space {
    entry: AtomicU64,
    ran: AtomicU64,
}

impl Space {
    /// As `select_space` and the first access: what this CPU's TLB holds then.
    fn select(&self, cpu: u64) -> u64 {
        self.ran.fetch_or(cpu, Ordering::SeqCst);
        // `set_user_tables`: no walk before that is seen.
        fence(Ordering::SeqCst);
        self.entry.load(Ordering::Relaxed)
    }

    /// As `Tables::unmap` with `SpaceTlb`: whether the other CPUs are told.
    fn unmap(&self, cpu: u64) -> bool {
        self.entry.store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.ran.load(Ordering::Relaxed) & !cpu != 0
    }
}

#[test]
fn a_cpu_that_may_hold_the_old_translation_is_told() {
    explore(3, || {
        let space = Arc::new(Space { entry: AtomicU64::new(1), ran: AtomicU64::new(HERE) });
        let other = space.clone();
        let second = thread::spawn(move || other.select(THERE));
        let told = space.unmap(HERE);
        let held = second.join().unwrap();
        assert!(told || held == 0, "translates to a frame that was given away");
    });
}

/// The space of a process that has ended (`Space::selected` of `swos-kcore`).
struct Dead {
    tables: UnsafeCell<u64>,
    selected: AtomicU64,
    kick: Interrupt,
}

impl Dead {
    /// As `free_space`: whether it is done.
    fn free(&self) -> bool {
        if self.selected.load(Ordering::SeqCst) != 0 {
            self.kick.send();
            return false;
        }
        // loom's cell fails the model if a walk is not ordered before.
        self.tables.with_mut(|_| ());
        true
    }

    /// A CPU that has it selected, and leaves it as `leave_dead_space` (kicked) or `select_space` (for another space).
    fn run(&self, kicked: bool) {
        self.tables.with(|_| ());
        if kicked {
            self.kick.wait();
        }
        // Here another root is selected: no more walks.
        self.selected.fetch_and(!THERE, Ordering::SeqCst);
    }
}

#[test]
fn tables_are_freed_when_no_cpu_walks_them() {
    for kicked in [true, false] {
        explore(3, move || {
            let dead = Arc::new(Dead {
                tables: UnsafeCell::new(0),
                selected: AtomicU64::new(THERE),
                kick: Interrupt::default(),
            });
            let other = dead.clone();
            let second = thread::spawn(move || other.run(kicked));
            while !dead.free() {
                thread::yield_now();
            }
            second.join().unwrap();
        });
    }
}
