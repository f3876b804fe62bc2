//! virtio-blk: several requests in flight, each of up to 32 blocks of 4 KiB.
//!
//! Source: VirtIO 1.2 §5.2.

use alloc::boxed::Box;
use arrayvec::ArrayVec;
use swos_arch::image;
use swos_units::{Frame, PAGE_SIZE};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceStatus, Transport};

use super::{LinearHal, negotiate};
use crate::memory;

const ENTRIES: usize = 256;
/// Requests in flight at most.
const SLOTS: usize = 16;
/// Blocks in one request at most.
pub(crate) const BLOCKS: usize = 32;
const SECTORS_PER_BLOCK: u64 = PAGE_SIZE as u64 / 512;
/// How often a device is asked whether it is reset. Those that take their time are answered within a few reads.
const RESET_READS: u32 = 1000;
/// VIRTIO_BLK_T_IN.
const READ: u32 = 0;
const STATUS_OK: u8 = 0;
/// What the device has not written yet.
const STATUS_PENDING: u8 = 0xff;

/// What the device reads and writes besides the data.
#[repr(C, align(32))]
struct Shared {
    /// Kind, reserved, sector: little endian.
    request: [u8; 16],
    status: u8,
}

struct Slot {
    /// Head descriptor while in flight.
    head: Option<u16>,
    id: u32,
    frames: ArrayVec<Frame, BLOCKS>,
    /// Raw, since the device writes to it.
    shared: *mut Shared,
}

/// The device.
pub(crate) struct BlockDevice {
    transport: MmioTransport<'static>,
    ring: VirtQueue<LinearHal, ENTRIES>,
    slots: Box<[Slot]>,
    blocks: u64,
    broken: bool,
}

// SAFETY: owns what its pointers lead to.
unsafe impl Send for BlockDevice {}

impl Slot {
    /// The parts of a request as the ring wants them: what the device reads, and what it writes.
    ///
    /// # Safety
    ///
    /// The slot is not in flight, or the device has returned it; the frames are the caller's to lend. The references are
    /// dropped before the device may use the memory, whatever their lifetime says.
    unsafe fn parts<'a>(&self) -> (&'a [u8], [&'a mut [u8]; BLOCKS + 1], usize) {
        // SAFETY: `shared` was leaked from a `Box` and is reached through this slot alone.
        let shared = unsafe { &mut *self.shared };
        // Not an `ArrayVec`, whose `Drop` the ring's lifetimes do not allow.
        let mut parts: [&mut [u8]; BLOCKS + 1] = core::array::from_fn(|_| &mut [][..]);
        let mut slots = parts.iter_mut();
        let mut used = 0;
        let mut frames = self.frames.iter().copied().peekable();
        while let Some(first) = frames.next() {
            let mut count = 1;
            while frames.next_if(|next| Some(*next) == first.checked_add(count)).is_some() {
                count += 1;
            }
            let len = image::bytes(count) * PAGE_SIZE;
            // SAFETY: RAM in the linear map, lent by the caller, neighbours in address as in number.
            let run = unsafe { core::slice::from_raw_parts_mut(memory::linear(first), len) };
            if let Some(slot) = slots.next() {
                *slot = run;
                used += 1;
            }
        }
        if let Some(slot) = slots.next() {
            *slot = core::slice::from_mut(&mut shared.status);
            used += 1;
        }
        (&shared.request, parts, used)
    }
}

/// Agrees with a device on nothing but the basics and sets its one queue up.
fn start_ring(transport: &mut MmioTransport<'static>) -> Option<VirtQueue<LinearHal, ENTRIES>> {
    negotiate(transport, 0)?;
    let ring = VirtQueue::new(transport, 0, false, false).ok()?;
    transport.finish_init();
    Some(ring)
}

impl BlockDevice {
    /// Starts the device.
    pub(crate) fn start(mut transport: MmioTransport<'static>) -> Option<Self> {
        let ring = start_ring(&mut transport)?;
        let sectors = transport
            .read_consistent(|| {
                let low = transport.read_config_space::<u32>(0)?;
                let high = transport.read_config_space::<u32>(4)?;
                Ok(u64::from(high) << 32 | u64::from(low))
            })
            .ok()?;
        let slots = (0..SLOTS).map(|_| Slot {
            head: None,
            id: 0,
            frames: ArrayVec::new(),
            shared: Box::into_raw(Box::new(Shared { request: [0; 16], status: 0 })),
        });
        Some(Self {
            transport,
            ring,
            slots: slots.collect(),
            blocks: sectors / SECTORS_PER_BLOCK,
            broken: false,
        })
    }

    /// Whole 4 KiB blocks on the disk.
    pub(crate) const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Whether it broke the protocol, so that every request fails.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Serves the device's interrupt.
    pub(crate) fn on_interrupt(&mut self) {
        self.transport.ack_interrupt();
    }

    /// Resets and starts it again: it has no request and no frame any more. False if it does not confirm that, or does not come
    /// back; it is not spoken to again then, and what it had may still be written by it.
    ///
    /// Source: VirtIO 1.2 §2.1.2, §4.2.2.2 (a reset is done when the status reads 0).
    pub(crate) fn reset(&mut self) -> bool {
        if self.broken {
            return false;
        }
        self.broken = true;
        self.transport.set_status(DeviceStatus::empty());
        if !(0..RESET_READS).any(|_| self.transport.get_status().is_empty()) {
            return false;
        }
        for slot in &mut self.slots {
            slot.head = None;
        }
        let Some(ring) = start_ring(&mut self.transport) else { return false };
        // The device was reset, so it has left the memory of the old one.
        self.ring = ring;
        self.broken = false;
        true
    }

    /// Starts to read blocks into frames, which are the device's until the completion. False = no room.
    pub(crate) fn read(&mut self, id: u32, first: u64, frames: &[Frame]) -> bool {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.head.is_none()) else { return false };
        slot.frames.clear();
        if frames.is_empty() || slot.frames.try_extend_from_slice(frames).is_err() {
            return false;
        }
        slot.id = id;
        // SAFETY: not in flight, so the device has no claim on it.
        let shared = unsafe { &mut *slot.shared };
        shared.request = [0; 16];
        let (kind, sector) = shared.request.split_at_mut(8);
        kind[..4].copy_from_slice(&READ.to_le_bytes());
        sector.copy_from_slice(&first.saturating_mul(SECTORS_PER_BLOCK).to_le_bytes());
        shared.status = STATUS_PENDING;
        // SAFETY: not in flight; the caller lends the frames until the completion.
        let (request, mut parts, used) = unsafe { slot.parts() };
        // SAFETY: the parts are not touched until `complete` gets the head back.
        let added = unsafe { self.ring.add(&[request], &mut parts[..used]) };
        let Ok(head) = added else { return false };
        slot.head = Some(head);
        if !self.broken && self.ring.should_notify() {
            self.transport.notify(0);
        }
        true
    }

    /// The next request that is done, and whether its data came.
    pub(crate) fn complete(&mut self) -> Option<(u32, bool)> {
        if !self.broken {
            let head = self.ring.peek_used()?;
            if let Some(slot) = self.slots.iter_mut().find(|slot| slot.head == Some(head)) {
                // SAFETY: the device has returned the head.
                let (request, mut parts, used) = unsafe { slot.parts() };
                // SAFETY: the parts that were added with this head.
                let popped = unsafe { self.ring.pop_used(head, &[request], &mut parts[..used]) };
                if let Ok(len) = popped {
                    slot.head = None;
                    // SAFETY: returned by the device.
                    let status = unsafe { (*slot.shared).status };
                    let whole = image::bytes(len.into()) > slot.frames.len() * PAGE_SIZE;
                    return Some((slot.id, status == STATUS_OK && whole));
                }
            }
            // It returned what it did not have. After a reset it has nothing, and every request has failed.
            self.broken = true;
            self.transport.set_status(DeviceStatus::empty());
        }
        let slot = self.slots.iter_mut().find(|slot| slot.head.is_some())?;
        slot.head = None;
        Some((slot.id, false))
    }
}
