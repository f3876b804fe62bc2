//! What the machine has, as its device tree says.
//!
//! In goes a flattened device tree, out comes a [`Platform`]: memory, processors, interrupt controller, timer, serial
//! port, clock, virtio windows and the boot arguments, all by value, so that the tree's memory can be given back.
//! The tree is read in one pass over its structure block.
//!
//! **Invariant:** no tree makes this crate panic, read outside the slice, or run longer than linear in its length.
//! **Invariant:** windows and memory regions are non-empty, do not wrap and lie below 2^52; memory and reserved
//! regions are sorted and disjoint.
//! **Absent on purpose:** device drivers, defaults for missing devices, and any address of a known board.
//!
//! ```no_run
//! # fn tree() -> &'static [u8] { &[] }
//! let platform = swos_platform::Platform::from_device_tree(tree())?;
//! for region in &platform.memory {
//!     assert!(region.len > 0);
//! }
//! # Ok::<(), swos_platform::Error>(())
//! ```
//!
//! Source: Devicetree Specification v0.4 §2, §3, §5; Linux kernel bindings `arm,gic.yaml`, `arm,gic-v3.yaml`,
//! `arm,arch_timer.yaml`, `psci.yaml`, `virtio/mmio.yaml` (names and cell layouts only).

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

mod fdt;
mod node;
mod options;
mod parse;

use arrayvec::{ArrayString, ArrayVec};
use core::fmt;

pub use fdt::tree_len;
pub use options::{LogLevel, Options, PanicEnd};

/// How many processors are recorded; further ones stay off.
pub const MAX_CPUS: usize = 8;
/// How many memory regions are recorded.
pub const MAX_REGIONS: usize = 32;
/// How many virtio-mmio windows are recorded.
pub const MAX_VIRTIO: usize = 64;
/// Longest command line, in bytes; a longer one is cut at a character border.
pub const MAX_BOOTARGS: usize = 1024;

/// A range of physical addresses: not empty, ends at or below 2^52.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Region {
    /// First byte.
    pub base: u64,
    /// Length in bytes, at least 1.
    pub len: u64,
}

impl Region {
    /// Makes a region; `None` if it is empty, wraps, or passes 2^52.
    #[must_use]
    pub const fn new(base: u64, len: u64) -> Option<Self> {
        match base.checked_add(len) {
            Some(end) if len > 0 && end <= swos_units::PhysAddr::LIMIT => Some(Self { base, len }),
            _ => None,
        }
    }

    /// One past the last byte.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.base + self.len
    }
}

/// How an interrupt line is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trigger {
    /// On a rising edge.
    Edge,
    /// While high.
    Level,
}

/// An interrupt as the GIC numbers it: 16..32 private to a processor, 32..1020 shared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Interrupt {
    /// INTID.
    pub id: u32,
    /// How the line is read.
    pub trigger: Trigger,
}

/// One processor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cpu {
    /// Affinity fields as in MPIDR_EL1.
    pub mpidr: u64,
}

/// How PSCI is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conduit {
    /// `hvc`.
    Hvc,
    /// `smc`.
    Smc,
}

/// The interrupt controller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gic {
    /// GICv2.
    V2 {
        /// Distributor.
        distributor: Region,
        /// CPU interface.
        cpu_interface: Region,
    },
    /// GICv3 or 4.
    V3 {
        /// Distributor.
        distributor: Region,
        /// First redistributor region.
        redistributors: Region,
    },
}

/// The private interrupts of the generic timer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timer {
    /// EL1 virtual timer, which every environment offers.
    pub virtual_el1: Interrupt,
}

/// A device with registers and one interrupt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Device {
    /// Registers.
    pub window: Region,
    /// Its interrupt.
    pub interrupt: Interrupt,
}

/// The machine.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Platform {
    /// RAM, sorted, disjoint.
    pub memory: ArrayVec<Region, MAX_REGIONS>,
    /// Ranges that the firmware keeps, sorted, disjoint.
    pub reserved: ArrayVec<Region, MAX_REGIONS>,
    /// Processors, at least one, in the tree's order.
    pub cpus: ArrayVec<Cpu, MAX_CPUS>,
    /// How PSCI is called; `None`: the machine has one processor to us and can't be switched off.
    pub psci: Option<Conduit>,
    /// Interrupt controller.
    pub gic: Option<Gic>,
    /// Generic timer.
    pub timer: Option<Timer>,
    /// PL011 serial port, the one that `/chosen/stdout-path` names if it names one.
    pub uart: Option<Device>,
    /// PL031 real-time clock.
    pub rtc: Option<Region>,
    /// virtio-mmio windows, sorted by address. Most of them are empty slots.
    pub virtio: ArrayVec<Device, MAX_VIRTIO>,
    /// `/chosen/bootargs`.
    pub bootargs: ArrayString<MAX_BOOTARGS>,
    /// `/chosen/rng-seed`, at most 64 bytes of it. Secret.
    pub rng_seed: ArrayVec<u8, 64>,
    /// `/chosen/kaslr-seed`. Secret.
    pub kaslr_seed: Option<u64>,
}

/// Why a tree was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// Shorter than a header, or than its header says.
    Truncated,
    /// Larger than 2 MiB.
    TooLarge {
        /// Bytes that it says it has.
        len: usize,
    },
    /// No device tree: wrong magic number.
    BadMagic,
    /// A version that this reader does not know.
    BadVersion {
        /// The version found.
        version: u32,
    },
    /// The slice does not start on a multiple of 8 bytes.
    Misaligned,
    /// The structure block is broken.
    Malformed {
        /// Byte offset in the tree.
        offset: usize,
    },
    /// No memory node with a usable range.
    NoMemory,
    /// More regions than are recorded.
    TooManyRegions,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("device tree is cut short"),
            Self::TooLarge { len } => {
                write!(f, "device tree has {} KiB, the most is 2048", len.div_ceil(1024))
            }
            Self::BadMagic => f.write_str("no device tree at the address given"),
            Self::BadVersion { version } => write!(f, "device tree has unknown version {version}"),
            Self::Misaligned => f.write_str("device tree is not aligned to 8 bytes"),
            Self::Malformed { offset } => write!(f, "device tree is malformed at byte {offset:#x}"),
            Self::NoMemory => f.write_str("device tree names no memory"),
            Self::TooManyRegions => f.write_str("device tree names too many memory regions"),
        }
    }
}

impl core::error::Error for Error {}

impl Platform {
    /// Reads the tree in `dtb`, which may be longer than the tree.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`]; see there.
    pub fn from_device_tree(dtb: &[u8]) -> Result<Self, Error> {
        parse::platform(dtb)
    }

    /// What a refused tree still tells: the serial port, so that the refusal can be shown, and PSCI. The memory is one
    /// made-up region, the 2 MiB from `image` that the program reading this runs in.
    #[must_use]
    pub fn console_only(dtb: &[u8], image: u64) -> Self {
        parse::console_only(dtb, image)
    }
}
