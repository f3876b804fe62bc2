//! Threads that may borrow: all of them have ended before what they borrow ends.

use alloc::{boxed::Box, sync::Arc};
use core::marker::PhantomData;

use swos_abi::Errno;

use crate::{
    lock::Mutex,
    running::Running,
    thread::{self, Thread},
};

/// Where threads that borrow are started; made by [`scope`] alone.
///
/// `'scope` is the time in which threads can be started and run, `'env` that of what they borrow. Both are invariant: neither
/// can be made shorter to borrow what ends earlier, or longer.
#[derive(Debug)]
pub struct Scope<'scope, 'env: 'scope> {
    running: Arc<Running>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Calls `run` with a scope in which it can start threads that borrow, and returns when all of those have ended.
///
/// ```no_run
/// use swos_rt::scope::scope;
///
/// let mut halves = [3, 4];
/// let (left, right) = halves.split_at_mut(1);
/// scope(|scope| {
///     let left = scope.spawn(|| { left[0] *= 2; left[0] })?;
///     right[0] *= 2;
///     assert_eq!(left.join(), 6);
///     Ok::<(), swos_abi::Errno>(())
/// })?;
/// assert_eq!(halves, [6, 8]);
/// # Ok::<(), swos_abi::Errno>(())
/// ```
///
/// What ends inside of the scope cannot be borrowed:
///
/// ```compile_fail,E0373
/// swos_rt::scope::scope(|scope| {
///     let inside = 1;
///     let _thread = scope.spawn(|| println!("{inside}"));
/// });
/// ```
///
/// Nor can a thread's handle leave it:
///
/// ```compile_fail
/// let escaped = swos_rt::scope::scope(|scope| scope.spawn(|| 1));
/// ```
///
/// Nor can two threads change the same:
///
/// ```compile_fail,E0499
/// let mut sum = 0;
/// swos_rt::scope::scope(|scope| {
///     let _one = scope.spawn(|| sum += 1);
///     let _two = scope.spawn(|| sum += 1);
/// });
/// ```
///
/// Nor can what a thread changes be read before the scope ends:
///
/// ```compile_fail,E0506
/// let mut sum = 0;
/// swos_rt::scope::scope(|scope| {
///     let _one = scope.spawn(|| println!("{sum}"));
///     sum += 1;
/// });
/// ```
pub fn scope<'env, T>(run: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
    let running = Arc::new(Running::new());
    // Waits also if `run` unwinds, as it may on the host.
    let _all_ended = WaitAtEnd(Arc::clone(&running));
    let scope = Scope { running, scope: PhantomData, env: PhantomData };
    run(&scope)
}

struct WaitAtEnd(Arc<Running>);

impl Drop for WaitAtEnd {
    fn drop(&mut self) {
        self.0.wait();
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread that runs `run`, which may borrow what outlives the scope, and start threads of the scope itself.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`], [`Errno::AGAIN`] at a limit.
    pub fn spawn<T: Send + 'scope>(
        &'scope self,
        run: impl FnOnce() -> T + Send + 'scope,
    ) -> Result<ScopedJoinHandle<'scope, T>, Errno> {
        let result = Arc::new(Mutex::new(None));
        let (slot, running) = (Arc::clone(&result), Arc::clone(&self.running));
        let body = move || {
            *slot.lock() = Some(run());
            // Nobody may be there to take the result; it must not outlive the scope either.
            drop(slot);
            running.leave();
        };
        self.running.enter();
        // SAFETY: `scope` does not return before `leave`, after which the thread touches nothing that borrows: `run` was consumed
        // by its call, its result is the handle's or dropped, and `running` borrows nothing. If no thread starts, `body` is
        // dropped before this returns.
        let thread = unsafe { thread::spawn_borrowing(Box::new(body), thread::LENGTH) };
        let thread = thread.inspect_err(|_| self.running.leave())?;
        Ok(ScopedJoinHandle { thread, result, scope: PhantomData })
    }
}

/// A started thread of a scope. Dropped, it goes on by itself, until the end of the scope at most.
#[derive(Debug)]
pub struct ScopedJoinHandle<'scope, T> {
    thread: Thread,
    result: Arc<Mutex<Option<T>>>,
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the thread's end and returns what it returned.
    ///
    /// # Panics
    ///
    /// Never: a thread that does not return ends the process.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a thread either stores its result or ends the process")]
    pub fn join(self) -> T {
        self.thread.join();
        self.result.lock().take().expect("a thread that ended has stored its result")
    }
}
