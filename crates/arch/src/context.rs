//! The registers of a thread, and of a CPU while it serves one.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

/// FP/SIMD registers.
#[derive(Clone)]
#[repr(C, align(16))]
pub struct FpState {
    /// v0 to v31.
    pub vectors: [u128; 32],
    /// FPCR.
    pub fpcr: u64,
    /// FPSR.
    pub fpsr: u64,
}

/// General registers of an EL0 thread. The trap entry stores here by offset.
#[derive(Clone)]
#[repr(C, align(16))]
pub struct Registers {
    /// x0 to x30.
    pub x: [u64; 31],
    /// SP_EL0.
    pub sp: u64,
    /// ELR_EL1.
    pub pc: u64,
    /// SPSR_EL1.
    pub pstate: u64,
    /// TPIDR_EL0.
    pub tls: u64,
    /// CPU whose FP registers hold this thread's state, plus one; 0 = only `fp` does.
    pub fp_cpu: u64,
    /// In how many turns on a CPU one after the other the thread used the FP registers, or was lent them unasked.
    pub fp_turns: u64,
    /// FP/SIMD state while it is not in a CPU's registers.
    pub fp: FpState,
}

const _: () = {
    assert!(offset_of!(Registers, x) == 0);
    assert!(offset_of!(Registers, sp) == 248);
    assert!(offset_of!(Registers, pc) == 256);
    assert!(offset_of!(Registers, pstate) == 264);
    assert!(offset_of!(Registers, tls) == 272);
    assert!(offset_of!(FpState, fpcr) == 512);
    assert!(offset_of!(Context, registers) == 0);
    assert!(offset_of!(PerCpu, context) == 0);
    assert!(offset_of!(PerCpu, stack_top) == 8);
    assert!(offset_of!(PerCpu, emergency_top) == 16);
};

/// Saved registers of one EL0 thread.
///
/// One CPU at a time owns the inside: the one that runs the thread, until it has saved it ([`Self::is_saved`]).
#[repr(C, align(16))]
pub struct Context {
    registers: UnsafeCell<Registers>,
    /// 0 = whole; else a CPU runs the thread, or has still to save what it keeps in registers.
    running: AtomicU64,
}

// SAFETY: the inside is reached by raw pointer only, by the one CPU that took the context with `take`.
unsafe impl Sync for Context {}

/// PSTATE of a new thread: EL0, AArch64, nothing masked.
const PSTATE_EL0: u64 = 0;

impl Context {
    /// Registers of a thread that starts at `entry` with `argument` in x0; all others are zero.
    #[must_use]
    pub const fn new(entry: u64, stack: u64, argument: u64, tls: u64) -> Self {
        let mut x = [0; 31];
        x[0] = argument;
        let fp = FpState { vectors: [0; 32], fpcr: 0, fpsr: 0 };
        let registers =
            Registers { x, sp: stack, pc: entry, pstate: PSTATE_EL0, tls, fp_cpu: 0, fp_turns: 0, fp };
        Self { registers: UnsafeCell::new(registers), running: AtomicU64::new(0) }
    }

    /// The same registers for another thread. Waits, as [`Self::take`] does, for the CPU that may still save them.
    ///
    /// # Safety
    ///
    /// No CPU takes this context meanwhile.
    #[must_use]
    pub unsafe fn copy(&self) -> Self {
        while !self.is_saved() {
            core::hint::spin_loop();
        }
        // SAFETY: whole, and nobody's: what ran the thread has put it back, and nobody takes it (the caller's promise).
        let registers = unsafe { (*self.registers.get()).clone() };
        // Its FP state is in memory, as always when no CPU runs it; no CPU's registers are this copy's.
        let registers = UnsafeCell::new(Registers { fp_cpu: 0, ..registers });
        Self { registers, running: AtomicU64::new(0) }
    }

    /// Where the registers are. To dereference is for the CPU that took the context.
    #[must_use]
    #[inline]
    pub const fn registers(&self) -> *mut Registers {
        self.registers.get()
    }

    /// Takes the context to run the thread. Spins while the CPU that ran it last still saves it: it may have made the
    /// thread ready, and another may have chosen it, a few instructions before.
    #[inline]
    pub fn take(&self) {
        while self.running.load(Ordering::Acquire) != 0 {
            core::hint::spin_loop();
        }
        self.running.store(1, Ordering::Relaxed);
    }

    /// Gives it back, whole.
    #[inline]
    pub fn put(&self) {
        self.running.store(0, Ordering::Release);
    }

    /// Whether no CPU has part of it in its registers.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.running.load(Ordering::Acquire) == 0
    }
}

/// The condition flags: all of PSTATE that a program may choose.
const PSTATE_FLAGS: u64 = 0xF000_0000;

impl Registers {
    /// Sets what a program chose: any value but for PSTATE, of which the condition flags are taken. FP state comes from `fp` at the
    /// next use, whatever a CPU still has of it.
    pub const fn set_pstate(&mut self, pstate: u64) {
        self.pstate = PSTATE_EL0 | (pstate & PSTATE_FLAGS);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("saved", &self.is_saved()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registers").field("pc", &self.pc).field("sp", &self.sp).finish_non_exhaustive()
    }
}

impl fmt::Debug for FpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FpState")
    }
}

/// What the trap entry needs to know of its CPU; TPIDR_EL1 points to it.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct PerCpu {
    /// The running thread's registers; null while there is none.
    pub context: *mut Registers,
    /// Top of this CPU's kernel stack.
    pub stack_top: u64,
    /// Top of the stack for reporting an overflow of that.
    pub emergency_top: u64,
    /// Number of the CPU, from 0.
    pub index: u64,
    /// Whose FP state is in the registers; null = nobody's.
    pub fp_owner: *mut Registers,
    /// Whether EL0 may use the FP registers now, so that they must be saved before another may.
    pub fp_open: bool,
}

#[cfg(test)]
mod tests {
    use super::Context;

    #[test]
    fn starts_as_asked_and_owned_by_nobody() {
        let context = Context::new(1, 2, 3, 4);
        assert!(context.is_saved());
        context.take();
        assert!(!context.is_saved());
        // SAFETY: taken above, and no other CPU here.
        let registers = unsafe { &*context.registers() };
        assert_eq!((registers.pc, registers.sp, registers.x[0], registers.tls), (1, 2, 3, 4));
        assert_eq!((registers.pstate, registers.fp_cpu), (0, 0));
        assert!(registers.x[1..].iter().all(|register| *register == 0));
    }

    #[test]
    fn a_copy_has_all_registers_and_no_cpu() {
        let context = Context::new(1, 2, 3, 4);
        // SAFETY: nobody takes it.
        unsafe { ((*context.registers()).x[20], (*context.registers()).fp_cpu) = (9, 2) };
        // SAFETY: as above.
        let copy = unsafe { context.copy() };
        assert!(copy.is_saved());
        // SAFETY: as above.
        let registers = unsafe { &*copy.registers() };
        assert_eq!((registers.pc, registers.x[20], registers.fp_cpu), (1, 9, 0));
    }

    #[test]
    fn is_taken_only_after_it_was_put_back() {
        let context = Context::new(0, 0, 0, 0);
        context.take();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // SAFETY: this side has it until `put`.
                unsafe { (*context.registers()).pc = 7 };
                context.put();
            });
            context.take();
            // SAFETY: taken.
            assert_eq!(unsafe { (*context.registers()).pc }, 7);
        });
    }
}
