//! Values of which each thread has its own.

use alloc::{boxed::Box, vec::Vec};
use core::{
    any::Any,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A value that each thread has its own of, made when the thread first asks; dropped at the thread's end, the first
/// thread's never.
///
/// Where there is no kernel nobody can tell threads apart, so there each use has a fresh value.
#[derive(Debug)]
pub struct LocalKey<T: 'static> {
    make: fn() -> T,
    /// Which of a thread's values, counted from 1; 0 = not chosen yet.
    index: AtomicUsize,
}

/// A thread's values, by the keys' indices.
pub(crate) struct Locals(Vec<Option<NonNull<dyn Any>>>);

impl Locals {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Drops all values, and those that their ends make anew, if that comes to an end.
    pub(crate) fn end(&mut self) {
        const ROUNDS: u32 = 8;
        for _ in 0..ROUNDS {
            let values = core::mem::take(&mut self.0);
            if values.is_empty() {
                return;
            }
            for value in values.into_iter().flatten() {
                // SAFETY: it was a box, is in no list any more, and nobody is in `with` at the end of the thread.
                drop(unsafe { Box::from_raw(value.as_ptr()) });
            }
        }
    }
}

impl<T: 'static> LocalKey<T> {
    /// A key whose values `make` makes.
    #[must_use]
    pub const fn new(make: fn() -> T) -> Self {
        Self { make, index: AtomicUsize::new(0) }
    }

    fn index(&self) -> usize {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        match self.index.load(Relaxed) {
            0 => {
                let new = LAST.fetch_add(1, Relaxed) + 1;
                self.index.compare_exchange(0, new, Relaxed, Relaxed).map_or_else(|chosen| chosen, |_| new)
            }
            chosen => chosen,
        }
    }

    /// Calls `act` with the calling thread's value.
    #[cfg(target_os = "none")]
    pub fn with<R>(&'static self, act: impl FnOnce(&T) -> R) -> R {
        let index = self.index();
        let locals = crate::thread::own_locals();
        // SAFETY: the pointer is good for this thread, and the reference is gone before anything else is called.
        let found = unsafe { &*locals }.0.get(index).copied().flatten();
        let value = found.unwrap_or_else(|| {
            // It may ask for other values, and for this one: then the later one stays, and the other is never dropped.
            let new: Box<dyn Any> = Box::new((self.make)());
            let new = NonNull::from(Box::leak(new));
            // SAFETY: as above; nothing is called while the reference lives but the allocator.
            let values = unsafe { &mut (*locals).0 };
            if values.len() <= index {
                values.resize(index + 1, None);
            }
            if let Some(slot) = values.get_mut(index) {
                *slot = Some(new);
            }
            new
        });
        // SAFETY: a value lives until the thread's end, which does not come while this function runs on it; only shared references
        // to it are ever made.
        match unsafe { value.as_ref() }.downcast_ref::<T>() {
            Some(value) => act(value),
            None => act(&(self.make)()),
        }
    }

    /// Calls `act` with a fresh value.
    #[cfg(not(target_os = "none"))]
    pub fn with<R>(&'static self, act: impl FnOnce(&T) -> R) -> R {
        let _chosen = self.index();
        act(&(self.make)())
    }
}
