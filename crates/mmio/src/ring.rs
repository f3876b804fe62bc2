//! The three parts of a split virtqueue in memory, for chains of one descriptor.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering, fence};
use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Error, Hal, PAGE_SIZE, PhysAddr};

/// VIRTQ_DESC_F_WRITE.
const WRITE: u16 = 1 << 1;
/// VIRTQ_AVAIL_F_NO_INTERRUPT, and the same bit of the used ring, VIRTQ_USED_F_NO_NOTIFY.
const SUPPRESS: u16 = 1;

/// A descriptor that the device has returned, and how many bytes it says it wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned {
    pub(crate) id: u16,
    pub(crate) written: u32,
}

/// Descriptor table, available ring and used ring with `N` entries each, and where we are in them. Nothing but the used ring is
/// read back: a device that writes elsewhere confuses itself alone.
///
/// In one block with the legacy interface's layout, which is a valid one for the modern interface too.
///
/// Source: VirtIO 1.2 §2.7, §2.7.2 (layout).
pub(crate) struct Ring<H: Hal, const N: usize> {
    block: NonNull<u8>,
    address: PhysAddr,
    /// Index of the next entry of the available ring; of the used ring.
    available: u16,
    used: u16,
    hal: PhantomData<H>,
}

// SAFETY: owns its block; what the device does to it does not depend on the thread.
unsafe impl<H: Hal, const N: usize> Send for Ring<H, N> {}
// SAFETY: shared access only reads indices that the device writes, atomically.
unsafe impl<H: Hal, const N: usize> Sync for Ring<H, N> {}

impl<H: Hal, const N: usize> Ring<H, N> {
    /// A power of two below 2¹⁵, so that an index finds its entry by masking.
    const MASK: u16 = {
        assert!(N.is_power_of_two() && N < 1 << 15, "entries");
        #[expect(clippy::cast_possible_truncation, reason = "asserted")]
        {
            (N - 1) as u16
        }
    };
    const AVAILABLE: usize = N * 16;
    const USED: usize = (Self::AVAILABLE + 6 + 2 * N).next_multiple_of(PAGE_SIZE);
    const PAGES: usize = (Self::USED + 6 + 8 * N).div_ceil(PAGE_SIZE);

    /// Sets up queue `number` of the device behind `transport`.
    pub(crate) fn new(transport: &mut impl Transport, number: u16) -> virtio_drivers::Result<Self> {
        if transport.queue_used(number) {
            return Err(Error::AlreadyUsed);
        }
        let size = u32::from(Self::MASK) + 1;
        if transport.max_queue_size(number) < size {
            return Err(Error::InvalidParam);
        }
        let (address, block) = H::dma_alloc(Self::PAGES, BufferDirection::Both);
        if address == 0 {
            return Err(Error::DmaError);
        }
        let ring = Self { block, address, available: 0, used: 0, hal: PhantomData };
        let (available, used) = (address + Self::AVAILABLE as u64, address + Self::USED as u64);
        transport.queue_set(number, size, address, available, used);
        Ok(ring)
    }

    /// A pointer to `offset` bytes into the block.
    ///
    /// # Safety
    ///
    /// `offset` and the `T` there lie within the block.
    #[inline]
    unsafe fn at<T>(&self, offset: usize) -> *mut T {
        // SAFETY: as the caller vouches. The block begins a page, and all offsets are multiples of what lies there.
        unsafe { self.block.as_ptr().add(offset).cast() }
    }

    /// An index or flags word, which the device reads or writes at the same time.
    ///
    /// # Safety
    ///
    /// As for [`Self::at`], and `offset` is even.
    #[inline]
    unsafe fn word(&self, offset: usize) -> &AtomicU16 {
        // SAFETY: within the block, which lives as long as `self`; accessed in no other way.
        unsafe { AtomicU16::from_ptr(self.at(offset)) }
    }

    /// Makes `len` bytes at `address` available to the device as descriptor `id`, to write or to read.
    #[inline]
    pub(crate) fn offer(&mut self, id: u16, address: PhysAddr, len: u32, writable: bool) {
        let id = id & Self::MASK;
        let flags = if writable { WRITE } else { 0 };
        let slot = usize::from(self.available & Self::MASK);
        self.available = self.available.wrapping_add(1);
        // SAFETY: `id` and `slot` are below N: a descriptor, an entry of the available ring, its index. The device reads
        // neither of the first two before it sees the new index.
        unsafe {
            let descriptor: *mut u64 = self.at(usize::from(id) * 16);
            descriptor.write_volatile(address.to_le());
            descriptor.add(1).write_volatile((u64::from(flags) << 32 | u64::from(len)).to_le());
            self.at::<u16>(Self::AVAILABLE + 4 + slot * 2).write_volatile(id.to_le());
            self.word(Self::AVAILABLE + 2).store(self.available.to_le(), Ordering::Release);
        }
    }

    /// Whether the device has returned something.
    #[inline]
    pub(crate) fn has_returns(&self) -> bool {
        // SAFETY: the index of the used ring.
        let index = unsafe { self.word(Self::USED + 2) }.load(Ordering::Acquire);
        u16::from_le(index) != self.used
    }

    /// Takes what the device returned next.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Returned> {
        if !self.has_returns() {
            return None;
        }
        let slot = usize::from(self.used & Self::MASK);
        // SAFETY: an entry of the used ring, written before the index that was acquired; read once.
        let (id, written) = unsafe {
            let entry: *const u32 = self.at(Self::USED + 4 + slot * 8);
            (u32::from_le(entry.read_volatile()), u32::from_le(entry.add(1).read_volatile()))
        };
        self.used = self.used.wrapping_add(1);
        #[expect(clippy::cast_possible_truncation, reason = "the upper half is there for alignment alone")]
        Some(Returned { id: id as u16, written })
    }

    /// Asks the device to interrupt when it returns something, or not to.
    #[inline]
    pub(crate) fn set_interrupts(&self, wanted: bool) {
        let flags = if wanted { 0 } else { SUPPRESS };
        // SAFETY: the flags of the available ring.
        unsafe { self.word(Self::AVAILABLE) }.store(flags.to_le(), Ordering::Release);
        if wanted {
            // Whoever then looks for returns sees those that came before the device saw this.
            fence(Ordering::SeqCst);
        }
    }

    /// Whether the device wants to be told of what was offered.
    #[inline]
    pub(crate) fn wants_notification(&self) -> bool {
        // The index that was stored is seen before the flags are read: either we see that the device wants to be told, or it
        // sees the index when it looks once more.
        fence(Ordering::SeqCst);
        // SAFETY: the flags of the used ring.
        u16::from_le(unsafe { self.word(Self::USED) }.load(Ordering::Acquire)) & SUPPRESS == 0
    }
}

impl<H: Hal, const N: usize> Drop for Ring<H, N> {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this length; the owner has reset the device.
        let failed = unsafe { H::dma_dealloc(self.address, self.block, Self::PAGES) };
        debug_assert_eq!(failed, 0, "it was allocated");
    }
}

impl<H: Hal, const N: usize> fmt::Debug for Ring<H, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("available", &self.available)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}
