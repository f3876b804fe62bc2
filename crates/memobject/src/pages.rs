//! The tree.

use swos_units::Frame;
use swos_vm::TableMemory;

/// Bits of a page number that one node decides.
const BITS: u32 = 9;
/// Nodes on the way to a page at most.
const HEIGHT_MAX: u32 = 4;

/// Page numbers are below this.
pub const PAGES_MAX: u64 = 1 << (BITS * HEIGHT_MAX);

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The page has one.
    Present(Frame),
    /// There is no frame for a node.
    NoMemory,
    /// The page number is not below [`PAGES_MAX`].
    TooFar,
}

/// Whether there is more to do.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Come again.
    More,
    /// All is done.
    Done,
}

/// Frames by page number.
///
/// It never frees by itself: [`trim`](Self::trim) it to nothing before it is dropped.
#[derive(Debug, Default)]
pub struct PageMap {
    /// Entry of the root: a node, or at height 0 the frame of page 0.
    root: u64,
    /// Nodes on the way to a page.
    height: u32,
    /// No page from here on has a frame, and no node lies wholly beyond.
    high: u64,
    pages: u64,
}

impl PageMap {
    /// No pages.
    #[must_use]
    pub const fn new() -> Self {
        Self { root: 0, height: 0, high: 0, pages: 0 }
    }

    /// Pages that have a frame.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.pages
    }

    /// The frame of a page.
    #[must_use]
    pub fn get(&self, memory: &impl TableMemory, page: u64) -> Option<Frame> {
        if page >= self.high {
            return None;
        }
        self.seek(memory, page, 0).ok().and_then(frame_of)
    }

    /// Gives a page its frame.
    ///
    /// # Errors
    ///
    /// All of [`Error`]; the frame stays the caller's.
    pub fn insert(&mut self, memory: &mut impl TableMemory, page: u64, frame: Frame) -> Result<(), Error> {
        if page >= PAGES_MAX {
            return Err(Error::TooFar);
        }
        while page >= reach(self.height) {
            if self.root != 0 {
                let node = memory.alloc_table().ok_or(Error::NoMemory)?;
                memory.write(node, 0, self.root);
                self.root = entry_of(node);
            }
            self.height += 1;
        }
        // Before any node is made: should the next one be refused, this one is still found by `trim`.
        self.high = self.high.max(page + 1);
        let mut level = self.height;
        let mut place = None;
        let mut entry = self.root;
        while level > 0 {
            let node = match frame_of(entry) {
                Some(node) => node,
                None => {
                    let node = memory.alloc_table().ok_or(Error::NoMemory)?;
                    self.set(memory, place, entry_of(node));
                    node
                }
            };
            level -= 1;
            let index = index(page, level);
            place = Some((node, index));
            entry = memory.read(node, index);
        }
        if let Some(present) = frame_of(entry) {
            return Err(Error::Present(present));
        }
        self.set(memory, place, entry_of(frame));
        self.pages += 1;
        Ok(())
    }

    /// Takes frames out from page `from` on, the highest first, and gives back the nodes that are no longer needed.
    /// Does about `budget` steps of constant work.
    pub fn trim(
        &mut self,
        memory: &mut impl TableMemory,
        from: u64,
        budget: usize,
        mut removed: impl FnMut(u64, Frame),
    ) -> Progress {
        let mut left = budget.max(1);
        while self.high > from {
            if left == 0 {
                return Progress::More;
            }
            left -= 1;
            let last = self.high - 1;
            match self.seek(memory, last, 0) {
                Ok(entry) => {
                    self.clear(memory, last, 0);
                    self.high = last;
                    if let Some(frame) = frame_of(entry) {
                        self.pages -= 1;
                        removed(last, frame);
                    }
                }
                // Nothing under this entry: on to what lies before it.
                Err(level) => self.high = (last & !(reach(level) - 1)).max(from),
            }
            self.prune(memory);
        }
        Progress::Done
    }

    /// Gives back the nodes that begin at `high`: nothing is in them any more.
    fn prune(&mut self, memory: &mut impl TableMemory) {
        for level in 1..=self.height {
            if !self.high.is_multiple_of(reach(level)) {
                return;
            }
            if let Ok(entry) = self.seek(memory, self.high, level) {
                self.clear(memory, self.high, level);
                if let Some(node) = frame_of(entry) {
                    memory.free_table(node);
                }
            }
        }
        if self.high == 0 {
            self.height = 0;
        }
    }

    /// The entry for `page` that covers pages of `level`: 0 = the page's frame, above the node of that level. If it or one
    /// above it is empty, the level of that.
    fn seek(&self, memory: &impl TableMemory, page: u64, level: u32) -> Result<u64, u32> {
        let mut at = self.height;
        let mut entry = self.root;
        if page >= reach(at) {
            return Err(at);
        }
        loop {
            let node = frame_of(entry).ok_or(at)?;
            if at == level {
                return Ok(entry);
            }
            at -= 1;
            entry = memory.read(node, index(page, at));
        }
    }

    /// Empties the entry that [`Self::seek`] finds.
    fn clear(&mut self, memory: &mut impl TableMemory, page: u64, level: u32) {
        if level == self.height {
            self.root = 0;
        } else if let Some(node) = self.seek(memory, page, level + 1).ok().and_then(frame_of) {
            memory.write(node, index(page, level), 0);
        }
    }

    /// Writes an entry of a node, or the root's.
    fn set(&mut self, memory: &mut impl TableMemory, place: Option<(Frame, usize)>, entry: u64) {
        match place {
            Some((node, index)) => memory.write(node, index, entry),
            None => self.root = entry,
        }
    }
}

/// Pages below a node of this level; a page itself is of level 0.
const fn reach(level: u32) -> u64 {
    1 << (BITS * level)
}

/// Which entry of a node whose entries are of `level`.
const fn index(page: u64, level: u32) -> usize {
    // Nine bits: no truncation.
    ((page >> (BITS * level)) & 511) as usize
}

/// An entry: 0 = empty.
const fn entry_of(frame: Frame) -> u64 {
    frame.number() + 1
}

fn frame_of(entry: u64) -> Option<Frame> {
    Frame::from_number(entry.checked_sub(1)?)
}

#[cfg(test)]
mod tests;
