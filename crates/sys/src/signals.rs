//! Signals, process groups, sessions.

use core::mem::size_of;

use swos_abi::{
    ActionFlags, Errno, SIG_DEFAULT, SIG_IGNORE, SignalAction, SignalFrame, SignalInfo, SignalSet,
    SignalStack,
};

use crate::{address, raw, register};

/// A handler: the signal, where it comes from, and the registers that the thread gets back when it returns.
pub type SignalHandler = extern "C" fn(u32, &SignalInfo, &SignalFrame);
/// A handler that may change those registers.
pub type SignalHandlerMut = unsafe extern "C" fn(u32, &SignalInfo, &mut SignalFrame);

// Where a handler returns to: its stack pointer leads to its frame again.
#[cfg(all(target_arch = "aarch64", target_os = "none"))]
core::arch::global_asm!(
    r#"
    .section .text.swos_signal_restorer, "ax", %progbits
    .global swos_signal_restorer
    .hidden swos_signal_restorer
    .type swos_signal_restorer, %function
    .balign 4
swos_signal_restorer:
    mov     x0, sp
    mov     x8, #{number}
    svc     #0
    brk     #1
    .size swos_signal_restorer, . - swos_signal_restorer
"#,
    number = const swos_abi::NR_SIGNAL_RETURN,
);

#[cfg(all(target_arch = "aarch64", target_os = "none"))]
fn restorer() -> u64 {
    unsafe extern "C" {
        fn swos_signal_restorer();
    }
    register(swos_signal_restorer as *const () as usize)
}

#[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
const fn restorer() -> u64 {
    0
}

const fn size_of_action() -> u64 {
    register(size_of::<SignalAction>())
}

/// What `signal` does now in this process.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SIGNAL_ACTION`].
pub fn signal_action(signal: u32) -> Result<SignalAction, Errno> {
    let mut old = SignalAction::default();
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    unsafe { raw::signal_action(signal, 0, address(&raw mut old), size_of_action()) }?;
    Ok(old)
}

fn set(signal: u32, action: &SignalAction) -> Result<(), Errno> {
    // SAFETY: the kernel reads the record. What it may call was checked by the type of the handler.
    unsafe { raw::signal_action(signal, address(action), 0, size_of_action()) }.map(drop)
}

/// Lets `handler` run when `signal` comes, with the signals of `mask` blocked meanwhile.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SIGNAL_ACTION`].
pub fn signal_handle(
    signal: u32,
    handler: SignalHandler,
    mask: SignalSet,
    flags: ActionFlags,
) -> Result<(), Errno> {
    let handler = register(handler as *const () as usize);
    set(signal, &SignalAction { handler, restorer: restorer(), mask, flags: flags.bits() })
}

/// The same for a handler that may change the registers.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SIGNAL_ACTION`].
///
/// # Safety
///
/// The handler may run between any two instructions, and the thread may go on with the registers that it leaves in the frame.
pub unsafe fn signal_handle_mut(
    signal: u32,
    handler: SignalHandlerMut,
    mask: SignalSet,
    flags: ActionFlags,
) -> Result<(), Errno> {
    let handler = register(handler as *const () as usize);
    set(signal, &SignalAction { handler, restorer: restorer(), mask, flags: flags.bits() })
}

/// Lets `signal` do nothing.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SIGNAL_ACTION`].
pub fn signal_ignore(signal: u32) -> Result<(), Errno> {
    set(signal, &SignalAction { handler: SIG_IGNORE, ..SignalAction::default() })
}

/// Lets `signal` do what it does by default, for `SIGCHLD` with `flags`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SIGNAL_ACTION`].
pub fn signal_default(signal: u32, flags: ActionFlags) -> Result<(), Errno> {
    set(signal, &SignalAction { handler: SIG_DEFAULT, flags: flags.bits(), ..SignalAction::default() })
}

/// Changes what the thread blocks, `how` one of `SIG_BLOCK`, `SIG_UNBLOCK`, `SIG_SETMASK`; returns what it blocked before.
///
/// # Errors
///
/// [`Errno::INVAL`] for another `how`.
pub fn signal_mask(how: u32, signals: SignalSet) -> Result<SignalSet, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::signal_mask(how, signals.0) }.map(SignalSet)
}

/// The blocked signals that wait for the thread or its process.
///
/// # Errors
///
/// [`Errno::NOSYS`] where there is no kernel.
pub fn signal_pending() -> Result<SignalSet, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::signal_pending() }.map(SignalSet)
}

/// Waits with another mask until a handler has run: always an error.
pub fn signal_suspend(mask: SignalSet) -> Errno {
    // SAFETY: no addresses.
    unsafe { raw::signal_suspend(mask.0) }.err().unwrap_or(Errno::INTR)
}

/// Takes one of `signals`, which should be blocked, waiting at most `timeout_ns`.
///
/// # Errors
///
/// [`Errno::TIMEDOUT`]; [`Errno::INTR`] if the handler of another one ran.
pub fn signal_wait(signals: SignalSet, timeout_ns: u64) -> Result<SignalInfo, Errno> {
    let mut taken = SignalInfo::default();
    let size = register(size_of::<SignalInfo>());
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    unsafe { raw::signal_wait(signals.0, address(&raw mut taken), size, timeout_ns) }?;
    Ok(taken)
}

/// Sets the thread's alternate stack, or only asks; returns the one before.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SIGNAL_STACK`].
///
/// # Safety
///
/// Until the thread has another one or has ended, nobody uses the memory that `stack` names for anything else.
pub unsafe fn signal_stack(stack: Option<&SignalStack>) -> Result<SignalStack, Errno> {
    let mut old = SignalStack::default();
    let new = stack.map_or(0, |stack| address(stack));
    // SAFETY: the kernel reads one record and fills the other; the caller vouches for the memory.
    unsafe { raw::signal_stack(new, address(&raw mut old), register(size_of::<SignalStack>())) }?;
    Ok(old)
}

/// Sends `signal` to a process, or with `PID_GROUP` in `pid` to a group; 0 only asks.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_KILL`].
pub fn kill(pid: u64, signal: u32) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::kill(pid, signal) }.map(drop)
}

/// Sends `signal` with a value.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SIGNAL_QUEUE`].
pub fn signal_queue(pid: u64, signal: u32, value: u64) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::signal_queue(pid, signal, value) }.map(drop)
}

/// Sends `signal` to a thread of this process; 0 only asks.
///
/// # Errors
///
/// [`Errno::SRCH`], [`Errno::INVAL`].
pub fn thread_kill(tid: u32, signal: u32) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::thread_kill(tid, signal) }.map(drop)
}

/// Moves a process (0 = this one) to a process group (0 = one of its own).
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SETPGID`].
pub fn setpgid(pid: u32, group: u32) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::setpgid(pid, group) }.map(drop)
}

/// The process group of a process (0 = this one).
///
/// # Errors
///
/// [`Errno::SRCH`].
pub fn getpgid(pid: u32) -> Result<u32, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::getpgid(pid) }.map(id)
}

/// Starts a session; returns its id, which is this process's.
///
/// # Errors
///
/// [`Errno::PERM`] if this process leads a group.
pub fn setsid() -> Result<u32, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::setsid() }.map(id)
}

/// The session of a process (0 = this one).
///
/// # Errors
///
/// [`Errno::SRCH`].
pub fn getsid(pid: u32) -> Result<u32, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::getsid(pid) }.map(id)
}

#[expect(clippy::cast_possible_truncation, reason = "ids have 32 bits")]
const fn id(value: u64) -> u32 {
    value as u32
}
