//! Events, timers, socket pairs.

use core::mem::size_of;

use swos_abi::{Errno, Handle, PairEnds};

use crate::{address, files::handle, raw, register};

/// Makes an event; `flags` are `EVENT_*`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_EVENT_CREATE`].
pub fn event_create(initial: u64, flags: u32) -> Result<Handle, Errno> {
    // SAFETY: no addresses.
    handle(unsafe { raw::event_create(initial, flags) })
}

/// Adds to an event.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_EVENT_ADD`].
pub fn event_add(event: Handle, value: u64) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::event_add(event, value) }.map(drop)
}

/// Takes what an event or a timer counted.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_COUNTER_TAKE`].
pub fn counter_take(counter: Handle, timeout_ns: u64) -> Result<u64, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::counter_take(counter, timeout_ns) }
}

/// Makes a timer; `flags` is 0 or `TIMER_NONBLOCK`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_TIMER_CREATE`].
pub fn timer_create(flags: u32) -> Result<Handle, Errno> {
    // SAFETY: no addresses.
    handle(unsafe { raw::timer_create(flags) })
}

/// Sets a timer; `flags` is 0 or `TIMER_ABSOLUTE`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_TIMER_SET`].
pub fn timer_set(timer: Handle, first_ns: u64, period_ns: u64, flags: u32) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::timer_set(timer, first_ns, period_ns, flags) }.map(drop)
}

/// Makes a socket pair; `kind` may have `SOCKET_NONBLOCK` or-ed to it.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SOCKET_PAIR`].
pub fn socket_pair(kind: u32) -> Result<PairEnds, Errno> {
    let mut ends = PairEnds::NONE;
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    unsafe { raw::socket_pair(kind, address(&raw mut ends), register(size_of::<PairEnds>())) }?;
    Ok(ends)
}
