//! The atomics in use: the hardware's, or loom's under `cfg(loom)`, which explores every interleaving.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Memory that several CPUs may reach. Who dereferences the pointer shows that no other access conflicts; loom's
/// cell proves it for every interleaving of a model.
#[cfg(loom)]
pub(crate) type SharedCell<T> = loom::cell::UnsafeCell<T>;

/// One turn of a waiting loop.
///
/// A CPU of the kernel always runs, so it spins. A thread of a host may be off its CPU while its turn has come, and
/// a waiter that spins then keeps it off for a whole time slice: there it yields.
#[inline]
pub(crate) fn spin() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(all(not(loom), target_os = "none"))]
    core::hint::spin_loop();
    #[cfg(all(not(loom), not(target_os = "none")))]
    std::thread::yield_now();
}

/// Memory that several CPUs may reach. Who dereferences the pointer shows that no other access conflicts.
#[cfg(not(loom))]
pub(crate) struct SharedCell<T: ?Sized>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> SharedCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

#[cfg(not(loom))]
impl<T: ?Sized> SharedCell<T> {
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }

    #[inline]
    pub(crate) const fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}
