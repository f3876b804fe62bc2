//! What locks stand on: the hardware's atomics and the kernel's futexes; under `cfg(loom)` loom's, and a model of the calls.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(loom))]
pub(crate) use swos_sys::{futex_wait, futex_wake};

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub(crate) use model::{futex_wait, futex_wake};

/// Memory that several threads may reach. Who dereferences the pointer shows that no other access conflicts; loom's
/// cell proves it for every interleaving of a model.
#[cfg(loom)]
pub(crate) type SharedCell<T> = loom::cell::UnsafeCell<T>;

/// Memory that several threads may reach. Who dereferences the pointer shows that no other access conflicts.
#[cfg(not(loom))]
#[derive(Debug, Default)]
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
}
