//! The CPU that runs this: its identity, its features, its block.

use super::{read, write};
use crate::context::PerCpu;
use core::arch::asm;

/// Affinity fields of this CPU, as a device tree writes them.
#[must_use]
pub fn affinity() -> u64 {
    read!("mpidr_el1") & 0xff_00ff_ffff
}

/// Bits of an ASID: 8 or 16.
#[must_use]
pub fn asid_bits() -> u32 {
    if read!("id_aa64mmfr0_el1") >> 4 & 0xf == 2 { 16 } else { 8 }
}

/// Whether the CPU has Privileged Access Never.
#[must_use]
pub fn has_pan() -> bool {
    read!("id_aa64mmfr1_el1") >> 20 & 0xf != 0
}

/// Whether the CPU has the SHA-256 instructions.
#[must_use]
pub fn has_sha256() -> bool {
    read!("id_aa64isar0_el1") >> 12 & 0xf != 0
}

/// SP_EL0: the stack pointer of the program that trapped.
#[must_use]
pub fn user_stack() -> u64 {
    read!("sp_el0")
}

/// MIDR_EL1: implementer, part, revision.
#[must_use]
pub fn model() -> u64 {
    read!("midr_el1")
}

/// Bytes that DC ZVA zeroes; 0 = not allowed.
#[must_use]
pub fn zero_block() -> u64 {
    let dczid = read!("dczid_el0");
    if dczid & 0x10 != 0 { 0 } else { 4 << (dczid & 0xf) }
}

/// This CPU's block; null until [`set_block`].
#[must_use]
#[inline]
pub fn block() -> *mut PerCpu {
    let block: *mut PerCpu;
    // SAFETY: reading the register has no effect but the value.
    unsafe { asm!("mrs {}, tpidr_el1", out(reg) block, options(nomem, nostack, preserves_flags)) };
    block
}

/// Tells the trap entry where this CPU's block is.
///
/// # Safety
///
/// `block` stays valid for ever and is no other CPU's.
pub unsafe fn set_block(block: *mut PerCpu) {
    // SAFETY: only the trap entry and `block` read it, for which the caller vouches.
    unsafe { write!("tpidr_el1", block) };
}

/// Waits until an interrupt is pending. It is still masked, and is for the interrupt controller's driver to take.
#[inline]
pub fn wait_for_interrupt() {
    // SAFETY: stops this CPU for a while, after its stores are visible; changes nothing.
    unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) };
}

/// Stops this CPU for ever.
pub fn halt() -> ! {
    loop {
        wait_for_interrupt();
    }
}

/// Orders normal-memory stores before stores to device registers that make a device look at that memory.
#[inline]
pub fn barrier() {
    // SAFETY: a barrier only.
    unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
}

/// Leaves the stack for good and calls `function(argument)` on the one whose top is `stack`.
///
/// # Safety
///
/// `stack` is the top of a mapped, unused stack of this CPU, 16-byte aligned; nothing on the old one is used again.
pub unsafe fn call_on_stack(stack: u64, function: extern "C" fn(u64) -> !, argument: u64) -> ! {
    unsafe extern "C" {
        fn swos_call_on_stack(stack: u64, function: extern "C" fn(u64) -> !, argument: u64) -> !;
    }
    // SAFETY: the caller's promises are those of the routine.
    unsafe { swos_call_on_stack(stack, function, argument) }
}

/// Return addresses up the frame-pointer chain, from the function that called this or from frame `from`.
pub fn backtrace(from: Option<u64>, mut report: impl FnMut(usize, u64)) {
    let mut frame: u64 = match from {
        Some(frame) => frame,
        None => {
            let own: u64;
            // SAFETY: reads a register.
            unsafe { asm!("mov {}, x29", out(reg) own, options(nomem, nostack, preserves_flags)) };
            own
        }
    };
    for depth in 0..32 {
        // Frame records lie on kernel stacks, in the image or the stack area, and grow towards the caller.
        if !(crate::image::IMAGE_BASE..crate::image::STACK_AREA_END).contains(&frame)
            || !frame.is_multiple_of(16)
        {
            break;
        }
        // SAFETY: inside the two mapped areas of stacks; a hole would be an overflow, which is reported with its own
        // stack pointer as `from` and refused above or faults into the second report, which halts.
        let (next, address) = unsafe { *(frame as *const (u64, u64)) };
        if address == 0 {
            break;
        }
        report(depth, address);
        if next <= frame {
            break;
        }
        frame = next;
    }
}
