//! Where things are in the kernel's half of the address space.
//!
//! | from | what |
//! |---|---|
//! | `0xffff_0000_0000_0000` | all RAM, linear, never executable |
//! | `0xffff_8000_0000_0000` | the kernel image, by section |
//! | `0xffff_8000_4000_0000` | stacks, a guard below each |
//! | `0xffff_c000_0000_0000` | device registers, at their physical address, mapped on demand |

use swos_units::{PhysAddr, VirtAddr};

/// Start of the linear map.
pub const LINEAR_BASE: u64 = 0xffff_0000_0000_0000;
/// One past the largest physical address that the linear map and the device area have room for.
pub const LINEAR_LIMIT: u64 = 1 << 46;
/// Link address of the image. The linker script repeats it.
pub const IMAGE_BASE: u64 = 0xffff_8000_0000_0000;
/// Start of the stack area.
pub const STACK_AREA: u64 = 0xffff_8000_4000_0000;
/// End of the stack area.
pub const STACK_AREA_END: u64 = 0xffff_8000_8000_0000;
/// Start of the device area.
pub const DEVICE_BASE: u64 = 0xffff_c000_0000_0000;
/// Size of a kernel stack, and of the guard below it. The trap entry tests this bit of SP.
pub const STACK_SIZE: u64 = 1 << 15;

/// The linear map's address of `addr`.
#[must_use]
pub const fn linear(addr: PhysAddr) -> VirtAddr {
    VirtAddr::new(LINEAR_BASE | addr.get())
}

/// The address of the device register at `addr`, once mapped.
#[must_use]
pub const fn device(addr: PhysAddr) -> VirtAddr {
    VirtAddr::new(DEVICE_BASE | addr.get())
}

/// An address of the kernel's half as a pointer, with whatever provenance was exposed for it: addresses that come from the
/// linker, the device tree or a register have no other.
#[must_use]
#[inline]
pub fn pointer<T>(addr: VirtAddr) -> *mut T {
    core::ptr::with_exposed_provenance_mut(bytes(addr.get()))
}

/// A length or an index as Rust wants it.
#[must_use]
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "this runs where addresses have 64 bits; elsewhere it is only tested"
)]
pub const fn bytes(len: u64) -> usize {
    len as usize
}

/// Top of stack number `slot` in the stack area.
#[must_use]
pub const fn stack_top(slot: u64) -> VirtAddr {
    VirtAddr::new(STACK_AREA + (slot + 1) * 2 * STACK_SIZE)
}
