//! Mapping memory.

use bitflags::bitflags;

bitflags! {
    /// How mapped pages may be used. `WRITE` with `EXECUTE` is refused.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Protection: u32 {
        /// Read.
        const READ = 1;
        /// Write (implies read).
        const WRITE = 2;
        /// Execute (implies read).
        const EXECUTE = 4;
    }

    /// How `mmap` maps. Exactly one of `PRIVATE` and `SHARED`.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct MapFlags: u32 {
        /// Changes are seen by others who map the object or file, and by who reads it.
        const SHARED = 0x1;
        /// Changes stay private.
        const PRIVATE = 0x2;
        /// At this very address, replacing what is there.
        const FIXED = 0x10;
        /// Zeroed memory, no object behind it.
        const ANONYMOUS = 0x20;
        /// At this very address, failing with `EXIST` if something is there.
        const FIXED_NOREPLACE = 0x10_0000;
    }
}

/// `memory_create`: the handle gets the right to map executable. No mapping is ever writable and executable at once.
pub const MEMORY_EXECUTE: u32 = 1;

/// `memory_advise`: what the pages hold is not needed any more.
pub const ADVISE_DISCARD: u32 = 4;
