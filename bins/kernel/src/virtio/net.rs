//! virtio-net: received frames are handed out where they lie, sent ones are written where the device reads them.
//!
//! Receive interrupts are off from the first one until the ring was found empty; transmit interrupts are off unless the
//! ring is full. The device is notified once a batch.
//!
//! Source: VirtIO 1.2 §5.1.

use arrayvec::ArrayVec;
use swos_mmio::{Buffer, Direction, Queue};
use virtio_drivers::transport::Transport;
use virtio_drivers::transport::mmio::MmioTransport;

use super::{LinearHal, VERSION_1, negotiate};

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
const ENTRIES: usize = 256;
/// Header, Ethernet frame of 1518 bytes, and what makes two fit a frame of memory.
const SIZE: usize = 2032;
/// VIRTIO_NET_F_MAC.
const MAC: u64 = 1 << 5;
/// Header without VIRTIO_F_VERSION_1 and without merged buffers.
const LEGACY_HEADER: usize = 10;
const HEADER: usize = 12;

type NetBuffer = Buffer<SIZE>;
type NetQueue = Queue<LinearHal, ENTRIES, SIZE>;

/// The device.
pub(crate) struct NetDevice {
    transport: MmioTransport<'static>,
    receive: NetQueue,
    transmit: NetQueue,
    /// For sending; those not here are with the device.
    free: ArrayVec<NetBuffer, ENTRIES>,
    address: [u8; 6],
    header: usize,
    broken: bool,
}

/// A received frame, until it is given back.
pub(crate) struct Received {
    buffer: NetBuffer,
    start: usize,
    end: usize,
}

impl Received {
    /// The Ethernet frame.
    pub(crate) fn frame(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or(&[])
    }
}

/// A frame to be sent, until it is queued.
pub(crate) struct Blank {
    buffer: NetBuffer,
    header: usize,
}

impl Blank {
    /// Room for an Ethernet frame of `len` bytes.
    pub(crate) fn frame(&mut self, len: usize) -> &mut [u8] {
        let start = self.header;
        self.buffer.get_mut(start..start + len).unwrap_or(&mut [])
    }
}

impl NetDevice {
    /// Starts the device with `buffers` buffers to send from (at most 256). It receives nothing before [`Self::open`].
    pub(crate) fn start(mut transport: MmioTransport<'static>, buffers: usize) -> Option<Self> {
        let features = negotiate(&mut transport, MAC)?;
        let address = if features & MAC != 0 {
            transport.read_config_space::<[u8; 6]>(0).ok()?
        } else {
            // Locally administered; there is one interface.
            [0x02, 0, 0, 0, 0, 1]
        };
        let receive = NetQueue::new(&mut transport, RECEIVE, Direction::DeviceWrites).ok()?;
        let mut transmit = NetQueue::new(&mut transport, TRANSMIT, Direction::DeviceReads).ok()?;
        transport.finish_init();
        transmit.set_interrupts(false);
        let mut free = ArrayVec::new();
        for _ in 0..buffers.clamp(8, ENTRIES) {
            let Some(buffer) = NetBuffer::new() else { break };
            free.push(buffer);
        }
        let header = if features & VERSION_1 != 0 { HEADER } else { LEGACY_HEADER };
        Some(Self { transport, receive, transmit, free, address, header, broken: false })
    }

    /// Lets frames come in, into as many buffers as there are to send from. The interrupt is connected: an edge from before
    /// that is lost, and there would never be another.
    pub(crate) fn open(&mut self) {
        for _ in 0..self.free.len() {
            let Some(buffer) = NetBuffer::new() else { break };
            // There is room: the queue has as many entries.
            let _ = self.receive.give(buffer, SIZE);
        }
        self.receive.flush(&mut self.transport);
    }

    /// MAC address.
    pub(crate) const fn address(&self) -> [u8; 6] {
        self.address
    }

    /// Serves the device's interrupt.
    pub(crate) fn on_interrupt(&mut self) {
        self.transport.ack_interrupt();
        self.receive.set_interrupts(false);
        self.transmit.set_interrupts(false);
    }

    /// Takes the next received frame; `None` = none is left, and the next one interrupts.
    pub(crate) fn receive(&mut self) -> Option<Received> {
        if self.broken {
            return None;
        }
        loop {
            match self.receive.take_back() {
                Ok(Some((buffer, end))) => return Some(Received { buffer, start: self.header, end }),
                Ok(None) => {}
                Err(_) => {
                    self.fail();
                    return None;
                }
            }
            self.receive.set_interrupts(true);
            // One may have come just before that.
            if !self.receive.has_returns() {
                return None;
            }
            self.receive.set_interrupts(false);
        }
    }

    /// Gives a received frame's buffer back to the device, at the next [`Self::flush`].
    pub(crate) fn give_back(&mut self, received: Received) {
        if !self.broken {
            // There is room: it came from this queue.
            let _ = self.receive.give(received.buffer, SIZE);
        }
    }

    /// Collects sent buffers.
    #[inline(never)]
    fn collect(&mut self) {
        loop {
            match self.transmit.take_back() {
                Ok(Some((buffer, _))) => {
                    let _ = self.free.try_push(buffer);
                }
                Ok(None) => return,
                Err(_) => return self.fail(),
            }
        }
    }

    /// How many frames can be sent now; if none, the device interrupts when one can.
    #[inline]
    pub(crate) fn room(&mut self) -> usize {
        match self.free.len() {
            0 => self.make_room(),
            room => room,
        }
    }

    #[inline(never)]
    fn make_room(&mut self) -> usize {
        if self.broken {
            // Accepted and dropped: like a cable that was pulled.
            return ENTRIES;
        }
        self.collect();
        if self.free.is_empty() {
            self.transmit.set_interrupts(true);
            self.collect();
            if !self.free.is_empty() {
                self.transmit.set_interrupts(false);
            }
        }
        self.free.len()
    }

    /// Takes an empty frame to write.
    pub(crate) fn blank(&mut self) -> Option<Blank> {
        if self.broken || self.room() == 0 {
            return None;
        }
        let header = self.header;
        self.free.pop().map(|buffer| Blank { buffer, header })
    }

    /// Queues a written frame of `len` bytes, for the next [`Self::flush`].
    pub(crate) fn send(&mut self, blank: Blank, len: usize) {
        let mut buffer = blank.buffer;
        // No offloads: the header is all zero, but a device may have scribbled on it before.
        if let Some(header) = buffer.get_mut(..self.header) {
            header.fill(0);
        }
        if let Err(full) = self.transmit.give(buffer, self.header + len) {
            let _ = self.free.try_push(full.0);
        }
    }

    /// Tells the device about everything queued.
    pub(crate) fn flush(&mut self) {
        if !self.broken {
            self.transmit.flush(&mut self.transport);
            self.receive.flush(&mut self.transport);
        }
    }

    /// Resets a device that does not keep to the rules. What it had it may still write to: it is never freed.
    fn fail(&mut self) {
        self.broken = true;
        self.transport.set_status(virtio_drivers::transport::DeviceStatus::empty());
    }
}
