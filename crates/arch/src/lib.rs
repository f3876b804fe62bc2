//! AArch64 at EL1: everything that needs an instruction which Rust does not have.
//!
//! Boot and exception entry, thread contexts, translation control and TLB maintenance, access to user memory, FP
//! state, SHA-256 blocks, the generic timer, PSCI and semihosting. Mechanism only: what an exception *means* is decided
//! by the functions that the kernel program provides; module `trap` lists them.
//!
//! On other targets only the parts without instructions exist, so that they can be tested there.
//!
//! **Invariant:** in EL1 all interrupts are masked, always; the stack of a CPU is empty while EL0 runs on it.
//! **Invariant:** FP/SIMD registers are touched by modules `fp` and `sha256` alone.
//! **Absent on purpose:** a stack per thread, nested interrupts, EL2 and EL3 features beyond leaving them.
//!
//! Source: Arm DDI 0487 L.a (Architecture Reference Manual); Linux `Documentation/arch/arm64/booting.rst`; Arm DEN 0022
//! (PSCI); ARM semihosting 2.0 §6.

#![cfg_attr(not(test), no_std)]
#![expect(unsafe_code, reason = "the layer that holds all EL1 assembly; argued in SOUNDNESS.md")]

pub mod clock;
pub mod context;
pub mod image;
pub mod sha256;

#[cfg(all(target_arch = "aarch64", target_os = "none"))]
mod el1;
#[cfg(all(target_arch = "aarch64", target_os = "none"))]
pub use el1::*;
