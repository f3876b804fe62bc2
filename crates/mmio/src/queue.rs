//! A virtqueue of single buffers.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use virtio_drivers::Hal;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;

use crate::Buffer;

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

/// A queue of `N` entries and the buffers that the device has, one entry each.
///
/// Without the features for indirect descriptors (an allocation a request) and event indices: `virtio-drivers` 0.13 compares
/// those without regard to their wrapping, and would one day not notify. The flags do all we need.
pub struct Queue<H: Hal, const N: usize, const SIZE: usize> {
    ring: VirtQueue<H, N>,
    /// By head descriptor.
    given: Box<[Option<Buffer<SIZE>>]>,
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
        let ring = VirtQueue::new(transport, number, false, false)?;
        let mut given = Vec::new();
        given.try_reserve_exact(N).map_err(|_| virtio_drivers::Error::DmaError)?;
        given.resize_with(N, || None);
        Ok(Self { ring, given: given.into_boxed_slice(), number, direction, dirty: false })
    }

    /// Gives the device a buffer: to write all of it, or to read the first `len` bytes, as the queue's direction says. The
    /// device hears of it at the next [`Self::flush`].
    ///
    /// # Errors
    ///
    /// [`Full`], also if there is nothing to read.
    pub fn give(&mut self, buffer: Buffer<SIZE>, len: usize) -> Result<(), Full<SIZE>> {
        let mut slice = buffer.slice();
        let added = match self.direction {
            // SAFETY: the buffer goes to `given` until the device has returned it, so nobody touches the bytes.
            Direction::DeviceWrites => unsafe { self.ring.add(&[], &mut [slice.as_mut()]) },
            Direction::DeviceReads => {
                // SAFETY: as above.
                let bytes = unsafe { slice.as_ref() };
                let Some(bytes) = bytes.get(..len.min(SIZE)).filter(|bytes| !bytes.is_empty()) else {
                    return Err(Full(buffer));
                };
                // SAFETY: as above.
                unsafe { self.ring.add(&[bytes], &mut []) }
            }
        };
        self.keep(added, buffer)
    }

    fn keep(&mut self, added: virtio_drivers::Result<u16>, buffer: Buffer<SIZE>) -> Result<(), Full<SIZE>> {
        match added {
            Ok(head) => match self.given.get_mut(usize::from(head)) {
                Some(slot) => {
                    *slot = Some(buffer);
                    self.dirty = true;
                    Ok(())
                }
                None => unreachable!("the ring numbers its descriptors below its length"),
            },
            Err(_) => Err(Full(buffer)),
        }
    }

    /// Takes the next buffer that the device is done with, and how many bytes it says it wrote, at most `SIZE`.
    ///
    /// # Errors
    ///
    /// [`Broken`] if the device returned what it did not have.
    pub fn take_back(&mut self) -> Result<Option<(Buffer<SIZE>, usize)>, Broken> {
        let Some(head) = self.ring.peek_used() else { return Ok(None) };
        let buffer = self.given.get_mut(usize::from(head)).and_then(Option::take).ok_or(Broken)?;
        let mut slice = buffer.slice();
        let popped = match self.direction {
            // SAFETY: the buffer that was added with this head, which the device has returned.
            Direction::DeviceWrites => unsafe { self.ring.pop_used(head, &[], &mut [slice.as_mut()]) },
            // SAFETY: as above. It was added with a shorter length perhaps; the ring frees one descriptor either way.
            Direction::DeviceReads => unsafe { self.ring.pop_used(head, &[slice.as_ref()], &mut []) },
        };
        match popped {
            Ok(len) => Ok(Some((buffer, usize::try_from(len).unwrap_or(SIZE).min(SIZE)))),
            Err(_) => {
                // It changed its mind between two reads. It may still use the memory: never free it.
                core::mem::forget(buffer);
                Err(Broken)
            }
        }
    }

    /// Whether the device has returned something.
    #[must_use]
    pub fn has_returns(&self) -> bool {
        self.ring.can_pop()
    }

    /// Free entries.
    #[must_use]
    pub fn room(&self) -> usize {
        self.ring.available_desc()
    }

    /// Asks the device to interrupt when it returns a buffer, or not to.
    pub fn set_interrupts(&mut self, wanted: bool) {
        self.ring.set_dev_notify(wanted);
    }

    /// Tells the device about the buffers given since the last time, unless it looks by itself.
    pub fn flush(&mut self, transport: &mut impl Transport) {
        if core::mem::take(&mut self.dirty) && self.ring.should_notify() {
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
