//! Threads.

use alloc::{boxed::Box, sync::Arc};

use swos_abi::Errno;
use swos_rt::{lock::Mutex, thread::Thread};
pub use swos_rt::{
    scope::{Scope, ScopedJoinHandle, scope},
    thread::current_id,
};
pub use swos_sys::yield_now;

use crate::time::Duration;

/// A started thread. Dropped, it goes on by itself.
#[derive(Debug)]
pub struct JoinHandle<T> {
    thread: Thread,
    result: Arc<Mutex<Option<T>>>,
}

/// Starts a thread that runs `run`.
///
/// # Errors
///
/// [`Errno::NOMEM`], [`Errno::AGAIN`] at a limit.
pub fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, Errno> {
    let result = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&result);
    let thread = swos_rt::thread::spawn(Box::new(move || *slot.lock() = Some(run())))?;
    Ok(JoinHandle { thread, result })
}

impl<T> JoinHandle<T> {
    /// Waits for the thread's end and returns what it returned.
    ///
    /// # Panics
    ///
    /// Never: a thread that does not return ends the process.
    #[expect(clippy::expect_used, reason = "a thread either stores its result or ends the process")]
    pub fn join(self) -> T {
        self.thread.join();
        self.result.lock().take().expect("a thread that ended has stored its result")
    }
}

/// Sleeps at least so long.
pub fn sleep(duration: Duration) {
    let _never_fails = swos_sys::sleep(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}
