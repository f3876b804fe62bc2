//! What the trap entry calls, and what it calls back.
//!
//! The kernel program defines, as `extern "C"` with these symbols:
//! - `swos_boot_main(dtb, handoff, image) -> !`: the first CPU, on the boot stack, translation on.
//! - `swos_secondary_main(block) -> !`: each other CPU, on its own stack.
//! - `swos_syscall(a0..a5, number, block) -> SyscallReturn`, `swos_user_exception(esr, far, block) -> u64`,
//!   `swos_interrupt(block) -> u64`: from EL0; 0 means "go back as it was".
//! - `swos_reschedule(block) -> *mut Registers`: the thread's context is whole now; which to run?
//! - `swos_fatal_exception(kind, &Frame) -> !`.

use crate::context::Registers;

/// Result of a system call, in x0 and x1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SyscallReturn {
    /// What the thread gets in x0.
    pub value: i64,
    /// 0 = go back with it; 1 = leave the thread.
    pub leave: u64,
}

/// Registers at an exception that ends the kernel.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct Frame {
    /// x0 to x30.
    pub x: [u64; 31],
    /// SP before the exception.
    pub sp: u64,
    /// ELR_EL1.
    pub pc: u64,
    /// SPSR_EL1.
    pub pstate: u64,
    /// ESR_EL1.
    pub esr: u64,
    /// FAR_EL1.
    pub far: u64,
}

const _: () = assert!(size_of::<Frame>() == 288);

/// Enters EL0.
///
/// # Safety
///
/// `registers` is the taken context of a thread whose address space is selected, and this CPU's block names it.
pub unsafe fn enter_user(registers: *mut Registers) -> ! {
    unsafe extern "C" {
        fn swos_enter_user(registers: *mut Registers) -> !;
    }
    // SAFETY: the caller's promise.
    unsafe { swos_enter_user(registers) }
}
