//! What the tables need from the machine: memory for entries, and TLB maintenance.

use swos_units::{Frame, Page};

/// Memory that holds translation tables, 512 entries of 64 bits a frame.
///
/// The hardware reads it too: each `read` and `write` is one single-copy atomic 64-bit access.
pub trait TableMemory {
    /// Reads entry `index` (0..512) of `table`.
    fn read(&self, table: Frame, index: usize) -> u64;
    /// Writes entry `index` (0..512) of `table`.
    fn write(&mut self, table: Frame, index: usize, entry: u64);
    /// Provides a frame for a table, all zero; `None` if memory is short.
    fn alloc_table(&mut self) -> Option<Frame>;
    /// Takes back a table. It may hold anything.
    fn free_table(&mut self, table: Frame);
}

/// TLB maintenance for one address space: it knows the ASID, and whether local instructions are enough.
pub trait Tlb {
    /// Makes the table writes so far visible to the table walkers: `DSB ISHST` (and, for the kernel half, `ISB`).
    fn publish(&mut self);
    /// Starts dropping every translation of `page`, intermediate levels included (`TLBI VAE1IS`), ordered after the
    /// table writes so far. The page may lie anywhere inside a block.
    fn invalidate_page(&mut self, page: Page);
    /// Starts dropping every translation of the space (`TLBI ASIDE1IS`; `VMALLE1IS` for the kernel half).
    fn invalidate_space(&mut self);
    /// Returns when all invalidations so far have completed: `DSB ISH`, then `ISB`.
    fn synchronize(&mut self);
}
