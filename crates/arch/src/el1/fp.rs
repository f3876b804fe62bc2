//! FP/SIMD registers: loaded when a thread first uses them, saved when it is left, lent to the kernel in between. A thread that used them in
//! each of its last turns gets them without asking.

use super::write;
use crate::context::{FpState, PerCpu, Registers};
use core::arch::asm;
use core::ptr;

unsafe extern "C" {
    fn swos_fp_save(state: *mut FpState);
    fn swos_fp_load(state: *const FpState);
    fn swos_sha256_blocks(state: *mut u32, blocks: *const u8, count: usize);
}

/// CPACR_EL1.FPEN: EL1 may use FP, EL0 traps.
const TRAP_EL0: u64 = 0b01 << 20;
/// EL0 may, too.
const OPEN: u64 = 0b11 << 20;

/// After so many turns in which a thread used the registers they are loaded before the next, which is cheaper than a trap.
const HABIT: u64 = 4;
/// And after so many it must ask again: whether it used what it was lent is not seen.
const TRUST: u64 = 64;

fn set_access(cpacr: u64) {
    // SAFETY: says whether EL0 traps; the return to EL0 synchronizes, and EL1 is not affected by either value.
    unsafe { write!("cpacr_el1", cpacr) };
}

/// Gives EL0 the FP registers with the running thread's state in them. For its first use of them.
///
/// # Safety
///
/// `cpu` is this CPU's block and its `context` that of the running thread.
pub unsafe fn open(cpu: *mut PerCpu) {
    // SAFETY: this CPU's own block and its thread's context, by the caller's promise.
    unsafe {
        let thread = (*cpu).context;
        if !owns(cpu, thread) {
            asm!("isb", options(nostack, preserves_flags));
            load(cpu, thread);
        }
        (*thread).fp_turns += 1;
        (*cpu).fp_open = true;
    }
    set_access(OPEN);
}

/// Makes the registers those of `thread`.
#[inline]
unsafe fn load(cpu: *mut PerCpu, thread: *mut Registers) {
    // SAFETY: the caller's promise, as in `open`.
    unsafe {
        swos_fp_load(&raw const (*thread).fp);
        (*cpu).fp_owner = thread;
        (*thread).fp_cpu = (*cpu).index + 1;
    }
}

/// Whether the registers still hold what `thread` had in them when it last ran, here and nowhere since.
unsafe fn owns(cpu: *mut PerCpu, thread: *mut Registers) -> bool {
    // SAFETY: the caller's promise. A context at the address of an ended thread's starts with `fp_cpu` 0.
    unsafe { ptr::eq((*cpu).fp_owner, thread) && (*thread).fp_cpu == (*cpu).index + 1 }
}

/// Saves the state of the thread that is being left, if it used FP since it was entered, and closes them to EL0; takes note if it did not.
///
/// # Safety
///
/// As [`open`].
#[inline]
pub unsafe fn leave(cpu: *mut PerCpu) {
    // SAFETY: this CPU's block and its thread's context, by the caller's promise.
    unsafe {
        if !(*cpu).fp_open {
            (*(*cpu).context).fp_turns = 0;
        }
        close(cpu);
    }
}

/// Saves the state of the running thread, if it used FP since it was entered, and closes them to EL0.
///
/// # Safety
///
/// As [`open`].
#[inline]
unsafe fn close(cpu: *mut PerCpu) {
    // SAFETY: this CPU's own block; while open, the owner is the running thread, whose context is this CPU's.
    unsafe {
        if (*cpu).fp_open {
            swos_fp_save(&raw mut (*(*cpu).fp_owner).fp);
            (*cpu).fp_open = false;
            set_access(TRAP_EL0);
        }
    }
}

/// Opens the registers without a trap to a thread whose state is still in them, or that always uses them.
///
/// # Safety
///
/// As [`open`].
#[inline]
pub unsafe fn reopen(cpu: *mut PerCpu) {
    // SAFETY: as `open`.
    unsafe {
        let thread = (*cpu).context;
        if !owns(cpu, thread) {
            let turns = (*thread).fp_turns;
            if turns < HABIT {
                return;
            }
            (*thread).fp_turns = if turns < TRUST { turns + 1 } else { 0 };
            load(cpu, thread);
        }
        (*cpu).fp_open = true;
        set_access(OPEN);
    }
}

/// Folds blocks into a SHA-256 state with the CPU's instructions.
///
/// # Safety
///
/// The CPU has them ([`super::cpu::has_sha256`]); `cpu` is this CPU's block, or null while no thread exists.
pub unsafe fn sha256_blocks(cpu: *mut PerCpu, state: &mut [u32; 8], blocks: &[[u8; 64]]) {
    if blocks.is_empty() {
        return;
    }
    // SAFETY: the vector registers are nobody's after `close`, and forgotten as a cache of the last thread's; the
    // pointers are to as many bytes as the count says.
    unsafe {
        if !cpu.is_null() {
            close(cpu);
            (*cpu).fp_owner = ptr::null_mut();
        }
        swos_sha256_blocks(state.as_mut_ptr(), blocks.as_ptr().cast(), blocks.len());
    }
}
