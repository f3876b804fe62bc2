//! A driver and its device over a virtqueue (`Ring` of `swos-mmio`).
//!
//! The device is as VirtIO 1.2 asks it to be (§2.7.7, §2.7.10, §2.7.13).

use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering, fence},
    },
    thread,
};

use crate::explore;

/// Do not tell me.
const SUPPRESS: u16 = 1;

/// A ring with one entry, so that each round uses the same places again.
#[derive(Default)]
struct Ring {
    descriptor: UnsafeCell<u64>,
    buffer: UnsafeCell<u64>,
    available: UnsafeCell<u16>,
    available_flags: AtomicU16,
    available_index: AtomicU16,
    used: UnsafeCell<u16>,
    used_flags: AtomicU16,
    used_index: AtomicU16,
}

impl Ring {
    /// `offer`, as the `index`-th.
    fn offer(&self, index: u16) {
        // loom's cells fail the model if two accesses are not ordered.
        self.buffer.with_mut(|_| ());
        self.descriptor.with_mut(|_| ());
        self.available.with_mut(|_| ());
        self.available_index.store(index, Ordering::Release);
    }

    /// `pop`, of the `index`-th.
    fn pop(&self, index: u16) -> bool {
        let returned = self.used_index.load(Ordering::Acquire) == index;
        if returned {
            self.used.with(|_| ());
            self.buffer.with(|_| ());
        }
        returned
    }

    /// `wants_notification`.
    fn wants_notification(&self) -> bool {
        fence(Ordering::SeqCst);
        self.used_flags.load(Ordering::Acquire) & SUPPRESS == 0
    }

    /// `set_interrupts(true)`.
    fn ask_for_interrupts(&self) {
        self.available_flags.store(0, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// The device: whether the `index`-th was offered.
    fn is_offered(&self, index: u16) -> bool {
        self.available_index.load(Ordering::Acquire) == index
    }

    /// The device: does what it was asked to, and returns it as the `index`-th.
    fn serve(&self, index: u16) {
        self.available.with(|_| ());
        self.descriptor.with(|_| ());
        self.buffer.with_mut(|_| ());
        self.used.with_mut(|_| ());
        self.used_index.store(index, Ordering::Release);
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

#[test]
fn entries_are_seen_whole_on_both_sides() {
    explore(3, || {
        let ring = Arc::new(Ring::default());
        let other = ring.clone();
        let device = thread::spawn(move || {
            for index in 1..=2 {
                wait_until(|| other.is_offered(index));
                other.serve(index);
            }
        });
        for index in 1..=2 {
            ring.offer(index);
            wait_until(|| ring.pop(index));
        }
        device.join().unwrap();
    });
}

#[test]
fn a_device_that_stops_looking_is_told() {
    explore(3, || {
        let ring = Arc::new(Ring::default());
        ring.used_flags.store(SUPPRESS, Ordering::Relaxed);
        let other = ring.clone();
        let device = thread::spawn(move || {
            other.used_flags.store(0, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            other.is_offered(1)
        });
        ring.offer(1);
        let told = ring.wants_notification();
        assert!(device.join().unwrap() || told, "the device sleeps on what it was given");
    });
}

#[test]
fn a_driver_that_stops_looking_is_interrupted() {
    explore(3, || {
        let ring = Arc::new(Ring::default());
        ring.available_flags.store(SUPPRESS, Ordering::Relaxed);
        ring.offer(1);
        let other = ring.clone();
        let device = thread::spawn(move || {
            other.serve(1);
            fence(Ordering::SeqCst);
            other.available_flags.load(Ordering::Relaxed) & SUPPRESS == 0
        });
        ring.ask_for_interrupts();
        let seen = ring.pop(1);
        assert!(device.join().unwrap() || seen, "the driver sleeps on what it got back");
    });
}
