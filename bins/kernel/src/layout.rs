//! Where the linker put things.

use swos_arch::image::IMAGE_BASE;
use swos_sync::OnceCell;
use swos_units::{PhysAddr, VirtAddr};

unsafe extern "C" {
    static _text_end: u8;
    static _rodata_end: u8;
    static _build_id: u8;
    static _build_id_end: u8;
    static _early_tables: u8;
    static _boot_guard: u8;
    static _boot_stack: u8;
    static _boot_stack_top: u8;
    static _pool_start: u8;
    static _pool_end: u8;
    static _image_end: u8;
}

macro_rules! symbol {
    ($name:ident) => {
        VirtAddr::new((&raw const $name).addr() as u64)
    };
}

/// One past the code; the image starts with it.
pub(crate) fn text_end() -> VirtAddr {
    symbol!(_text_end)
}

/// One past the constants, which follow the code.
pub(crate) fn rodata_end() -> VirtAddr {
    symbol!(_rodata_end)
}

/// Boot tables and boot stack, in use until the first CPU has left both; the identity tables for ever.
pub(crate) fn early_tables() -> VirtAddr {
    symbol!(_early_tables)
}

/// One past the boot tables; from here to the boot stack nothing is mapped.
pub(crate) fn boot_guard() -> VirtAddr {
    symbol!(_boot_guard)
}

/// The stack on which the first CPU boots.
pub(crate) fn boot_stack() -> core::ops::Range<u64> {
    symbol!(_boot_stack).get()..symbol!(_boot_stack_top).get()
}

/// Frames for the kernel's own tables.
pub(crate) fn pool() -> (VirtAddr, VirtAddr) {
    (symbol!(_pool_start), symbol!(_pool_end))
}

/// One past the image.
pub(crate) fn image_end() -> VirtAddr {
    symbol!(_image_end)
}

/// The linker's build id.
pub(crate) fn build_id() -> &'static [u8] {
    let start = &raw const _build_id;
    let len = (&raw const _build_id_end).addr() - start.addr();
    // SAFETY: the linker script puts the note between the two symbols, in read-only data.
    let note = unsafe { core::slice::from_raw_parts(start, len) };
    // Name size 4, description size, type 3, "GNU\0", description.
    note.get(16..).unwrap_or(&[])
}

static IMAGE: OnceCell<u64> = OnceCell::new();

/// Remembers where the image lies in physical memory.
pub(crate) fn set_image(base: u64) {
    let _ = IMAGE.set(base);
}

/// Physical address of something in the image.
pub(crate) fn image_phys(at: VirtAddr) -> PhysAddr {
    let base = IMAGE.get().copied().unwrap_or(0);
    PhysAddr::new(at.get().wrapping_sub(IMAGE_BASE).wrapping_add(base)).unwrap_or_default()
}
