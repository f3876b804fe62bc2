//! The device tree, read before the kernel has its own tables.

use crate::image;
use core::arch::asm;
use swos_units::{PAGE_SIZE, PhysAddr};

/// Pages behind the boot tables, free for this.
const L1_PAGE: u64 = 7;
const L2_PAGE: u64 = 8;
const HIGH_L0_PAGE: u64 = 3;
const TABLE: u64 = 0b11;
/// Block, Normal, EL1 read-only, inner shareable, accessed, never executable.
const BLOCK: u64 = 0b01 | 0b10 << 6 | 0b11 << 8 | 1 << 10 | 1 << 53 | 1 << 54;
const BLOCK_SIZE: u64 = 2 << 20;

/// Maps the device tree at physical address `dtb` read-only in the linear map of the boot tables and returns it: empty if
/// there is none. The slice is gone with the boot tables.
///
/// # Safety
///
/// Only by the first CPU, once, while the boot tables are selected. If the address is not 0, RAM is there.
pub unsafe fn device_tree(dtb: u64) -> &'static [u8] {
    unsafe extern "C" {
        static mut _early_tables: u8;
    }
    let (Some(start), true) =
        (PhysAddr::new(dtb), dtb != 0 && dtb.is_multiple_of(8) && dtb < image::LINEAR_LIMIT)
    else {
        return &[];
    };
    let tables = (&raw mut _early_tables).cast::<u64>();
    let root: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, ttbr1_el1", out(reg) root, options(nomem, nostack, preserves_flags)) };
    // The boot entry put the high L0 into page 3, so its physical address tells that of the others.
    let phys =
        |page: u64| (root & 0xffff_ffff_f000) - HIGH_L0_PAGE * PAGE_SIZE as u64 + page * PAGE_SIZE as u64;
    let entry = |page: u64, index: u64| tables.wrapping_add(image::bytes(page * 512 + index));
    let block = dtb & !(BLOCK_SIZE - 1);
    let linear = image::linear(start).get();
    // SAFETY: pages 7 and 8 of the boot tables are nobody's; the entries were invalid, so nothing is broken. Two blocks
    // from `block` cover any tree. The second is left out where it would be in another table: then the tree is cut.
    unsafe {
        for index in 0..512 {
            entry(L1_PAGE, index).write(0);
            entry(L2_PAGE, index).write(0);
        }
        let index = block >> 21 & 511;
        entry(L2_PAGE, index).write(block | BLOCK);
        if index < 511 {
            entry(L2_PAGE, index + 1).write((block + BLOCK_SIZE) | BLOCK);
        }
        entry(L1_PAGE, linear >> 30 & 511).write(phys(L2_PAGE) | TABLE);
        entry(HIGH_L0_PAGE, linear >> 39 & 511).write(phys(L1_PAGE) | TABLE);
        asm!("dsb ishst", "isb", options(nostack, preserves_flags));
    }
    let mapped = if block >> 21 & 511 < 511 { 2 * BLOCK_SIZE } else { BLOCK_SIZE };
    let len = block + mapped - dtb;
    let tree: *const u8 = image::pointer(image::linear(start));
    // SAFETY: mapped above; RAM that nobody writes, by the caller's promise.
    unsafe { core::slice::from_raw_parts(tree, image::bytes(len)) }
}
