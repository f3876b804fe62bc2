//! A queue against a device that the test plays, honestly and not.

#![expect(unsafe_code, reason = "plays a device")]
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that fails, on a 64-bit host"
)]

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;
use std::alloc::{alloc_zeroed, dealloc};
use swos_mmio::{Broken, Buffer, Direction, Queue};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

const N: usize = 8;
const SIZE: usize = 64;

thread_local! {
    /// Rings that were freed.
    static FREED: Cell<u32> = const { Cell::new(0) };
}

/// Physical addresses are addresses.
struct HostHal;

// SAFETY: whole zeroed pages from the host's allocator, each until it is given back.
unsafe impl Hal for HostHal {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc_zeroed(layout(pages)) };
        (memory.expose_provenance() as u64, NonNull::new(memory).unwrap())
    }

    unsafe fn dma_dealloc(_: PhysAddr, memory: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: allocated above with this layout.
        unsafe { dealloc(memory.as_ptr(), layout(pages)) };
        FREED.set(FREED.get() + 1);
        0
    }

    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        unreachable!("no PCI here")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr().expose_provenance() as u64
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * 4096, 4096).unwrap()
}

/// The device's end of one queue.
#[derive(Default)]
struct Device {
    size: u32,
    descriptors: u64,
    driver: u64,
    device: u64,
    seen: u16,
    used: u16,
    notified: u32,
    /// How often the status is read before a reset is done; `None` = the driver has not asked for one.
    reset: Cell<Option<u32>>,
    resets_slowly: u32,
}

fn pointer<T>(at: u64) -> *mut T {
    core::ptr::with_exposed_provenance_mut(at as usize)
}

impl Device {
    /// The next chain that the driver made available: head, address, length, whether the device may write.
    fn take(&mut self) -> Option<(u16, u64, u32, bool)> {
        // SAFETY: the ring that `queue_set` named; the driver is not running.
        unsafe {
            let available = pointer::<u16>(self.driver);
            if available.add(1).read_volatile() == self.seen {
                return None;
            }
            let head = available.add(2 + usize::from(self.seen) % N).read_volatile();
            self.seen = self.seen.wrapping_add(1);
            let descriptor = pointer::<u8>(self.descriptors).add(usize::from(head) * 16);
            let flags = descriptor.add(12).cast::<u16>().read_volatile();
            Some((
                head,
                descriptor.cast::<u64>().read_volatile(),
                descriptor.add(8).cast::<u32>().read_volatile(),
                flags & 2 != 0,
            ))
        }
    }

    /// Returns a chain, real or invented.
    fn give_back(&mut self, head: u32, len: u32) {
        // SAFETY: as above.
        unsafe {
            let element = pointer::<u32>(self.device + 4).add(usize::from(self.used) % N * 2);
            element.write_volatile(head);
            element.add(1).write_volatile(len);
            self.used = self.used.wrapping_add(1);
            pointer::<u16>(self.device + 2).write_volatile(self.used);
        }
    }

    /// Whether the driver wants interrupts.
    fn may_interrupt(&self) -> bool {
        // SAFETY: as above.
        unsafe { pointer::<u16>(self.driver).read_volatile() & 1 == 0 }
    }

    /// Says whether the driver needs to notify.
    fn want_notifications(&self, wanted: bool) {
        // SAFETY: as above.
        unsafe { pointer::<u16>(self.device).write_volatile(u16::from(!wanted)) };
    }
}

impl Transport for Device {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }
    fn read_device_features(&mut self) -> u64 {
        0
    }
    fn write_driver_features(&mut self, _: u64) {}
    fn max_queue_size(&mut self, _: u16) -> u32 {
        N as u32
    }
    fn notify(&mut self, _: u16) {
        self.notified += 1;
    }
    fn get_status(&self) -> DeviceStatus {
        assert_eq!(FREED.get(), 0, "memory is the device's until it is reset");
        match self.reset.get() {
            Some(0) => DeviceStatus::empty(),
            reset => {
                self.reset.set(reset.map(|reads| reads - 1));
                DeviceStatus::DRIVER_OK
            }
        }
    }
    fn set_status(&mut self, status: DeviceStatus) {
        self.reset.set(status.is_empty().then_some(self.resets_slowly));
    }
    fn set_guest_page_size(&mut self, _: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, _: u16, size: u32, descriptors: PhysAddr, driver: PhysAddr, device: PhysAddr) {
        (self.size, self.descriptors, self.driver, self.device) = (size, descriptors, driver, device);
    }
    fn queue_unset(&mut self, _: u16) {}
    fn queue_used(&mut self, _: u16) -> bool {
        self.size != 0
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }
    fn read_config_generation(&self) -> u32 {
        0
    }
    fn read_config_space<T: zerocopy::FromBytes + zerocopy::IntoBytes>(
        &self,
        _: usize,
    ) -> virtio_drivers::Result<T> {
        Err(virtio_drivers::Error::ConfigSpaceMissing)
    }
    fn write_config_space<T: zerocopy::IntoBytes + zerocopy::Immutable>(
        &mut self,
        _: usize,
        _: T,
    ) -> virtio_drivers::Result<()> {
        Err(virtio_drivers::Error::ConfigSpaceMissing)
    }
}

type TestQueue = Queue<HostHal, N, SIZE>;

fn start(direction: Direction) -> (TestQueue, Device) {
    let mut device = Device::default();
    (TestQueue::new(&mut device, 0, direction).unwrap(), device)
}

fn buffer(fill: u8) -> Buffer<SIZE> {
    let mut buffer = Buffer::new().unwrap();
    buffer.fill(fill);
    buffer
}

#[test]
fn receives_in_any_order_again_and_again() {
    let (mut queue, mut device) = start(Direction::DeviceWrites);
    for round in 0..100u8 {
        for _ in 0..N {
            queue.give(buffer(0), SIZE).unwrap();
        }
        assert_eq!(queue.room(), 0);
        assert!(queue.give(buffer(0), SIZE).is_err());
        let mut chains: Vec<_> = core::iter::from_fn(|| device.take()).collect();
        assert_eq!(chains.len(), N);
        let turn = usize::from(round) % N;
        chains.rotate_left(turn);
        for (index, (head, address, len, writable)) in chains.into_iter().enumerate() {
            assert!(writable && len as usize == SIZE);
            // SAFETY: a buffer that the driver gave to this device.
            unsafe { pointer::<u8>(address).write_volatile(round ^ index as u8) };
            device.give_back(head.into(), 1 + index as u32);
        }
        for index in 0..N {
            let (buffer, len) = queue.take_back().unwrap().unwrap();
            assert_eq!((buffer[0], len), (round ^ index as u8, 1 + index));
        }
        assert!(queue.take_back().unwrap().is_none());
    }
}

#[test]
fn sends_just_what_was_asked() {
    let (mut queue, mut device) = start(Direction::DeviceReads);
    queue.give(buffer(7), 20).unwrap();
    let (head, address, len, writable) = device.take().unwrap();
    assert_eq!((len, writable), (20, false));
    // SAFETY: a buffer that the driver gave to this device.
    assert_eq!(unsafe { pointer::<u8>(address).add(19).read_volatile() }, 7);
    device.give_back(head.into(), 0);
    assert_eq!(queue.take_back().unwrap().unwrap().1, 0);
    assert!(queue.give(buffer(0), 0).is_err(), "nothing to read");
}

#[test]
fn notifies_once_a_batch_and_only_if_asked() {
    let (mut queue, mut device) = start(Direction::DeviceReads);
    queue.flush(&mut device);
    assert_eq!(device.notified, 0, "nothing was given");
    queue.give(buffer(0), 1).unwrap();
    queue.give(buffer(0), 1).unwrap();
    queue.flush(&mut device);
    queue.flush(&mut device);
    assert_eq!(device.notified, 1);
    device.want_notifications(false);
    queue.give(buffer(0), 1).unwrap();
    queue.flush(&mut device);
    assert_eq!(device.notified, 1);
}

#[test]
fn passes_on_whether_to_interrupt() {
    let (mut queue, device) = start(Direction::DeviceWrites);
    assert!(device.may_interrupt());
    queue.set_interrupts(false);
    assert!(!device.may_interrupt());
    queue.set_interrupts(true);
    assert!(device.may_interrupt());
}

#[test]
fn cuts_a_length_that_cannot_be() {
    let (mut queue, mut device) = start(Direction::DeviceWrites);
    queue.give(buffer(0), SIZE).unwrap();
    let (head, ..) = device.take().unwrap();
    device.give_back(head.into(), u32::MAX);
    assert_eq!(queue.take_back().unwrap().unwrap().1, SIZE);
}

#[test]
fn finds_out_a_device_that_returns_what_it_does_not_have() {
    for id in [1, N as u32 - 1, N as u32, 0x1_0000, u32::MAX] {
        let (mut queue, mut device) = start(Direction::DeviceWrites);
        queue.give(buffer(0), SIZE).unwrap();
        let (head, ..) = device.take().unwrap();
        let wrong = u32::from(head) + id;
        device.give_back(wrong, 1);
        // Identifiers have 16 bits: 0x1_0000 more is the same.
        let expected = if wrong as u16 == head { Ok(true) } else { Err(Broken) };
        assert_eq!(queue.take_back().map(|returned| returned.is_some()), expected, "{id:#x}");
    }
}

#[test]
fn finds_out_a_device_that_returns_something_twice() {
    let (mut queue, mut device) = start(Direction::DeviceWrites);
    queue.give(buffer(0), SIZE).unwrap();
    let (head, ..) = device.take().unwrap();
    device.give_back(head.into(), 1);
    device.give_back(head.into(), 1);
    assert!(queue.take_back().unwrap().is_some());
    assert_eq!(queue.take_back().map(drop), Err(Broken));
}

#[test]
fn finds_out_an_index_that_jumps() {
    let (mut queue, mut device) = start(Direction::DeviceWrites);
    queue.give(buffer(0), SIZE).unwrap();
    device.used = 1000;
    // SAFETY: the ring that `queue_set` named.
    unsafe { pointer::<u16>(device.device + 2).write_volatile(1000) };
    // The ring is all zeros: it names descriptor 0 over and over.
    assert!(queue.take_back().is_ok());
    assert_eq!(queue.take_back().map(drop), Err(Broken));
}

#[test]
fn a_dropped_queue_leaves_its_memory_to_the_device() {
    let (mut queue, mut device) = start(Direction::DeviceWrites);
    queue.give(buffer(0), SIZE).unwrap();
    let (head, address, ..) = device.take().unwrap();
    drop(queue);
    assert_eq!(FREED.get(), 0);
    // SAFETY: the device has not returned it, so it is still there.
    unsafe { pointer::<u8>(address).write_volatile(1) };
    device.give_back(head.into(), 1);
}

#[test]
fn a_closed_queue_frees_its_memory_when_the_device_is_reset() {
    for slowness in [0, 1, 100] {
        FREED.set(0);
        let (mut queue, mut device) = start(Direction::DeviceWrites);
        device.resets_slowly = slowness;
        queue.give(buffer(0), SIZE).unwrap();
        queue.close(&mut device);
        assert_eq!((device.reset.get(), FREED.get()), (Some(0), 1));
    }
}

#[test]
fn a_device_that_does_not_reset_keeps_the_memory() {
    let (queue, mut device) = start(Direction::DeviceWrites);
    device.resets_slowly = u32::MAX;
    queue.close(&mut device);
    assert!(device.reset.get().is_some());
    assert_eq!(FREED.get(), 0);
}
