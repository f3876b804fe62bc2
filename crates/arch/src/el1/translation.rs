//! Translation base registers and cache maintenance for code.

use super::write;
use core::arch::asm;
use swos_units::Frame;

/// Selects the user half: the tables at `root`, tagged `asid`. What this CPU stored before is seen by all before it walks
/// them: so whoever changes an entry, and does not find this CPU among those that use the space, need not tell it.
///
/// # Safety
///
/// `root` is the top table of a user address space or an empty one, and stays so while it is selected.
#[inline]
pub unsafe fn set_user_tables(root: Frame, asid: u16) {
    let value = root.start().get() | u64::from(asid) << 48;
    // SAFETY: the kernel does not use the user half except by user copy, which may fault; the rest is the caller's.
    unsafe {
        asm!("dsb ishst", options(nostack, preserves_flags));
        write!("ttbr0_el1", value);
        asm!("isb", options(nostack, preserves_flags));
    }
}

/// Makes this CPU translate the kernel half by the tables at `root` instead of the boot tables, and forbids to execute
/// what is writable.
///
/// # Safety
///
/// The tables map all that the kernel uses, at the same addresses. The boot tables are selected in both halves.
pub unsafe fn leave_boot_tables(root: Frame) {
    unsafe extern "C" {
        fn swos_switch_kernel_tables(root: u64);
    }
    // SAFETY: the caller's promise.
    unsafe { swos_switch_kernel_tables(root.start().get()) };
}

/// Makes what was written to `[start, start + len)` visible to instruction fetches on all CPUs.
pub fn sync_instructions(start: *const u8, len: usize) {
    let line = 4u64 << (super::read!("ctr_el0") >> 16 & 0xf);
    let end = start.addr() as u64 + len as u64;
    let mut at = start.addr() as u64 & !(line - 1);
    while at < end {
        // SAFETY: cleans lines of the caller's memory.
        unsafe { asm!("dc cvau, {}", in(reg) at, options(nostack, preserves_flags)) };
        at += line;
    }
    // By address is not enough for an aliasing instruction cache; exec is rare.
    // SAFETY: invalidates clean copies.
    unsafe { asm!("dsb ish", "ic ialluis", "dsb ish", "isb", options(nostack, preserves_flags)) };
}

/// Writes `[start, start + len)` back to memory, for an observer without caches.
pub fn clean_to_memory(start: *const u8, len: usize) {
    let line = 4u64 << (super::read!("ctr_el0") >> 16 & 0xf);
    let end = start.addr() as u64 + len as u64;
    let mut at = start.addr() as u64 & !(line - 1);
    while at < end {
        // SAFETY: cleans lines of the caller's memory.
        unsafe { asm!("dc cvac, {}", in(reg) at, options(nostack, preserves_flags)) };
        at += line;
    }
    super::cpu::barrier();
}

/// Stores a translation-table entry in one access.
///
/// # Safety
///
/// `entry` points to an entry of a table that the caller may change.
#[inline]
pub unsafe fn store_entry(entry: *mut u64, value: u64) {
    // SAFETY: the caller's promise; volatile, because the table walker reads it.
    unsafe { entry.write_volatile(value) };
}

/// Makes new table entries visible to the walkers of all CPUs before what follows.
#[inline]
pub fn publish_entries() {
    // SAFETY: barriers only.
    unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
}

/// Fills a page with zeros. `block` is [`super::cpu::zero_block`].
///
/// # Safety
///
/// `page` is a writable, page-aligned address of normal memory, 4096 bytes of which are the caller's.
#[inline]
pub unsafe fn zero_page(page: *mut u8, block: u64) {
    unsafe extern "C" {
        fn swos_zero_page(page: *mut u8, block: u64);
    }
    // SAFETY: the caller's promise.
    unsafe { swos_zero_page(page, block) };
}

/// Copies a page.
///
/// # Safety
///
/// Both are page-aligned, 4096 bytes, do not overlap; `to` is the caller's to write, `from` to read.
#[inline]
pub unsafe fn copy_page(to: *mut u8, from: *const u8) {
    unsafe extern "C" {
        fn swos_copy_page(to: *mut u8, from: *const u8);
    }
    // SAFETY: the caller's promise.
    unsafe { swos_copy_page(to, from) };
}
