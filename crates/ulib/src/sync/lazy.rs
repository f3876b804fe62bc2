//! A value that is made when it is first looked at.

use core::{fmt, ops::Deref};

use swos_rt::{lock::Mutex, once::OnceLock};

/// A value that is made when it is first looked at, once.
///
/// ```
/// use swos_ulib::sync::LazyLock;
///
/// static PRIMES: LazyLock<Vec<u32>> = LazyLock::new(|| vec![2, 3, 5]);
/// assert_eq!(PRIMES.len(), 3);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    init: Mutex<Option<F>>,
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// One whose value `init` will make.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(init: F) -> Self {
        Self { value: OnceLock::new(), init: Mutex::new(Some(init)) }
    }

    /// One whose value `init` will make; loom's atomics have no constant form.
    #[cfg(loom)]
    #[must_use]
    pub fn new(init: F) -> Self {
        Self { value: OnceLock::new(), init: Mutex::new(Some(init)) }
    }

    /// The value, made now if nobody looked before. An `init` that looks itself waits for ever.
    ///
    /// # Panics
    ///
    /// Never: what makes the value is there until it has made it.
    #[inline]
    #[expect(clippy::expect_used, reason = "taken only by the function that runs once")]
    pub fn force(this: &Self) -> &T {
        this.value.get_or_init(|| {
            let init = this.init.lock().take();
            init.expect("taken only here, once")()
        })
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazyLock").field(&self.value.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_and_only_when_looked_at() {
        let made = core::cell::Cell::new(0);
        let lazy = LazyLock::new(|| made.replace(made.get() + 1));
        assert_eq!(format!("{:?}", LazyLock::<u8>::new(|| 1)), "LazyLock(None)");
        assert_eq!(made.get(), 0);
        assert_eq!((*lazy, *LazyLock::force(&lazy)), (0, 0));
        assert_eq!(made.get(), 1);
    }
}
