//! Bytes of files: pages that come when they are written and go when they are cut off.

use swos_units::{Frame, PAGE_SIZE};
use swos_vfs::{Error, FrameStore, Garbage, NodeId, WriteAt, Written};

use crate::{
    FILE_MAX, TmpFs,
    accounts::Held,
    node::{Content, File, Node, Page, State},
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
        if start + bytes.len() as u64 > size {
            self.clear_behind_end(id, frames)?;
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

    /// A file is about to grow: what programs stored behind its end, where they map its last page, is no part of it.
    fn clear_behind_end(&self, id: NodeId, frames: &mut dyn FrameStore) -> Result<(), Error> {
        let file = self.node(id)?.file()?;
        let kept = (file.size % PAGE) as usize;
        if file.was_open
            && kept > 0
            && let Some(Page { frame, state: State::Open }) = file.pages.get(file.size / PAGE)
        {
            frames.zero(frame, kept);
        }
        Ok(())
    }

    /// The frame of a page that is about to be written.
    fn frame_to_write(
        &mut self,
        id: NodeId,
        index: u64,
        frames: &mut dyn FrameStore,
    ) -> Result<Frame, Error> {
        let file = self.file_to_change(id)?;
        if let Some(page) = file.pages.get(index) {
            return match Self::own(file, index, page, frames)? {
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
        if let Err(NoMemory) = self.node_mut(id)?.file_mut()?.pages.insert(index, Page::sealed(frame)) {
            frames.release(frame);
            self.accounts.refund(owner, ONE_PAGE);
            return Err(Error::OutOfMemory);
        }
        Ok(frame)
    }

    /// The frame of a page that is there, as one that may be written; `None` = there is no frame for a copy.
    fn own(
        file: &mut File,
        index: u64,
        page: Page,
        frames: &mut dyn FrameStore,
    ) -> Result<Option<Frame>, Error> {
        if page.state == State::Open {
            return Ok(Some(page.frame));
        }
        let Some(own) = frames.unshare(page.frame) else { return Ok(None) };
        if own != page.frame {
            // The slot is there: this needs no memory.
            file.pages.insert(index, Page::sealed(own))?;
        }
        Ok(Some(own))
    }

    pub(crate) fn open_page(
        &mut self,
        id: NodeId,
        index: u64,
        modified_ns: Option<u64>,
        frames: &mut dyn FrameStore,
    ) -> Result<Frame, Error> {
        if index >= swos_units::page_count(self.node(id)?.file()?.size) {
            return Err(Error::Invalid);
        }
        let frame = self.frame_to_write(id, index, frames)?;
        let node = self.node_mut(id)?;
        if let Some(now_ns) = modified_ns {
            (node.modified_ns, node.changed_ns) = (now_ns, now_ns);
        }
        let file = node.file_mut()?;
        file.was_open = true;
        // As above: it needs no memory.
        file.pages.insert(index, Page { frame, state: State::Open })?;
        Ok(frame)
    }

    /// Nobody maps an open page any more.
    pub(crate) fn close_page(
        &mut self,
        id: NodeId,
        index: u64,
        frames: &mut dyn FrameStore,
    ) -> Result<(), Error> {
        let file = self.node_mut(id)?.file_mut()?;
        let Some(Page { frame, state: State::Open }) = file.pages.get(index) else { return Ok(()) };
        let kept = (file.size % PAGE) as usize;
        if kept > 0 && index == file.size / PAGE {
            frames.zero(frame, kept);
        }
        Ok(file.pages.insert(index, Page::sealed(frame))?)
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
        if size > self.file_to_change(id)?.size {
            self.clear_behind_end(id, frames)?;
        }
        let file = self.file_to_change(id)?;
        if size < file.size {
            // What is cut off must be zero if the file grows again.
            let kept = (size % PAGE) as usize;
            if kept > 0
                && let Some(page) = file.pages.get(size / PAGE)
            {
                let own = Self::own(file, size / PAGE, page, frames)?.ok_or(Error::OutOfMemory)?;
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
            Some((_, page)) => {
                frames.release(page.frame);
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
