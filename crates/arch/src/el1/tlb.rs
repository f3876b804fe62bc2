//! TLB maintenance. All for EL1&0; global entries are the kernel's.

use core::arch::asm;
use swos_units::{Page, VirtAddr};
use swos_vm::Tlb;

fn operand(asid: u16, page: VirtAddr) -> u64 {
    u64::from(asid) << 48 | (page.get() >> 12 & ((1 << 44) - 1))
}

/// Starts to forget one user page on this CPU, after the table writes so far.
#[inline]
pub fn page_local(asid: u16, page: VirtAddr) {
    // SAFETY: dropping cached translations is always allowed.
    unsafe {
        asm!("dsb nshst", "tlbi vae1, {}", in(reg) operand(asid, page), options(nostack, preserves_flags))
    };
}

/// Starts to forget one user page on all CPUs.
#[inline]
pub fn page_everywhere(asid: u16, page: VirtAddr) {
    // SAFETY: as above.
    unsafe {
        asm!("dsb ishst", "tlbi vae1is, {}", in(reg) operand(asid, page), options(nostack, preserves_flags))
    };
}

/// Starts to forget an address space on this CPU.
#[inline]
pub fn asid_local(asid: u16) {
    // SAFETY: as above.
    unsafe {
        asm!("dsb nshst", "tlbi aside1, {}", in(reg) u64::from(asid) << 48, options(nostack, preserves_flags))
    };
}

/// Starts to forget an address space on all CPUs.
#[inline]
pub fn asid_everywhere(asid: u16) {
    // SAFETY: as above.
    unsafe {
        asm!("dsb ishst", "tlbi aside1is, {}", in(reg) u64::from(asid) << 48, options(nostack, preserves_flags))
    };
}

/// Returns when what was started on this CPU alone is done.
#[inline]
pub fn finish_local() {
    // SAFETY: barriers only.
    unsafe { asm!("dsb nsh", "isb", options(nostack, preserves_flags)) };
}

/// Returns when what was started on all CPUs is done.
#[inline]
pub fn finish_everywhere() {
    // SAFETY: barriers only.
    unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
}

/// Forgets everything on all CPUs.
#[inline]
pub fn everything() {
    // SAFETY: as above.
    unsafe { asm!("dsb ishst", "tlbi vmalle1is", "dsb ish", "isb", options(nostack, preserves_flags)) };
}

/// TLB maintenance for the kernel's half, on all CPUs.
#[derive(Debug)]
pub struct KernelTlb;

impl Tlb for KernelTlb {
    fn publish(&mut self) {
        // SAFETY: barriers only.
        unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
    }

    fn invalidate_page(&mut self, page: Page) {
        // SAFETY: as above.
        unsafe {
            asm!("dsb ishst", "tlbi vaae1is, {}", in(reg) operand(0, page.start()), options(nostack, preserves_flags))
        };
    }

    fn invalidate_space(&mut self) {
        // SAFETY: as above.
        unsafe { asm!("dsb ishst", "tlbi vmalle1is", options(nostack, preserves_flags)) };
    }

    fn synchronize(&mut self) {
        // SAFETY: as above.
        unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
    }
}
