//! virtio-rng: one request at boot.
//!
//! Source: VirtIO 1.2 §5.4.

use swos_mmio::{Buffer, Direction, Queue};
use virtio_drivers::transport::Transport;
use virtio_drivers::transport::mmio::MmioTransport;

use super::{LinearHal, negotiate};

const LEN: usize = 64;

/// The device, with a request under way.
pub(crate) struct EntropyDevice {
    queue: Queue<LinearHal, 4, LEN>,
    transport: MmioTransport<'static>,
}

impl EntropyDevice {
    /// Starts the device and asks it for 64 bytes.
    pub(crate) fn start(mut transport: MmioTransport<'static>) -> Option<Self> {
        negotiate(&mut transport, 0)?;
        let mut queue = Queue::new(&mut transport, 0, Direction::DeviceWrites).ok()?;
        transport.finish_init();
        queue.set_interrupts(false);
        queue.give(Buffer::new()?, LEN).ok()?;
        queue.flush(&mut transport);
        Some(Self { queue, transport })
    }

    /// What it has answered so far, up to 64 bytes.
    pub(crate) fn poll(&mut self) -> Option<([u8; LEN], usize)> {
        let (buffer, len) = self.queue.take_back().ok()??;
        Some((*buffer, len))
    }

    /// Takes back what it has of ours, answered or not.
    pub(crate) fn close(mut self) {
        self.queue.close(&mut self.transport);
    }
}
