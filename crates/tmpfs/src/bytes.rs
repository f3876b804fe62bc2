//! Bytes of files: pages that come when they are written and go when they are cut off.

use swos_units::{Frame, PAGE_SIZE};
use swos_vfs::{Error, FrameStore, Garbage, NodeId, WriteAt, Written};

use crate::{
    FILE_MAX, TmpFs,
    accounts::Held,
    node::{Content, File, Node},
    radix::NoMemory,
};

const PAGE: u64 = PAGE_SIZE as u64;
const ONE_PAGE: Held = Held { pages: 1, nodes: 0 };

impl Node {
    pub(crate) const fn file(&self) -> Result<&File, Error> {
        match &self.content {
            Content::File(file) => Ok(file),
            Content::Directory(_) => Err(Error::IsDirectory),
            Content::Symlink(_) | Content::Fifo => Err(Error::Invalid),
        }
    }

    pub(crate) const fn file_mut(&mut self) -> Result<&mut File, Error> {
        match &mut self.content {
            Content::File(file) => Ok(file),
            Content::Directory(_) => Err(Error::IsDirectory),
            Content::Symlink(_) | Content::Fifo => Err(Error::Invalid),
        }
    }
}

impl TmpFs {
    /// Charges, unless what was removed still holds the room.
    pub(crate) fn charge(&mut self, who: swos_vfs::Principal, held: Held) -> Result<(), Error> {
        match self.accounts.charge(who, held) {
            Err(Error::NoSpace) => Err(self.no_space()),
            other => other,
        }
    }

    const fn no_space(&self) -> Error {
        if self.garbage.is_some() { Error::Again } else { Error::NoSpace }
    }

    /// A file that may be changed: without pages that are to go.
    fn file_to_change(&mut self, id: NodeId) -> Result<&mut File, Error> {
        let file = self.node_mut(id)?.file_mut()?;
        if file.cut.is_some() { Err(Error::Again) } else { Ok(file) }
    }

    pub(crate) fn write_file(
        &mut self,
        id: NodeId,
        at: WriteAt,
        bytes: &[u8],
        now_ns: u64,
        frames: &mut dyn FrameStore,
    ) -> Result<Written, Error> {
        let size = self.file_to_change(id)?.size;
        let start = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => size,
        };
        let room = usize::try_from(FILE_MAX.saturating_sub(start)).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        if bytes.is_empty() {
            return if room == 0 { Err(Error::TooLarge) } else { Ok(Written { count: 0, end: start }) };
        }
        let mut count = 0;
        while count < bytes.len() {
            let at = start + count as u64;
            let within = (at % PAGE) as usize;
            let part = &bytes[count..bytes.len().min(count + PAGE_SIZE - within)];
            match self.frame_to_write(id, at / PAGE, frames) {
                Ok(frame) => frames.write(frame, within, part),
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
            count += part.len();
        }
        let end = start + count as u64;
        let node = self.node_mut(id)?;
        (node.modified_ns, node.changed_ns) = (now_ns, now_ns);
        let file = node.file_mut()?;
        file.size = file.size.max(end);
        Ok(Written { count, end })
    }

    /// The frame of a page that is about to be written.
    pub(crate) fn frame_to_write(
        &mut self,
        id: NodeId,
        index: u64,
        frames: &mut dyn FrameStore,
    ) -> Result<Frame, Error> {
        let file = self.file_to_change(id)?;
        if let Some(frame) = file.pages.get(index) {
            return match frames.unshare(frame) {
                // The slot is there: this needs no memory.
                Some(own) if own != frame => Ok(file.pages.insert(index, own).map(|()| own)?),
                Some(own) => Ok(own),
                None => Err(self.no_space()),
            };
        }
        let owner = self.node(id)?.owner;
        self.charge(owner, ONE_PAGE)?;
        let Some(frame) = frames.take() else {
            self.accounts.refund(owner, ONE_PAGE);
            return Err(self.no_space());
        };
        if let Err(NoMemory) = self.node_mut(id)?.file_mut()?.pages.insert(index, frame) {
            frames.release(frame);
            self.accounts.refund(owner, ONE_PAGE);
            return Err(Error::OutOfMemory);
        }
        Ok(frame)
    }

    pub(crate) fn cut_or_grow(
        &mut self,
        id: NodeId,
        size: u64,
        now_ns: u64,
        frames: &mut dyn FrameStore,
    ) -> Result<(), Error> {
        if size > FILE_MAX {
            return Err(Error::TooLarge);
        }
        let file = self.file_to_change(id)?;
        if size < file.size {
            // What is cut off must be zero if the file grows again.
            let kept = (size % PAGE) as usize;
            if kept > 0
                && let Some(frame) = file.pages.get(size / PAGE)
            {
                let own = frames.unshare(frame).ok_or(Error::OutOfMemory)?;
                if own != frame {
                    file.pages.insert(size / PAGE, own)?;
                }
                frames.zero(own, kept);
            }
            let cut = size.div_ceil(PAGE);
            if file.pages.reaches(cut) {
                file.cut = Some(cut);
            }
        }
        file.size = size;
        if file.cut.is_some() {
            let next = self.garbage.replace(id);
            self.node_mut(id)?.file_mut()?.next_garbage = next;
        }
        let node = self.node_mut(id)?;
        (node.modified_ns, node.changed_ns) = (now_ns, now_ns);
        Ok(())
    }

    /// One step of many: the last page of a file that was cut. False = nothing is left to do.
    fn reclaim_step(&mut self, frames: &mut dyn FrameStore) -> bool {
        let Some(id) = self.garbage else { return false };
        let Some(node) = self.nodes.get_mut(id.0) else {
            self.garbage = None;
            return false;
        };
        let owner = node.owner;
        let Ok(file) = node.file_mut() else { return false };
        match file.pages.pop_from(file.cut.unwrap_or(u64::MAX)) {
            Some((_, frame)) => {
                frames.release(frame);
                self.accounts.refund(owner, ONE_PAGE);
            }
            None => {
                file.cut = None;
                self.garbage = file.next_garbage.take();
                self.bury(id);
            }
        }
        true
    }

    pub(crate) fn reclaim_some(&mut self, limit: u32, frames: &mut dyn FrameStore) -> Garbage {
        for _ in 0..limit {
            if !self.reclaim_step(frames) {
                return Garbage::None;
            }
        }
        if self.garbage.is_some() { Garbage::Left } else { Garbage::None }
    }
}
