//! Threads.

use alloc::{boxed::Box, string::String, sync::Arc};

use swos_abi::Errno;
pub use swos_abi::ThreadInfo;
use swos_rt::lock::Mutex;
pub use swos_rt::{
    local::LocalKey,
    scope::{Scope, ScopedJoinHandle, scope},
    thread::current_id,
};
pub use swos_sys::thread_info;
pub use swos_sys::yield_now;

use crate::time::{Duration, Instant};

/// A started thread. Dropped, it goes on by itself.
#[derive(Debug)]
pub struct JoinHandle<T> {
    running: swos_rt::thread::Thread,
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
    let running = swos_rt::thread::spawn(Box::new(move || *slot.lock() = Some(run())))?;
    let thread = Thread { id: running.id(), name: None };
    Ok(JoinHandle { running, thread, result })
}

/// A thread to start, with a name or a stack of its own.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
}

impl Builder {
    /// A thread like those of [`spawn`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names it. The kernel shows the first 16 bytes.
    #[must_use]
    pub fn name(self, name: String) -> Self {
        Self { name: Some(name), ..self }
    }

    /// Gives it a stack of at least so many bytes; 256 KiB less two pages otherwise.
    #[must_use]
    pub fn stack_size(self, bytes: usize) -> Self {
        Self { stack_size: Some(bytes), ..self }
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// As [`spawn`].
    pub fn spawn<T: Send + 'static>(
        self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, Errno> {
        let result = Arc::new(Mutex::new(None));
        let (slot, name) = (Arc::clone(&result), self.name.clone());
        let body = Box::new(move || {
            if let Some(name) = name {
                set_name(&name);
            }
            *slot.lock() = Some(run());
        });
        let running = match self.stack_size {
            Some(bytes) => swos_rt::thread::spawn_with_stack(body, bytes)?,
            None => swos_rt::thread::spawn(body)?,
        };
        let thread = Thread { id: running.id(), name: self.name };
        Ok(JoinHandle { running, thread, result })
    }
}

/// A thread, as others know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Thread {
    id: u32,
    name: Option<String>,
}

impl Thread {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Its name, if it was given one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// The calling thread. Its name is what the kernel shows: 16 bytes at most.
#[must_use]
pub fn current() -> Thread {
    let id = current_id();
    let known = thread_info(crate::process::id(), id).ok().flatten().filter(|known| known.tid == id);
    let name = known.and_then(|known| {
        let end = known.name.iter().position(|&byte| byte == 0).unwrap_or(known.name.len());
        let name = known.name.get(..end).filter(|name| !name.is_empty())?;
        Some(String::from_utf8_lossy(name).into_owned())
    });
    Thread { id, name }
}

/// Names the calling thread by the first 16 bytes of `name`, or as many as are whole characters.
pub fn set_name(name: &str) {
    let end = name.floor_char_boundary(swos_abi::THREAD_NAME_LEN);
    let _it_fits = swos_sys::thread_name(name.get(..end).unwrap_or("").as_bytes());
}

/// How many threads can run at the same time: CPUs of this machine.
#[must_use]
pub fn available_parallelism() -> usize {
    crate::system::system_info().map_or(1, |info| usize::try_from(info.cpus).unwrap_or(1))
}

impl<T> JoinHandle<T> {
    /// The thread.
    #[must_use]
    pub const fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Whether it has finished, so that [`join`](Self::join) hardly waits.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.running.is_finished()
    }

    /// Waits for the thread's end and returns what it returned.
    ///
    /// # Panics
    ///
    /// Never: a thread that does not return ends the process.
    #[expect(clippy::expect_used, reason = "a thread either stores its result or ends the process")]
    pub fn join(self) -> T {
        self.running.join();
        self.result.lock().take().expect("a thread that ended has stored its result")
    }
}

/// Sleeps at least so long, also if handlers of signals run meanwhile.
pub fn sleep(duration: Duration) {
    let mut left = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let end = Instant::now().as_nanos().saturating_add(left);
    while swos_sys::sleep(left) == Err(Errno::INTR) {
        left = end.saturating_sub(Instant::now().as_nanos());
    }
}
