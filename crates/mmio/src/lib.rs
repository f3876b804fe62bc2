//! Device registers and memory that devices read and write, as values with an owner.
//!
//! - [`Window`]: a mapped range of device registers that is turned into one typed register block, once.
//! - [`Buffer`]: memory for one transfer; whoever has the value may touch the bytes.
//! - [`Queue`]: a virtqueue that owns the buffers which the device has. A device that names a buffer it does not have, or
//!   claims to have written more than there is, is found out here and nowhere leads to a bad access.
//! - [`Rtc`]: the PL031 clock.
//!
//! **Invariant:** a buffer's bytes are reachable from Rust or from the device, never from both.
//! **Invariant:** nothing waits for a device.
//! **Absent on purpose:** which device is where, interrupts, policy.
//!
//! Source: VirtIO 1.2 §2.7 (split virtqueues); Arm DDI 0224 (PL031); the register logic is that of the `safe-mmio` and
//! `virtio-drivers` crates.

#![cfg_attr(not(test), no_std)]
#![expect(unsafe_code, reason = "memory shared with devices; argued in SOUNDNESS.md")]

extern crate alloc;

mod buffer;
mod queue;
mod ring;
mod rtc;
mod window;

pub use buffer::Buffer;
pub use queue::{Broken, Direction, Full, Queue};
pub use rtc::{Rtc, RtcRegisters};
pub use window::Window;
