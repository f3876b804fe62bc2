//! The bits of an entry, and the types that stand for the combinations we allow.

use swos_units::{Frame, PhysAddr};

/// What may be done with a page. Writable and executable at once can't be said.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Access {
    /// Nothing: the page keeps its frame, but no access reaches it.
    None,
    /// Read.
    ReadOnly,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
}

/// Which half of the virtual address space: which base register, and whose permissions.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Half {
    /// TTBR0: addresses below 2⁴⁸, entries tagged with an ASID, accessible from EL0.
    User,
    /// TTBR1: addresses from -2⁴⁸ up, global entries, accessible from EL1 alone.
    Kernel,
}

/// How the memory behaves; the index into [`MAIR_EL1`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MemoryType {
    /// RAM: write-back, inner shareable.
    Normal = 0,
    /// Device registers: nGnRE, never executable.
    Device = 1,
    /// RAM that a device reads or writes without snooping.
    NonCacheable = 2,
}

/// To whom a page's frame belongs: three software bits that the hardware ignores.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Sharing {
    /// To this mapping alone.
    Private,
    /// To several: a write needs a copy first, so the entry is never writable.
    CopyOnWrite,
    /// To an object (page cache, shared memory, a device); the mapping holds a reference at most.
    Shared,
}

/// The value for `MAIR_EL1` that [`MemoryType`] indexes. Source: DDI 0487 L.a §D23.2.110.
pub const MAIR_EL1: u64 = 0xFF | 0x04 << 8 | 0x44 << 16;

pub(crate) const VALID: u64 = 1 << 0;
/// At levels 0 to 2: the entry points to a table. At level 3: the entry is a page.
pub(crate) const TABLE_OR_PAGE: u64 = 1 << 1;
const ATTRIBUTE_INDEX_SHIFT: u32 = 2;
const USER_ACCESSIBLE: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 0b11 << 8;
const ACCESS_FLAG: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
pub(crate) const ADDRESS: u64 = (1 << 48) - (1 << 12);
const PRIVILEGED_NO_EXECUTE: u64 = 1 << 53;
const USER_NO_EXECUTE: u64 = 1 << 54;
const COPY_ON_WRITE: u64 = 1 << 55;
const SHARED: u64 = 1 << 56;
/// Set in every leaf that [`Attributes`] makes, so that an inaccessible page at frame 0 is not an empty entry.
const LEAF: u64 = 1 << 57;

/// Everything a leaf says besides its frame: made once, then copied into entries.
///
/// Source: DDI 0487 L.a §D8.3.1.2 (attribute fields), §D8.4.1 (AP, PXN, UXN).
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Attributes(u64);

impl Attributes {
    /// For EL0. A copy-on-write page is read-only in its entry whatever `access` says of writing. EL1 never executes it.
    #[must_use]
    pub const fn user(access: Access, sharing: Sharing) -> Self {
        let bits = USER_ACCESSIBLE | NOT_GLOBAL | PRIVILEGED_NO_EXECUTE;
        Self(bits | Self::common(access, sharing, USER_NO_EXECUTE)).with_memory(MemoryType::Normal)
    }

    /// For EL1 alone. EL0 never executes it.
    #[must_use]
    pub const fn kernel(access: Access, memory: MemoryType) -> Self {
        Self(USER_NO_EXECUTE | Self::common(access, Sharing::Private, PRIVILEGED_NO_EXECUTE))
            .with_memory(memory)
    }

    /// The same with another memory type. What is not [`MemoryType::Normal`] loses execution.
    #[must_use]
    pub const fn with_memory(self, memory: MemoryType) -> Self {
        let mask = 0b111 << ATTRIBUTE_INDEX_SHIFT;
        let bits = self.0 & !mask | (memory as u64) << ATTRIBUTE_INDEX_SHIFT;
        match memory {
            MemoryType::Normal => Self(bits),
            MemoryType::Device | MemoryType::NonCacheable => {
                Self(bits | PRIVILEGED_NO_EXECUTE | USER_NO_EXECUTE)
            }
        }
    }

    /// The same with other access: what `mprotect` does to a page that is mapped.
    #[must_use]
    pub const fn with_access(self, access: Access) -> Self {
        let fresh = match self.half() {
            Half::User => Self::user(access, self.sharing()),
            Half::Kernel => Self::kernel(access, MemoryType::Normal),
        };
        fresh.with_memory(self.memory())
    }

    const fn common(access: Access, sharing: Sharing, no_execute: u64) -> u64 {
        let sharing_bits = match sharing {
            Sharing::Private => 0,
            Sharing::CopyOnWrite => COPY_ON_WRITE,
            Sharing::Shared => SHARED,
        };
        let access_bits = match (access, sharing) {
            (Access::None, _) => READ_ONLY | no_execute,
            (Access::ReadWrite, Sharing::Private | Sharing::Shared) => VALID | no_execute,
            (Access::ReadOnly, _) | (Access::ReadWrite, Sharing::CopyOnWrite) => {
                VALID | READ_ONLY | no_execute
            }
            (Access::ReadExecute, _) => VALID | READ_ONLY,
        };
        access_bits | sharing_bits | LEAF | ACCESS_FLAG | INNER_SHAREABLE
    }

    /// What it allows.
    #[must_use]
    pub const fn access(self) -> Access {
        let no_execute = match self.half() {
            Half::User => USER_NO_EXECUTE,
            Half::Kernel => PRIVILEGED_NO_EXECUTE,
        };
        if self.0 & VALID == 0 {
            Access::None
        } else if self.0 & READ_ONLY == 0 {
            Access::ReadWrite
        } else if self.0 & no_execute == 0 {
            Access::ReadExecute
        } else {
            Access::ReadOnly
        }
    }

    /// To whom the frame belongs.
    #[must_use]
    pub const fn sharing(self) -> Sharing {
        if self.0 & COPY_ON_WRITE != 0 {
            Sharing::CopyOnWrite
        } else if self.0 & SHARED != 0 {
            Sharing::Shared
        } else {
            Sharing::Private
        }
    }

    /// How the memory behaves.
    #[must_use]
    pub const fn memory(self) -> MemoryType {
        match self.0 >> ATTRIBUTE_INDEX_SHIFT & 0b111 {
            1 => MemoryType::Device,
            2 => MemoryType::NonCacheable,
            _ => MemoryType::Normal,
        }
    }

    /// Whether the bits keep the rules that nothing may break: not writable and executable at once, device memory never
    /// executable, each half executed and reached by its own level only. Looks at the bits as hardware does, so that
    /// an entry that something else than this crate wrote shows.
    #[must_use]
    pub const fn is_sound(self) -> bool {
        const NEVER: u64 = PRIVILEGED_NO_EXECUTE | USER_NO_EXECUTE;
        let user = self.0 & USER_ACCESSIBLE != 0;
        let other = if user { PRIVILEGED_NO_EXECUTE } else { USER_NO_EXECUTE };
        let executable = self.0 & NEVER != NEVER;
        let plain = self.0 >> ATTRIBUTE_INDEX_SHIFT & 0b111 == MemoryType::Normal as u64;
        self.0 & VALID == 0
            || (user == (self.0 & NOT_GLOBAL != 0)
                && self.0 & other != 0
                && !(executable && (self.0 & READ_ONLY == 0 || !plain)))
    }

    /// Whose permissions they are.
    #[must_use]
    pub const fn half(self) -> Half {
        if self.0 & NOT_GLOBAL != 0 { Half::User } else { Half::Kernel }
    }
}

impl core::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Attributes")
            .field("half", &self.half())
            .field("access", &self.access())
            .field("sharing", &self.sharing())
            .field("memory", &self.memory())
            .finish()
    }
}

/// An entry as it stands in a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Entry {
    Empty,
    /// Levels 0 to 2: the next table.
    Table(Frame),
    /// A page or block, valid or without access.
    Leaf(Frame, Attributes),
}

/// Level of the tables whose leaves are pages.
pub(crate) const LAST_LEVEL: u32 = 3;

pub(crate) fn frame_of(entry: u64) -> Frame {
    PhysAddr::new(entry & ADDRESS).map_or(Frame::default(), Frame::containing)
}

/// A leaf as a copy of its space has it, and from then on the original too: what was private is read-only until somebody
/// writes. `None` = it belongs to others.
#[inline]
pub(crate) const fn shared_leaf(entry: u64) -> Option<u64> {
    if entry & SHARED != 0 { None } else { Some(entry | COPY_ON_WRITE | READ_ONLY) }
}

/// Whether an entry at `level` points to a table.
#[inline]
pub(crate) const fn is_table(entry: u64, level: u32) -> bool {
    level < LAST_LEVEL && entry & (VALID | TABLE_OR_PAGE) == VALID | TABLE_OR_PAGE
}

#[inline]
pub(crate) fn decode(entry: u64, level: u32) -> Entry {
    if is_table(entry, level) {
        return Entry::Table(frame_of(entry));
    }
    if entry & (VALID | LEAF) == 0 {
        return Entry::Empty;
    }
    Entry::Leaf(frame_of(entry), Attributes(entry & !(ADDRESS | TABLE_OR_PAGE)))
}

pub(crate) const fn encode_leaf(frame: Frame, attributes: Attributes, level: u32) -> u64 {
    let kind = if level == LAST_LEVEL { TABLE_OR_PAGE } else { 0 };
    frame.start().get() | attributes.0 | kind
}

pub(crate) const fn is_valid(entry: u64) -> bool {
    entry & VALID != 0
}

/// Bits 58:51 of a table descriptor, which the hardware ignores: bit *i* set if one of the entries 64·*i*..64·(*i*+1) of
/// the table may be in use. It makes teardown and the search for empty tables skip what was never touched.
/// Source: DDI 0487 L.a §D8.3.1.1 (table descriptor, IGNORED bits).
pub(crate) const SUMMARY_SHIFT: u32 = 51;
const SUMMARY: u64 = 0xFF << SUMMARY_SHIFT;

/// The summary bit for entry `index`, in place.
pub(crate) const fn summary_bit(index: usize) -> u64 {
    1 << (SUMMARY_SHIFT as usize + (index >> 6 & 7))
}

pub(crate) const fn encode_table(table: Frame, summary: u64) -> u64 {
    table.start().get() | VALID | TABLE_OR_PAGE | summary & SUMMARY
}

pub(crate) const fn summary_of(entry: u64) -> u64 {
    entry & SUMMARY
}

#[cfg(test)]
mod tests;
