//! The calls of the kernel as functions: the only place of a program with `svc`, and all EL0 assembly.
//!
//! [`raw`] has one stub per row of [`swos_abi::CALLS`], in registers and addresses, `unsafe` because an address may be
//! wrong. The functions beside it take slices and records and are safe wherever the kernel keeps the promise of
//! its table: it reads and writes only the memory that a call names.
//!
//! **Invariant:** every row of the table has a stub of the same name with the same argument types (a test compares
//! them). **Invariant:** a call changes x0 and the memory it names, nothing else.
//!
//! On any target but `aarch64-unknown-none` there is no kernel below: calls answer [`Errno::NOSYS`], so that what is built
//! on this crate can be checked on the host.
//!
//! ```
//! # #[cfg(not(target_os = "none"))]
//! assert_eq!(swos_sys::getpid(), Err(swos_sys::Errno::NOSYS));
//! ```

#![cfg_attr(not(test), no_std)]
#![expect(unsafe_code, reason = "system calls and program entry; argued in SOUNDNESS.md")]

mod authority;
mod counters;
mod files;
mod limits;
mod memory;
mod messages;
mod names;
mod process;
pub mod raw;
mod signals;
mod sockets;
mod start;
mod svc;
mod system;
mod time;

pub use authority::{confine, handle_lend, handle_revoke, login};
pub use counters::{counter_take, event_add, event_create, socket_pair, timer_create, timer_set};
pub use files::{
    chdir, close, fstat, handle_duplicate, handle_duplicate_to, handle_flags, handle_nonblock,
    handle_restrict, handle_rights, handle_set_flags, open, pipe, poll, pread, pwrite, read, readdir,
    readlink, ready_control, ready_create, ready_wait, seek, sendfile, stat, write,
};
pub use limits::{limits, lower_limits, thread_info, thread_name, usage};
pub use memory::{
    map_anonymous, map_file, memory_advise, memory_create, memory_resize, mmap, mprotect, munmap,
};
pub use messages::{
    Received, endpoint_call, endpoint_create, endpoint_hang_up, endpoint_mint, endpoint_receive,
    endpoint_reply, endpoint_reply_receive, endpoint_send,
};
pub use names::{
    file_system_info, getcwd, link, mkdir, mkfifo, readv, rename, rmdir, set_mode, set_owner, set_size,
    set_times, symlink, sync, unlink, writev,
};
pub use process::{
    FUTEX_ANY, Spawn, exec, exit, fork, futex_requeue, futex_wait, futex_wait_until, futex_wake, getpid,
    gettid, set_thread_pointer, spawn, thread_create, thread_exit, thread_pointer, thread_priority, wait,
    wait_until, yield_now,
};
pub use signals::{
    SignalHandler, SignalHandlerMut, getpgid, getsid, kill, setpgid, setsid, signal_action, signal_default,
    signal_handle, signal_handle_mut, signal_ignore, signal_mask, signal_pending, signal_queue, signal_stack,
    signal_suspend, signal_wait, thread_kill,
};
pub use sockets::{
    accept, accept_from, bind, connect, listen, receive, receive_from, send, send_to, shutdown, socket,
    socket_local, socket_option, socket_peer, socket_set_option,
};
pub use start::ThreadEntry;
pub use swos_abi as abi;
pub use swos_abi::{Errno, Handle};
pub use system::{
    abi_version, capabilities_drop, log_export, log_filter, log_read, log_record, log_write, net_configure,
    power, process_info, random, security_info, system_info,
};
pub use time::{clock_get, counter, counter_frequency, sleep};

/// A length or address of this machine as a register holds it.
#[inline]
const fn register(value: usize) -> u64 {
    value as u64
}

/// What a register holds, as a length or address of this machine.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "addresses have 64 bits wherever there is a kernel")]
const fn size(value: u64) -> usize {
    value as usize
}

/// The address of `pointer`, which the kernel will read or write through.
#[inline]
fn address<T: ?Sized>(pointer: *const T) -> u64 {
    register(pointer.cast::<u8>().expose_provenance())
}
