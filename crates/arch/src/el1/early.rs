//! The device tree, read before the kernel has its own tables.

use crate::image;
use core::arch::asm;
use swos_units::{PAGE_SIZE, PhysAddr};

/// Pages behind the boot tables, free for this: a tree may lie across the border of two tables of the lowest level.
const L1_PAGE: u64 = 7;
const L2_PAGES: [u64; 2] = [8, 9];
const HIGH_L0_PAGE: u64 = 3;
const TABLE: u64 = 0b11;
/// Block, Normal, EL1 read-only, inner shareable, accessed, never executable.
const BLOCK: u64 = 0b01 | 0b10 << 6 | 0b11 << 8 | 1 << 10 | 1 << 53 | 1 << 54;
const BLOCK_SIZE: u64 = 2 << 20;
/// Most bytes of a tree that are mapped. One that is too large to be used is mapped too: it says where the console is, on which
/// that can be said.
const TREE_MAX: u64 = 16 << 20;
/// Source: Devicetree Specification v0.4 §5.2 (header: magic number, total size).
const MAGIC: u32 = 0xd00d_feed;

/// Maps the device tree at physical address `dtb` read-only in the linear map of the boot tables and returns it: empty if
/// there is none. The slice is as long as the tree says, at least 2 MiB and at most 16 MiB; it is gone with the boot tables.
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
    let (l0, l1, l2) = (linear >> 39 & 511, linear >> 30 & 511, block >> 21 & 511);
    // Blocks from `block` on that the tables have room for.
    let room = if l1 < 511 { 1024 - l2 } else { 512 - l2 };
    let map = |blocks: core::ops::Range<u64>| {
        for number in blocks {
            let page = if l2 + number < 512 { L2_PAGES[0] } else { L2_PAGES[1] };
            // SAFETY: a page of tables that is nobody's; the entry was invalid, so nothing is broken.
            unsafe { entry(page, (l2 + number) & 511).write((block + number * BLOCK_SIZE) | BLOCK) };
        }
        // SAFETY: makes the entries visible to the walker.
        unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
    };
    // SAFETY: pages 7 to 9 of the boot tables are nobody's; the entries that lead there were invalid.
    unsafe {
        for page in [L1_PAGE, L2_PAGES[0], L2_PAGES[1]] {
            (0..512).for_each(|index| entry(page, index).write(0));
        }
        entry(L1_PAGE, l1).write(phys(L2_PAGES[0]) | TABLE);
        if l1 < 511 {
            entry(L1_PAGE, l1 + 1).write(phys(L2_PAGES[1]) | TABLE);
        }
        entry(HIGH_L0_PAGE, l0).write(phys(L1_PAGE) | TABLE);
    }
    // Two blocks hold any tree that can be used; only one that says that it is longer gets more.
    let mut blocks = room.min(2);
    map(0..blocks);
    let tree: *const u8 = image::pointer(image::linear(start));
    // SAFETY: a header is 8-byte aligned, so these two words lie in the first block.
    let header = unsafe { *tree.cast::<[u32; 2]>() }.map(u32::from_be);
    let claimed = if header[0] == MAGIC { u64::from(header[1]).min(TREE_MAX) } else { 0 };
    let wanted = (dtb - block + claimed).div_ceil(BLOCK_SIZE).min(room);
    if wanted > blocks {
        map(blocks..wanted);
        blocks = wanted;
    }
    let len = block + blocks * BLOCK_SIZE - dtb;
    // SAFETY: mapped above; RAM that nobody writes, by the caller's promise.
    unsafe { core::slice::from_raw_parts(tree, image::bytes(len)) }
}
