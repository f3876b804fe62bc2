//! What a socket is ready for, and word of changes.

use bitflags::bitflags;
use swos_abi::{POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT};
use swos_slab::NoMemory;

use crate::slab::{Places, SlotQueue};

bitflags! {
    /// What a socket is ready for. The bits are those of the system call interface.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Readiness: u16 {
        /// There is something to read or to accept, or the end was reached.
        const IN = POLL_IN;
        /// A write would be taken.
        const OUT = POLL_OUT;
        /// The connection failed; the error is still to be fetched.
        const ERR = POLL_ERR;
        /// Nothing will come and nothing can be sent any more.
        const HUP = POLL_HUP;
    }
}

/// Changes that were not told yet, in the order of the first for each socket.
#[derive(Debug)]
pub(crate) struct Changes {
    queue: SlotQueue,
    bits: Places<Readiness>,
}

impl Changes {
    pub(crate) const fn new() -> Self {
        Self { queue: SlotQueue::new(), bits: Places::new(Readiness::empty()) }
    }

    /// Makes room for a socket.
    pub(crate) fn reserve(&mut self, index: u32) -> Result<(), NoMemory> {
        self.queue.reserve(index)?;
        self.bits.reserve(index)
    }

    /// Gives room back, if all was told.
    pub(crate) fn fit(&mut self, bound: usize) {
        if self.queue.is_empty() {
            self.queue.fit(bound);
            self.bits.fit(bound);
        }
    }

    /// Notes a change of a socket for which there is room.
    pub(crate) fn raise(&mut self, index: u32, bits: Readiness) {
        if bits.is_empty() {
            return;
        }
        if let Some(noted) = self.bits.get_mut(index as usize) {
            *noted |= bits;
            self.queue.push(index);
        }
    }

    /// Takes back what was not told about a socket that is gone.
    pub(crate) fn forget(&mut self, index: u32) {
        if let Some(bits) = self.bits.get_mut(index as usize) {
            *bits = Readiness::empty();
        }
    }

    pub(crate) fn pop(&mut self) -> Option<(u32, Readiness)> {
        loop {
            let index = self.queue.pop()?;
            let bits = self.bits.get_mut(index as usize).map(core::mem::take).unwrap_or_default();
            if !bits.is_empty() {
                return Some((index, bits));
            }
        }
    }
}
