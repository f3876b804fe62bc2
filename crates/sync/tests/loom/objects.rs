//! Objects that several handles name (`OpenCount` of `swos-kcore`).

use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};
use swos_sync::{Lock, Rank};

use crate::explore;

const HANDLES: &Rank = &Rank::new(1, "handles");

/// An object, and the handle table of the process that opened it: whether its handle is there.
struct Object {
    handles: Lock<bool>,
    count: AtomicU32,
    state: UnsafeCell<u32>,
    closed: AtomicU32,
}

impl Object {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            handles: Lock::new(HANDLES, true),
            count: AtomicU32::new(1),
            state: UnsafeCell::new(0),
            closed: AtomicU32::new(0),
        })
    }

    /// As `handle_duplicate` and `pass_handles`: counts while the table shows that it is open. Whether it did.
    fn open_again(&self) -> bool {
        let handles = self.handles.lock();
        if *handles {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        *handles
    }

    /// As `close_object`, of a handle that is in no table any more.
    fn close(&self) {
        // loom's cell fails the model if the last close is not ordered after all use.
        self.state.with(|_| ());
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.closed.fetch_add(1, Ordering::Relaxed);
            self.state.with_mut(|_| ());
        }
    }
}

#[test]
fn the_last_of_two_handles_closes() {
    explore(3, || {
        let object = Object::new();
        assert!(object.open_again());
        let other = object.clone();
        let thread = thread::spawn(move || other.close());
        object.close();
        thread.join().unwrap();
        assert_eq!(object.closed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_handle_that_is_copied_while_it_is_closed_names_an_open_object_or_nothing() {
    explore(3, || {
        let object = Object::new();
        let other = object.clone();
        let thread = thread::spawn(move || {
            let copied = other.open_again();
            if copied {
                assert_eq!(other.closed.load(Ordering::Relaxed), 0);
                other.close();
            }
        });
        *object.handles.lock() = false;
        object.close();
        thread.join().unwrap();
        assert_eq!(object.closed.load(Ordering::Relaxed), 1);
    });
}
