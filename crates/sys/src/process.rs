//! Processes, threads, futexes.

use core::{mem::size_of_val, sync::atomic::AtomicU32};

use swos_abi::{
    Capabilities, Errno, ExitRecord, Handle, SPAWN_GROUP, SPAWN_ROOT, SpawnArgs, SpawnHandle, WAIT_TIMEOUT,
};

use crate::{ThreadEntry, address, raw, register};

/// Bit set of a futex call that wakes, or is woken by, anybody.
pub const FUTEX_ANY: u32 = u32::MAX;

/// Ends the process with all its threads. Where there is no kernel it never returns either.
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: no addresses.
        let _never = unsafe { raw::exit(status) };
    }
}

/// Id of the process.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
#[inline]
pub fn getpid() -> Result<u32, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::getpid() }.map(id)
}

/// What `spawn` starts.
#[derive(Clone, Copy, Debug)]
pub struct Spawn<'a> {
    /// Open program, or [`Handle::NONE`] to name it by `path`.
    pub program: Handle,
    /// Its path.
    pub path: &'a [u8],
    /// Arguments, each ended by a zero byte.
    pub args: &'a [u8],
    /// Environment, each `NAME=value` ended by a zero byte.
    pub env: &'a [u8],
    /// Handles to give.
    pub handles: &'a [SpawnHandle],
    /// Capabilities to give at most.
    pub capabilities: Capabilities,
    /// Process group to enter, 0 = one of its own; `None` = the caller's.
    pub group: Option<u32>,
    /// Limit of memory in bytes, 0 = the caller's.
    pub memory_limit: u64,
    /// Limit of open handles, 0 = the caller's.
    pub handle_limit: u32,
    /// Limit of threads, 0 = the caller's.
    pub thread_limit: u32,
    /// The child's root; `None` = the caller's.
    pub root: Option<Handle>,
    /// Limit of CPU time in nanoseconds, 0 = the caller's.
    pub cpu_limit_ns: u64,
    /// Limit of processes, it and all that it starts, 0 = no other than the caller's.
    pub process_limit: u32,
}

/// Starts a program; returns its process id.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SPAWN`].
pub fn spawn(what: &Spawn<'_>) -> Result<u32, Errno> {
    let args = what.record();
    // SAFETY: the kernel reads the record and the slices that it names, each within its bounds.
    unsafe { raw::spawn(address(&raw const args), register(size_of_val(&args))) }.map(id)
}

/// Replaces the program of this process; returns only if that can't be, with what the kernel answers ([`swos_abi::NR_EXEC`]).
#[must_use]
pub fn exec(what: &Spawn<'_>) -> Errno {
    let args = what.record();
    // SAFETY: as for `spawn`; and what was in this process's memory is used by nobody once that is gone.
    match unsafe { raw::exec(address(&raw const args), register(size_of_val(&args))) } {
        Ok(_) => Errno::NOSYS,
        Err(errno) => errno,
    }
}

impl Spawn<'_> {
    #[expect(clippy::cast_possible_truncation, reason = "more than 2^32 handles do not exist")]
    fn record(&self) -> SpawnArgs {
        SpawnArgs {
            flags: (if self.root.is_some() { SPAWN_ROOT } else { 0 })
                | (if self.group.is_some() { SPAWN_GROUP } else { 0 }),
            program: self.program,
            path: address(self.path),
            path_len: register(self.path.len()),
            args: address(self.args),
            args_len: register(self.args.len()),
            env: address(self.env),
            env_len: register(self.env.len()),
            handles: address(self.handles),
            handle_count: self.handles.len() as u32,
            group: self.group.unwrap_or(0),
            capabilities: self.capabilities.bits(),
            memory_limit: self.memory_limit,
            handle_limit: self.handle_limit,
            thread_limit: self.thread_limit,
            root: self.root.unwrap_or(Handle::NONE),
            cpu_limit_ns: self.cpu_limit_ns,
            process_limit: self.process_limit,
            ..SpawnArgs::EMPTY
        }
    }
}

/// Makes a second process that goes on from here: 0 there, its id here.
///
/// Only the calling thread exists in the child. What other threads held at that moment (locks, the heap's too) is held there for
/// ever: whoever needs it there waits for ever.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_FORK`].
pub fn fork() -> Result<u32, Errno> {
    // SAFETY: no addresses. The child's memory is one that the process could have had with its other threads stopped somewhere
    // (the kernel copies it as at one moment), and threads that are stopped break no promise of Rust's.
    unsafe { raw::fork() }.map(id)
}

/// Waits for a child (`WAIT_ANY`, its id, or a process group) to end; `None` only with `WAIT_NO_HANG`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_WAIT`].
pub fn wait(pid: u64, flags: u32) -> Result<Option<ExitRecord>, Errno> {
    wait_until(pid, flags & !WAIT_TIMEOUT, 0)
}

/// The same; with `WAIT_TIMEOUT` at most `timeout_ns`.
///
/// # Errors
///
/// [`Errno::TIMEDOUT`], and as [`wait`].
pub fn wait_until(pid: u64, flags: u32, timeout_ns: u64) -> Result<Option<ExitRecord>, Errno> {
    let mut record = ExitRecord::default();
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    let ended = unsafe { raw::wait(pid, flags, address(&raw mut record), timeout_ns) }?;
    Ok((ended != 0).then_some(record))
}

/// Starts a thread at `entry` with `argument`, stack pointer `stack` and thread pointer `tls`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_THREAD_CREATE`].
///
/// # Safety
///
/// `stack` is the 16-byte-aligned end of memory that only the new thread uses until it has ended, and `entry` may
/// run with `argument` on another thread.
pub unsafe fn thread_create(
    entry: ThreadEntry,
    stack: usize,
    argument: usize,
    tls: usize,
) -> Result<u32, Errno> {
    let entry = register(entry as usize);
    // SAFETY: the caller vouches for stack and entry.
    unsafe { raw::thread_create(entry, register(stack), register(argument), register(tls)) }.map(id)
}

/// Ends the thread; then the kernel stores 0 to `clear` and wakes a waiter on it.
///
/// # Safety
///
/// `clear` lives until it has become 0, and the thread holds nothing that others need.
pub unsafe fn thread_exit(clear: *const AtomicU32) -> ! {
    loop {
        // SAFETY: the caller vouches for `clear`.
        let _never = unsafe { raw::thread_exit(address(clear)) };
    }
}

/// Id of the thread.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn gettid() -> Result<u32, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::gettid() }.map(id)
}

/// Lets other ready threads run first.
#[inline]
pub fn yield_now() {
    // SAFETY: no addresses.
    let _always_succeeds = unsafe { raw::yield_now() };
}

/// Sets the thread's priority, 0..=31; returns the old one.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_THREAD_PRIORITY`].
pub fn thread_priority(priority: u32) -> Result<u32, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::thread_priority(priority) }.map(id)
}

/// Waits while `word` is `expected`, at most `timeout_ns`.
///
/// # Errors
///
/// [`Errno::AGAIN`] if it is another value, [`Errno::TIMEDOUT`].
pub fn futex_wait(word: &AtomicU32, expected: u32, timeout_ns: u64, bitset: u32) -> Result<(), Errno> {
    // SAFETY: the kernel reads the word, atomically.
    unsafe { raw::futex_wait(address(word.as_ptr()), expected, timeout_ns, bitset) }.map(drop)
}

/// Wakes up to `count` waiters on `word`; returns how many.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_FUTEX_WAKE`].
pub fn futex_wake(word: &AtomicU32, count: u32, bitset: u32) -> Result<u32, Errno> {
    // SAFETY: the kernel uses the address as a name only.
    unsafe { raw::futex_wake(address(word.as_ptr()), count, bitset) }.map(id)
}

/// Waits while `word` is `expected`, until the monotonic clock shows `deadline_ns`.
///
/// # Errors
///
/// [`Errno::AGAIN`] if it is another value, [`Errno::TIMEDOUT`].
pub fn futex_wait_until(word: &AtomicU32, expected: u32, deadline_ns: u64, bitset: u32) -> Result<(), Errno> {
    // SAFETY: the kernel reads the word, atomically.
    unsafe { raw::futex_wait_until(address(word.as_ptr()), expected, deadline_ns, bitset) }.map(drop)
}

/// Wakes up to `wake` waiters on `word`, and lets up to `requeue` more wait on `target`; returns how many that were together.
///
/// # Errors
///
/// [`Errno::AGAIN`] if `word` is not `expected`.
pub fn futex_requeue(
    word: &AtomicU32,
    expected: u32,
    wake: u32,
    target: &AtomicU32,
    requeue: u32,
) -> Result<u32, Errno> {
    let (from, to) = (address(word.as_ptr()), address(target.as_ptr()));
    // SAFETY: the kernel reads the word, atomically, and uses the other address as a name only.
    unsafe { raw::futex_requeue(from, expected, wake, to, requeue) }.map(id)
}

/// The thread pointer, as `thread_create` was given it or [`set_thread_pointer`] set it; 0 where there is no kernel.
#[must_use]
#[inline]
pub fn thread_pointer() -> usize {
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    {
        let value: usize;
        // SAFETY: reads a register that EL0 may read.
        unsafe {
            core::arch::asm!("mrs {}, tpidr_el0", out(reg) value, options(nomem, nostack, preserves_flags))
        };
        value
    }
    #[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
    0
}

/// Sets the thread pointer of the calling thread.
pub fn set_thread_pointer(value: usize) {
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    // SAFETY: writes a register that is the program's own and that compiled code does not use: there is no `thread_local`.
    unsafe {
        core::arch::asm!("msr tpidr_el0, {}", in(reg) value, options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
    let _ = value;
}

#[expect(clippy::cast_possible_truncation, reason = "ids and counts have 32 bits")]
const fn id(value: u64) -> u32 {
    value as u32
}
