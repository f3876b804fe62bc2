//! Ranks of the machine's locks: inside all of `kcore`'s, since the machine never calls back.

use swos_sync::Rank;

/// The disk's queue.
pub(crate) const BLOCK: &Rank = &Rank::new(100, "block queue");
/// The network interface's queues.
pub(crate) const NET: &Rank = &Rank::new(102, "network queues");
/// The heap.
pub(crate) const HEAP: &Rank = &Rank::new(110, "heap");
/// The kernel's translation tables.
pub(crate) const TABLES: &Rank = &Rank::new(115, "kernel tables");
/// Physical frames.
pub(crate) const FRAMES: &Rank = &Rank::new(120, "frames");
/// Shared registers of the interrupt controller.
pub(crate) const GIC: &Rank = &Rank::new(125, "interrupt controller");
/// The serial port.
pub(crate) const CONSOLE: &Rank = &Rank::new(130, "console");
