//! The parts that are instructions.

use core::arch::global_asm;

global_asm!(include_str!("asm/boot.s"), options(raw));
global_asm!(include_str!("asm/traps.s"), options(raw));
global_asm!(include_str!("asm/user.s"), options(raw));
global_asm!(include_str!("asm/simd.s"), options(raw));
global_asm!(include_str!("asm/memory.s"), options(raw));

pub mod cpu;
pub mod early;
pub mod fp;
pub mod power;
pub mod timer;
pub mod tlb;
pub mod translation;
pub mod trap;
pub mod user;

/// Reads a system register.
macro_rules! read {
    ($register:literal) => {{
        let value: u64;
        // SAFETY: reading this register has no effect but the value.
        unsafe { core::arch::asm!(concat!("mrs {}, ", $register), out(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }};
}
/// Writes a system register; the caller says why that is sound.
macro_rules! write {
    ($register:literal, $value:expr) => {
        core::arch::asm!(concat!("msr ", $register, ", {}"), in(reg) $value, options(nostack, preserves_flags))
    };
}
pub(crate) use {read, write};
