//! What a process used, and what its children did that were waited for.

use core::sync::atomic::{AtomicU64, Ordering};

/// Sums that outlive the address spaces and threads that they are about.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    cpu_ns: AtomicU64,
    /// Of spaces that are gone.
    faults: AtomicU64,
    children_cpu_ns: AtomicU64,
    children_faults: AtomicU64,
}

impl Usage {
    /// CPU time, in nanoseconds.
    #[inline]
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.cpu_ns.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn add_cpu(&self, nanoseconds: u64) {
        self.cpu_ns.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Page faults in spaces that are gone.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    pub(crate) fn add_faults(&self, count: u64) {
        self.faults.fetch_add(count, Ordering::Relaxed);
    }

    /// CPU time and page faults of the children that were waited for, and theirs.
    pub(crate) fn of_children(&self) -> (u64, u64) {
        (self.children_cpu_ns.load(Ordering::Relaxed), self.children_faults.load(Ordering::Relaxed))
    }

    /// A child was waited for: it is over, so its sums are final.
    pub(crate) fn add_child(&self, child: &Self) {
        let (cpu, faults) = child.of_children();
        self.children_cpu_ns.fetch_add(child.cpu_ns() + cpu, Ordering::Relaxed);
        self.children_faults.fetch_add(child.faults() + faults, Ordering::Relaxed);
    }
}
