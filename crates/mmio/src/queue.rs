//! A virtqueue of single buffers.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::mem::ManuallyDrop;
use virtio_drivers::transport::{DeviceStatus, Transport};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use crate::Buffer;
use crate::ring::Ring;

/// How often a device is asked whether it is reset. Those that take their time are answered within a few reads.
const RESET_READS: u32 = 1000;

/// The device broke the protocol: it is not to be talked to any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Broken;

/// The queue has no room; here is the buffer back.
#[derive(Debug)]
pub struct Full<const SIZE: usize>(pub Buffer<SIZE>);

/// Who writes the buffers of a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// The device, for us to read.
    DeviceWrites,
    /// We, for the device to read.
    DeviceReads,
}

/// A buffer that the device has, and the device's address of it.
type Given<const SIZE: usize> = (Buffer<SIZE>, PhysAddr);

/// A queue of `N` entries and the buffers that the device has, one entry each.
///
/// Without the features for indirect descriptors and event indices: a buffer is one descriptor, and the flags suppress
/// interrupts and notifications as well.
///
/// Dropped, it keeps its memory for ever: a device may still write there, late, whatever else it is asked. [`Self::close`] gets the
/// memory back.
pub struct Queue<H: Hal, const N: usize, const SIZE: usize> {
    ring: ManuallyDrop<Ring<H, N>>,
    /// By descriptor.
    given: ManuallyDrop<Box<[Option<Given<SIZE>>]>>,
    /// Descriptors that are in nobody's hands.
    free: Vec<u16>,
    number: u16,
    direction: Direction,
    dirty: bool,
}

impl<H: Hal, const N: usize, const SIZE: usize> Queue<H, N, SIZE> {
    /// Sets up queue `number` of the device behind `transport`.
    ///
    /// # Errors
    ///
    /// What `virtio-drivers` says: no such queue, too short, or no memory.
    pub fn new(
        transport: &mut impl Transport,
        number: u16,
        direction: Direction,
    ) -> virtio_drivers::Result<Self> {
        let no_memory = |_| virtio_drivers::Error::DmaError;
        let mut given = Vec::new();
        given.try_reserve_exact(N).map_err(no_memory)?;
        given.resize_with(N, || None);
        let mut free = Vec::new();
        free.try_reserve_exact(N).map_err(no_memory)?;
        free.extend((0..=u16::MAX).take(N).rev());
        let ring = ManuallyDrop::new(Ring::new(transport, number)?);
        let given = ManuallyDrop::new(given.into_boxed_slice());
        Ok(Self { ring, given, free, number, direction, dirty: false })
    }

    /// Gives the device a buffer: to write all of it, or to read the first `len` bytes, as the queue's direction says. The
    /// device hears of it at the next [`Self::flush`].
    ///
    /// # Errors
    ///
    /// [`Full`], also if there is nothing to read.
    #[inline]
    pub fn give(&mut self, buffer: Buffer<SIZE>, len: usize) -> Result<(), Full<SIZE>> {
        let (len, direction) = match self.direction {
            Direction::DeviceWrites => (SIZE, BufferDirection::DeviceToDriver),
            Direction::DeviceReads => (len.min(SIZE), BufferDirection::DriverToDevice),
        };
        let (Ok(size), true) = (u32::try_from(len), len > 0) else { return Err(Full(buffer)) };
        let Some(id) = self.free.pop() else { return Err(Full(buffer)) };
        // SAFETY: the buffer goes to `given` until the device has returned it, so nobody touches the bytes.
        let address = unsafe { H::share(buffer.slice(), direction) };
        let Some(place) = self.given.get_mut(usize::from(id)) else {
            unreachable!("descriptors are numbered below N")
        };
        *place = Some((buffer, address));
        self.ring.offer(id, address, size, self.direction == Direction::DeviceWrites);
        self.dirty = true;
        Ok(())
    }

    /// Takes the next buffer that the device is done with, and how many bytes it says it wrote, at most `SIZE`.
    ///
    /// # Errors
    ///
    /// [`Broken`] if the device returned what it did not have.
    #[inline]
    pub fn take_back(&mut self) -> Result<Option<(Buffer<SIZE>, usize)>, Broken> {
        let Some(returned) = self.ring.pop() else { return Ok(None) };
        let given = self.given.get_mut(usize::from(returned.id)).and_then(Option::take);
        let (buffer, address) = given.ok_or(Broken)?;
        self.free.push(returned.id);
        let direction = match self.direction {
            Direction::DeviceWrites => BufferDirection::DeviceToDriver,
            Direction::DeviceReads => BufferDirection::DriverToDevice,
        };
        // SAFETY: the address that it was given under.
        unsafe { H::unshare(address, buffer.slice(), direction) };
        Ok(Some((buffer, usize::try_from(returned.written).unwrap_or(SIZE).min(SIZE))))
    }

    /// Resets the device, with all its queues, and frees what this one had lent it. If the device does not say that it is reset, its
    /// memory stays lent.
    ///
    /// Source: VirtIO 1.2 §2.1.2, §4.2.2.2 (a reset is done when the status reads 0).
    pub fn close(mut self, transport: &mut impl Transport) {
        transport.set_status(DeviceStatus::empty());
        if (0..RESET_READS).any(|_| transport.get_status().is_empty()) {
            // SAFETY: a reset device uses no memory of ours; neither is used again, for `self` ends here.
            unsafe {
                ManuallyDrop::drop(&mut self.given);
                ManuallyDrop::drop(&mut self.ring);
            }
        }
    }

    /// Whether the device has returned something.
    #[inline]
    #[must_use]
    pub fn has_returns(&self) -> bool {
        self.ring.has_returns()
    }

    /// Free entries.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.free.len()
    }

    /// Asks the device to interrupt when it returns a buffer, or not to.
    #[inline]
    pub fn set_interrupts(&mut self, wanted: bool) {
        self.ring.set_interrupts(wanted);
    }

    /// Tells the device about the buffers given since the last time, unless it looks by itself.
    #[inline]
    pub fn flush(&mut self, transport: &mut impl Transport) {
        if core::mem::take(&mut self.dirty) && self.ring.wants_notification() {
            transport.notify(self.number);
        }
    }
}

impl<H: Hal, const N: usize, const SIZE: usize> fmt::Debug for Queue<H, N, SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("number", &self.number)
            .field("room", &self.room())
            .finish_non_exhaustive()
    }
}
