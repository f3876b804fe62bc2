//! From a device to a whole verified image in memory.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::v3::{ContentCheck, Entry, Header, Kind, Metadata, Unverified};
use crate::v4::{self, Block, Capacity, Content, Index, Layout, Progress};
use crate::{Attributes, BLOCK_SIZE, Error, Node, PublicKey, Sha256Blocks, Tree, Verified, is_zero};

/// Where the files of an image are kept, each from the start of a page on.
pub trait Pages {
    /// Stores `bytes` at `offset` of page `page`, within which they end. Each byte of a file is stored once; what is not stored
    /// of a page is zero.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    fn store(&mut self, page: u64, offset: usize, bytes: &[u8]) -> Result<(), Error>;
}

/// A mount under way: the metadata is read and its signature checked, then all files in their order, each with its hash.
///
/// Nothing that was stored may be used before [`Progress::Ready`]. The medium is not needed afterwards, so it can't answer
/// differently a second time. A version 3 image states no version of its own: it is refused where an older one than 0 is not
/// enough.
///
/// Work of one [`Mount::on_block`]: the hash of a block; for the last block of the metadata also one signature and one pass over
/// all entries, for every file that ends in the block the end of a hash.
#[derive(Debug)]
pub struct Mount {
    keys: Vec<PublicKey>,
    capacity: Capacity,
    floor: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Waits for the metadata, of which so many whole blocks were read.
    Metadata(Vec<u8>),
    Files(Files),
    Ready(Index),
    Failed(Error),
}

/// Files under way.
#[derive(Debug)]
struct Files {
    index: Index,
    /// Length of the image in bytes.
    length: u64,
    next_block: u64,
    /// In the order of the image.
    to_come: VecDeque<File>,
}

#[derive(Debug)]
struct File {
    first_page: u64,
    stored: u64,
    left: u64,
    check: ContentCheck,
}

impl Mount {
    /// Starts to mount from a medium of this capacity, in which the image is filled up to a whole block with zeros: signed with
    /// one of `keys`, where images of version `floor` or newer are accepted.
    #[must_use]
    pub fn new(keys: &[PublicKey], capacity: Capacity, floor: u64) -> Self {
        Self { keys: keys.to_vec(), capacity, floor, state: State::Metadata(Vec::new()) }
    }

    /// What is needed now.
    pub fn poll(&self) -> Progress {
        let (first_block, end) = match &self.state {
            State::Metadata(bytes) => ((bytes.len() / BLOCK_SIZE) as u64, self.capacity.blocks()),
            State::Files(files) => (files.next_block, files.length.div_ceil(BLOCK_SIZE as u64)),
            State::Ready(_) => return Progress::Ready,
            State::Failed(error) => return Progress::Failed(*error),
        };
        match end.saturating_sub(first_block) {
            0 => Progress::Failed(Error::WrongLength {
                stated: (first_block + 1) * BLOCK_SIZE as u64,
                actual: end * BLOCK_SIZE as u64,
            }),
            left => Progress::Need { first_block, count: v4::limit(left) },
        }
    }

    /// Takes the bytes of a block and gives what it holds of files to `pages`. A block that is not needed now is ignored.
    pub fn on_block(&mut self, sha: &dyn Sha256Blocks, block: u64, bytes: &Block, pages: &mut dyn Pages) {
        let state = core::mem::replace(&mut self.state, State::Metadata(Vec::new()));
        let next = match state {
            State::Metadata(read) if block == (read.len() / BLOCK_SIZE) as u64 => {
                self.on_metadata(sha, read, bytes, pages)
            }
            State::Files(files) if block == files.next_block => files.on_bytes(sha, bytes, pages),
            unchanged => Ok(unchanged),
        };
        self.state = next.unwrap_or_else(State::Failed);
    }

    fn on_metadata(
        &self,
        sha: &dyn Sha256Blocks,
        mut read: Vec<u8>,
        bytes: &Block,
        pages: &mut dyn Pages,
    ) -> Result<State, Error> {
        read.try_reserve(BLOCK_SIZE).map_err(|_| Error::OutOfMemory)?;
        read.extend_from_slice(bytes);
        let header = Header::parse(read.first_chunk().ok_or(Error::BadMagic)?)?;
        self.capacity.check(header.image_len())?;
        if (read.len() as u64) < header.metadata_len() {
            return Ok(State::Metadata(read));
        }
        if self.floor > 0 {
            return Err(Error::RolledBack { found: 0, floor: self.floor });
        }
        let metadata = Unverified::new(&read, header.image_len())?.verify(&self.keys)?;
        let (index, to_come) = describe(&metadata)?;
        let next_block = ((read.len() - 1) / BLOCK_SIZE) as u64;
        let files = Files { index, length: header.image_len(), next_block, to_come };
        // The first files begin where the metadata ends.
        let begun = usize::try_from(header.metadata_len()).ok().and_then(|start| read.get(start..));
        files.on_bytes(sha, begun.unwrap_or(&[]), pages)
    }

    /// The metadata, after [`Progress::Ready`]: its blocks count from 0 and are the pages that were stored.
    ///
    /// # Errors
    ///
    /// Why it is refused; [`Error::NotCovered`] if blocks are still needed.
    pub fn finish(self) -> Result<Index, Error> {
        match self.state {
            State::Ready(index) => Ok(index),
            State::Failed(error) => Err(error),
            State::Metadata(_) => Err(Error::NotCovered { block: 0 }),
            State::Files(files) => Err(Error::NotCovered { block: files.next_block }),
        }
    }
}

impl Files {
    /// Takes the rest of a block of the image.
    fn on_bytes(
        mut self,
        sha: &dyn Sha256Blocks,
        mut bytes: &[u8],
        pages: &mut dyn Pages,
    ) -> Result<State, Error> {
        self.next_block += 1;
        while let Some(file) = self.to_come.front_mut() {
            let count = usize::try_from(file.left).unwrap_or(usize::MAX).min(bytes.len());
            let (own, rest) = bytes.split_at(count);
            file.take(sha, own, pages)?;
            bytes = rest;
            if file.left > 0 {
                return Ok(State::Files(self));
            }
            if let Some(done) = self.to_come.pop_front() {
                done.check.finish(sha)?;
            }
        }
        // What fills the last block up is not part of the image, and says nothing.
        if !is_zero(bytes) {
            return Err(Error::WrongLength {
                stated: self.length,
                actual: self.next_block * BLOCK_SIZE as u64,
            });
        }
        Ok(State::Ready(self.index))
    }
}

impl File {
    fn take(&mut self, sha: &dyn Sha256Blocks, bytes: &[u8], pages: &mut dyn Pages) -> Result<(), Error> {
        self.check.update(sha, bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let offset = usize::try_from(self.stored % BLOCK_SIZE as u64).unwrap_or(0);
            let (now, later) = rest.split_at(rest.len().min(BLOCK_SIZE - offset));
            pages.store(self.first_page + self.stored / BLOCK_SIZE as u64, offset, now)?;
            self.stored += now.len() as u64;
            self.left -= now.len() as u64;
            rest = later;
        }
        Ok(())
    }
}

/// The entries as version 4 would describe them, and the files in the order of this image. Bits of a mode beyond 0777 are
/// dropped: nothing here gives them a meaning.
fn describe(metadata: &Verified<Metadata<'_>>) -> Result<(Index, VecDeque<File>), Error> {
    let mut tree = Tree::new(Attributes::DIRECTORY);
    let mut files: Vec<Entry<'_>> = Vec::new();
    for entry in metadata.entries() {
        let node = match entry.kind {
            Kind::Directory => Node::Directory,
            Kind::File => {
                // The tree holds no content, but the number of the file.
                let number = (files.len() as u64).to_le_bytes();
                files.push(entry);
                Node::File(number.to_vec())
            }
        };
        let attributes = Attributes { mode: entry.mode & 0o777, owner: entry.owner, modified_s: 0 };
        let added = tree.add(entry.path, attributes, node);
        added.map_err(|_| Error::BadEntry { entry: entry.index, field: 4 })?;
    }
    let file_of = |node: &Node| match node {
        Node::File(number) => {
            number.first_chunk().and_then(|bytes| usize::try_from(u64::from_le_bytes(*bytes)).ok())
        }
        Node::Directory | Node::Symlink(_) => None,
    };
    let laid_out = v4::layout(&tree, |node| {
        let file = file_of(node).and_then(|number| files.get(number));
        file.map_or((0, [0; 32]), |file| (file.size, file.sha256))
    });
    let Layout { metadata: bytes, order } = laid_out.map_err(|_| Error::OutOfMemory)?;
    let pages = files.iter().map(|file| file.size.div_ceil(BLOCK_SIZE as u64)).sum();
    let entries = u32::try_from(order.len()).map_err(|_| Error::OutOfMemory)?;
    let length = bytes.len() as u64;
    let index = Index::parse(bytes, length, entries, v4::Extent { first: 0, count: pages })?;

    let mut to_come: Vec<Option<File>> = files.iter().map(|_| None).collect();
    for (at, item) in (0..entries).zip(order) {
        let number = tree.items().get(item).and_then(|item| file_of(&item.node));
        if let Some(number) = number
            && let (Some(file), Some(slot)) = (files.get(number), to_come.get_mut(number))
            && let Some(Content::File { size, first_block, .. }) = index.entry(at).map(|entry| entry.content)
        {
            *slot =
                Some(File { first_page: first_block, stored: 0, left: size, check: ContentCheck::new(file) });
        }
    }
    Ok((index, to_come.into_iter().flatten().collect()))
}
