//! Physical and virtual addresses, and the 4 KiB units of both.

use core::fmt;

/// Binary logarithm of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;

/// Size of a frame and of a page, in bytes.
pub const PAGE_SIZE: usize = 1 << PAGE_SHIFT;

const OFFSET_MASK: u64 = PAGE_SIZE as u64 - 1;

/// How many pages `bytes` bytes take, rounded up. Never overflows.
#[must_use]
pub const fn page_count(bytes: u64) -> u64 {
    (bytes >> PAGE_SHIFT) + (bytes & OFFSET_MASK != 0) as u64
}

/// A byte address in physical memory, at most 52 bits wide.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct PhysAddr(u64);

impl PhysAddr {
    /// One past the largest physical address.
    pub const LIMIT: u64 = 1 << 52;

    /// Makes an address; `None` if it has more than 52 bits.
    #[must_use]
    pub const fn new(addr: u64) -> Option<Self> {
        if addr < Self::LIMIT { Some(Self(addr)) } else { None }
    }

    /// The address as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The address `bytes` further on; `None` past the physical address space.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(addr) => Self::new(addr),
            None => None,
        }
    }
}

impl fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p:{:#x}", self.0)
    }
}

/// A byte address in some address space, user or kernel. Any 64-bit value.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct VirtAddr(u64);

impl VirtAddr {
    /// One past the largest user address: TTBR0 with 48 bits.
    pub const USER_LIMIT: u64 = 1 << 48;

    /// Makes an address.
    #[must_use]
    pub const fn new(addr: u64) -> Self {
        Self(addr)
    }

    /// The address as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The address `bytes` further on; `None` on wrap-around.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(addr) => Some(Self(addr)),
            None => None,
        }
    }

    /// Whether the `len` bytes from here lie wholly below [`Self::USER_LIMIT`].
    #[must_use]
    pub const fn is_user_range(self, len: u64) -> bool {
        self.0 <= Self::USER_LIMIT && len <= Self::USER_LIMIT - self.0
    }

    /// Distance from the start of its page, in bytes.
    #[must_use]
    pub const fn page_offset(self) -> usize {
        (self.0 & OFFSET_MASK) as usize
    }

    /// Whether it is the first byte of a page.
    #[must_use]
    pub const fn is_page_aligned(self) -> bool {
        self.0 & OFFSET_MASK == 0
    }
}

impl fmt::Debug for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v:{:#x}", self.0)
    }
}

/// A 4 KiB frame of physical memory, by number.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Frame(u64);

impl Frame {
    /// The frame with number `number`; `None` beyond the physical address space.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        if number < PhysAddr::LIMIT >> PAGE_SHIFT { Some(Self(number)) } else { None }
    }

    /// The frame that `addr` lies in.
    #[must_use]
    pub const fn containing(addr: PhysAddr) -> Self {
        Self(addr.0 >> PAGE_SHIFT)
    }

    /// Its number: physical address divided by 4096.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Address of its first byte.
    #[must_use]
    pub const fn start(self) -> PhysAddr {
        PhysAddr(self.0 << PAGE_SHIFT)
    }

    /// The frame `n` further on; `None` beyond the physical address space.
    #[must_use]
    pub const fn checked_add(self, n: u64) -> Option<Self> {
        match self.0.checked_add(n) {
            Some(number) => Self::from_number(number),
            None => None,
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame:{:#x}", self.start().0)
    }
}

/// A 4 KiB page of virtual memory, by number.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Page(u64);

impl Page {
    /// The page that `addr` lies in.
    #[must_use]
    pub const fn containing(addr: VirtAddr) -> Self {
        Self(addr.0 >> PAGE_SHIFT)
    }

    /// The page with number `number`; `None` beyond 64-bit addresses.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        if number <= u64::MAX >> PAGE_SHIFT { Some(Self(number)) } else { None }
    }

    /// Its number: virtual address divided by 4096.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Address of its first byte.
    #[must_use]
    pub const fn start(self) -> VirtAddr {
        VirtAddr(self.0 << PAGE_SHIFT)
    }

    /// The page `n` further on; `None` beyond 64-bit addresses.
    #[must_use]
    pub const fn checked_add(self, n: u64) -> Option<Self> {
        match self.0.checked_add(n) {
            Some(number) => Self::from_number(number),
            None => None,
        }
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page:{:#x}", self.start().0)
    }
}

#[cfg(test)]
mod tests;
