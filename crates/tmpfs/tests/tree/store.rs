//! Frames of a test.

use std::collections::{BTreeMap, BTreeSet};

use swos_units::{Frame, PAGE_SIZE};
use swos_vfs::FrameStore;

/// Frames with their bytes, and who else uses them.
#[derive(Default)]
pub(crate) struct Store {
    frames: BTreeMap<u64, ([u8; PAGE_SIZE], u32)>,
    last: u64,
    /// Frames that are written where they are, whoever uses them.
    open: BTreeSet<u64>,
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

    /// A frame of the file's that programs map.
    pub(crate) fn open(&mut self, frame: Frame) {
        self.open.insert(frame.number());
        self.share(frame);
    }

    /// Whether nobody but the file uses it any more; then it is as any other.
    pub(crate) fn seals(&mut self, frame: Frame) -> bool {
        self.frames[&frame.number()].1 == 1 && self.open.remove(&frame.number())
    }

    /// A program stores a byte.
    pub(crate) fn poke(&mut self, frame: Frame, offset: usize, byte: u8) {
        self.get(frame)[offset] = byte;
    }

    fn get(&mut self, frame: Frame) -> &mut [u8; PAGE_SIZE] {
        let (bytes, references) = self.frames.get_mut(&frame.number()).unwrap();
        let open = self.open.contains(&frame.number());
        assert!(open || *references == 1, "a frame in use elsewhere is written");
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
        assert!(!self.open.contains(&frame.number()), "a shared page gets no copy");
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
            self.open.remove(&frame.number());
            self.frames.remove(&frame.number());
        }
    }
}
