//! What happens once: a function, and a value that is set for good. Over a futex; when done, a look costs one load.

use swos_abi::TIMEOUT_NEVER;
use swos_sys::FUTEX_ANY;

use crate::atomics::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    SharedCell, futex_wait, futex_wake,
};

const NEW: u32 = 0;
const RUNNING: u32 = 1;
const DONE: u32 = 2;
/// Not done, and somebody may be waiting in the kernel.
const AWAITED: u32 = 4;

/// Runs a function at most once, however many threads ask.
///
/// ```
/// use swos_rt::once::Once;
///
/// static START: Once = Once::new();
/// START.call_once(|| println!("seen once"));
/// START.call_once(|| unreachable!());
/// assert!(START.is_completed());
/// ```
#[derive(Debug)]
pub struct Once {
    state: AtomicU32,
}

impl Once {
    /// One that did not run yet.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { state: AtomicU32::new(NEW) }
    }

    /// One that did not run yet; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { state: AtomicU32::new(NEW) }
    }

    /// Runs `run` if no call did, and returns when one call's function has returned: what it wrote is seen from here on.
    ///
    /// A function that asks for its own `Once` waits for ever.
    #[inline]
    pub fn call_once(&self, run: impl FnOnce()) {
        if !self.is_completed() {
            self.call_slow(run);
        }
    }

    /// Whether a function has run to its end; what it wrote is seen then.
    #[inline]
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.state.load(Acquire) == DONE
    }

    /// Waits until a function has run to its end, also if none was started yet.
    pub fn wait(&self) {
        loop {
            let state = self.state.load(Acquire);
            if state == DONE {
                return;
            }
            let announced = state | AWAITED;
            if state == announced || self.state.compare_exchange(state, announced, Relaxed, Relaxed).is_ok() {
                let _changed_or_woken = futex_wait(&self.state, announced, TIMEOUT_NEVER, FUTEX_ANY);
            }
        }
    }

    #[cold]
    fn call_slow(&self, run: impl FnOnce()) {
        if self.starts() {
            run();
            if self.state.swap(DONE, Release) & AWAITED != 0 {
                let _woken = futex_wake(&self.state, u32::MAX, FUTEX_ANY);
            }
        } else {
            self.wait();
        }
    }

    /// Makes the state say that the function runs, unless it did before. Who waits already is woken at its end.
    fn starts(&self) -> bool {
        let mut state = self.state.load(Relaxed);
        while state & !AWAITED == NEW {
            match self.state.compare_exchange(state, state | RUNNING, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

/// A value that is set once, and shared from then on.
///
/// ```
/// use swos_rt::once::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
/// assert_eq!(NAME.get(), None);
/// assert_eq!(NAME.get_or_init(|| "swos".to_owned()), "swos");
/// assert_eq!(NAME.set("other".to_owned()), Err("other".to_owned()));
/// ```
#[derive(Debug)]
pub struct OnceLock<T> {
    once: Once,
    /// Written by the function that `once` runs, only read after it.
    value: SharedCell<Option<T>>,
}

// SAFETY: one thread sets the value, others may take it out or drop it (`Send`); all have references at once (`Sync`).
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// One without a value.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { once: Once::new(), value: SharedCell::new(None) }
    }

    /// One without a value; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { once: Once::new(), value: SharedCell::new(None) }
    }

    /// The value, if it was set.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: the only write came before the end of `once`, which we saw; from then on there are shared references only.
        self.value.with(|value| unsafe { (*value).as_ref() })
    }

    /// Sets the value. If there is one already, or another thread comes first, waits for that.
    ///
    /// # Errors
    ///
    /// The value that was not taken, as there is another.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.once.call_once(|| self.fill(value.take()));
        value.map_or(Ok(()), Err)
    }

    /// The value; `init` makes it if nobody has, while others who ask wait. An `init` that asks waits for ever.
    ///
    /// # Panics
    ///
    /// Never: the value is set when this looks.
    #[inline]
    #[expect(clippy::expect_used, reason = "what runs once sets the value, or ends the process")]
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        self.once.call_once(|| self.fill(Some(init())));
        self.get().expect("a value that was set")
    }

    /// Waits until the value is set.
    ///
    /// # Panics
    ///
    /// Never: the value is set when this looks.
    #[expect(clippy::expect_used, reason = "what runs once sets the value, or ends the process")]
    pub fn wait(&self) -> &T {
        self.once.wait();
        self.get().expect("a value that was set")
    }

    /// The value, if it was set, when nobody shares this any more.
    #[must_use]
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Called by the one function that `once` runs.
    fn fill(&self, value: Option<T>) {
        // SAFETY: only `set` and `get_or_init` call this, from inside the function that runs once; nobody reads before its end.
        self.value.with_mut(|place| unsafe { *place = value });
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
