//! virtio-mmio devices: finding them, starting them.

mod block;
mod entropy;
mod net;

use alloc::vec::Vec;
use core::ptr::NonNull;
use swos_arch::image::{self, LINEAR_BASE, LINEAR_LIMIT};
use swos_mmio::Window;
use swos_platform::{Device, Platform, Region};
use swos_pmm::Order;
use swos_units::{Frame, PhysAddr};
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal};

use crate::memory;

pub(crate) use block::BlockDevice;
pub(crate) use entropy::EntropyDevice;
pub(crate) use net::NetDevice;

/// VIRTIO_F_VERSION_1.
const VERSION_1: u64 = 1 << 32;

/// How `virtio-drivers` gets at memory. Devices see physical addresses and coherent caches.
pub(crate) struct LinearHal;

// SAFETY: blocks of the frame allocator are zeroed, page-aligned and exclusive until they come back.
unsafe impl Hal for LinearHal {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (u64, NonNull<u8>) {
        let block = Order::for_frames(pages as u64).and_then(memory::alloc_block);
        let Some(frame) = block else { return (0, NonNull::dangling()) };
        for page in 0..pages as u64 {
            memory::zero(frame.checked_add(page).unwrap_or(frame));
        }
        (frame.start().get(), NonNull::new(memory::linear(frame)).unwrap_or(NonNull::dangling()))
    }

    unsafe fn dma_dealloc(paddr: u64, _vaddr: NonNull<u8>, pages: usize) -> i32 {
        if let (Some(at), Some(order)) = (PhysAddr::new(paddr), Order::for_frames(pages as u64)) {
            memory::free_block(Frame::containing(at), order);
        }
        0
    }

    unsafe fn mmio_phys_to_virt(paddr: u64, size: usize) -> NonNull<u8> {
        // For PCI alone, which is not used.
        Region::new(paddr, size as u64).and_then(memory::map_device).unwrap_or(NonNull::dangling())
    }

    #[inline]
    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> u64 {
        let at = buffer.addr().get() as u64;
        assert!(at & !(LINEAR_LIMIT - 1) == LINEAR_BASE, "only memory of the linear map goes to devices");
        at & (LINEAR_LIMIT - 1)
    }

    #[inline]
    unsafe fn unshare(_paddr: u64, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

const _: () = assert!(image::LINEAR_BASE.trailing_zeros() >= 46);

/// What the machine's slots hold, the ones at the highest addresses first: QEMU fills its slots from there, so that is the
/// order of its command line. Which disk is the system's is decided by what is on it.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) blocks: Vec<(BlockDevice, Device)>,
    pub(crate) net: Option<(NetDevice, Device)>,
    pub(crate) entropy: Option<EntropyDevice>,
}

/// Looks into every slot that the platform names.
pub(crate) fn find(platform: &Platform, buffers: usize) -> Found {
    let mut found = Found::default();
    for &device in platform.virtio.iter().rev() {
        let Some(transport) = transport(device) else { continue };
        match transport.device_type() {
            DeviceType::Block => {
                found.blocks.extend(BlockDevice::start(transport).map(|driver| (driver, device)));
            }
            DeviceType::Network if found.net.is_none() => {
                found.net = NetDevice::start(transport, buffers).map(|driver| (driver, device));
            }
            DeviceType::EntropySource if found.entropy.is_none() => {
                found.entropy = EntropyDevice::start(transport);
            }
            _ => {}
        }
    }
    found
}

fn transport(device: Device) -> Option<MmioTransport<'static>> {
    let base = memory::map_device(device.window)?;
    let len = usize::try_from(device.window.len).ok()?;
    // SAFETY: mapped for ever; each slot is looked at once.
    let window = unsafe { Window::new(base, len) };
    let (header, config) = window.registers_and_rest::<VirtIOHeader>()?;
    // Refuses an empty slot.
    MmioTransport::new_from_unique(header, config).ok()
}

/// Agrees with the device on those of `wanted` that it has. `None` if it does not accept them.
fn negotiate(transport: &mut impl Transport, wanted: u64) -> Option<u64> {
    transport.set_status(DeviceStatus::empty());
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
    let features = transport.read_device_features() & (wanted | VERSION_1);
    transport.write_driver_features(features);
    let agreed = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK;
    transport.set_status(agreed);
    transport.set_guest_page_size(0x1000);
    if features & VERSION_1 != 0 && !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        transport.set_status(DeviceStatus::FAILED);
        return None;
    }
    Some(features)
}
