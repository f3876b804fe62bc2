//! Frames of a test.

use std::collections::BTreeMap;

use swos_units::{Frame, PAGE_SIZE};
use swos_vfs::FrameStore;

/// Frames with their bytes, and who else uses them.
#[derive(Default)]
pub(crate) struct Store {
    frames: BTreeMap<u64, ([u8; PAGE_SIZE], u32)>,
    last: u64,
    /// Frames that may be in use.
    pub(crate) limit: usize,
}

impl Store {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(crate) fn in_use(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn bytes(&self, frame: Frame) -> &[u8; PAGE_SIZE] {
        &self.frames[&frame.number()].0
    }

    /// Uses a frame elsewhere.
    pub(crate) fn share(&mut self, frame: Frame) {
        self.frames.get_mut(&frame.number()).unwrap().1 += 1;
    }

    fn get(&mut self, frame: Frame) -> &mut [u8; PAGE_SIZE] {
        let (bytes, references) = self.frames.get_mut(&frame.number()).unwrap();
        assert_eq!(*references, 1, "a frame in use elsewhere is written");
        bytes
    }
}

impl FrameStore for Store {
    fn take(&mut self) -> Option<Frame> {
        if self.frames.len() >= self.limit {
            return None;
        }
        self.last += 1;
        self.frames.insert(self.last, ([0; PAGE_SIZE], 1));
        Frame::from_number(self.last)
    }

    fn unshare(&mut self, frame: Frame) -> Option<Frame> {
        let (bytes, references) = self.frames[&frame.number()];
        if references == 1 {
            return Some(frame);
        }
        let copy = self.take()?;
        *self.get(copy) = bytes;
        self.release(frame);
        Some(copy)
    }

    fn write(&mut self, frame: Frame, offset: usize, bytes: &[u8]) {
        self.get(frame)[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn zero(&mut self, frame: Frame, offset: usize) {
        self.get(frame)[offset..].fill(0);
    }

    fn release(&mut self, frame: Frame) {
        let references = &mut self.frames.get_mut(&frame.number()).unwrap().1;
        *references -= 1;
        if *references == 0 {
            self.frames.remove(&frame.number());
        }
    }
}
