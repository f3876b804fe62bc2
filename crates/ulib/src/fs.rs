//! Files and directories.

mod map;
mod names;
mod options;

pub use names::{
    chown, copy, create_dir, create_dir_all, exists, file_system_info, hard_link, mkfifo, read_link,
    remove_dir, remove_dir_all, remove_file, rename, set_permissions, set_times, symlink, write,
};
pub use options::OpenOptions;
pub use swos_abi::{FileSystemInfo, FileTimes, Stat as Metadata};

use alloc::{string::String, vec::Vec};

use swos_abi::{
    DIRENT_HEADER, DirentHeader, Errno, Handle, Node, OpenFlags, SEEK_CUR, SEEK_END, SEEK_SET, Stat,
};
use zerocopy::FromBytes;

use crate::{
    handle::{OwnedHandle, owns_handle},
    io::{self, Read, Write},
};

/// The error for a path that names nothing, as a pattern.
pub const NOT_FOUND: io::Error = io::Error::Os(Errno::NOENT);

/// An open file.
#[derive(Debug)]
pub struct File {
    handle: OwnedHandle,
}

/// Where to move the position to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SeekFrom {
    /// So many bytes behind the start.
    Start(i64),
    /// So many bytes behind (or before) the end.
    End(i64),
    /// So many bytes behind (or before) the position.
    Current(i64),
}

owns_handle!(File);

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn open(path: impl AsRef<[u8]>) -> Result<Self, Errno> {
        Self::open_at(Handle::CWD, path, OpenFlags::READ)
    }

    /// Opens a file relative to an open directory.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn open_at(directory: Handle, path: impl AsRef<[u8]>, flags: OpenFlags) -> Result<Self, Errno> {
        swos_sys::open(directory, path.as_ref(), flags, 0o644).map(Self::from_handle)
    }

    /// Opens a file for writing, empty, making it if it is not there.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn create(path: impl AsRef<[u8]>) -> Result<Self, Errno> {
        Self::open_at(Handle::CWD, path, OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE)
    }

    /// Makes a file for writing; refused if there is one.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn create_new(path: impl AsRef<[u8]>) -> Result<Self, Errno> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    /// Other ways to open.
    #[must_use]
    pub const fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Its attributes.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn metadata(&self) -> Result<Stat, Errno> {
        swos_sys::fstat(self.handle())
    }

    /// Moves the position; returns the new one.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn seek(&mut self, to: SeekFrom) -> Result<u64, Errno> {
        let (offset, whence) = match to {
            SeekFrom::Start(offset) => (offset, SEEK_SET),
            SeekFrom::Current(offset) => (offset, SEEK_CUR),
            SeekFrom::End(offset) => (offset, SEEK_END),
        };
        swos_sys::seek(self.handle(), offset, whence)
    }

    /// Reads at `offset`, leaving the position alone; 0 = end.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        swos_sys::pread(self.handle(), buffer, offset)
    }

    /// Writes at `offset`, leaving the position alone.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
        swos_sys::pwrite(self.handle(), bytes, offset)
    }

    /// Reads into many buffers, one after the other.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn read_vectored(&mut self, buffers: &mut [&mut [u8]]) -> Result<usize, Errno> {
        swos_sys::readv(self.handle(), buffers)
    }

    /// Writes many buffers as one.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn write_vectored(&mut self, buffers: &[&[u8]]) -> Result<usize, Errno> {
        swos_sys::writev(self.handle(), buffers)
    }

    /// Cuts it, or grows it with zeros that take no room.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn set_len(&self, length: u64) -> Result<(), Errno> {
        swos_sys::set_size(self.handle(), length)
    }

    /// Returns when what was written is as safe as it gets.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn sync_all(&self) -> Result<(), Errno> {
        swos_sys::sync(self.handle())
    }

    /// Changes its permission bits; it must be open for writing.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn set_permissions(&self, mode: u32) -> Result<(), Errno> {
        swos_sys::set_mode(self.handle(), &[], OpenFlags::empty(), mode)
    }

    /// Sets its times; it must be open for writing.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn set_times(&self, times: FileTimes) -> Result<(), Errno> {
        swos_sys::set_times(self.handle(), &[], OpenFlags::empty(), times)
    }

    /// A further handle to it, which shares its position.
    ///
    /// # Errors
    ///
    /// [`Errno::MFILE`].
    pub fn try_clone(&self) -> Result<Self, Errno> {
        self.handle.duplicate(swos_abi::Rights::all()).map(|handle| Self { handle })
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(swos_sys::read(self.handle(), buffer)?)
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(swos_sys::write(self.handle(), bytes)?)
    }
}

/// Reads a whole file.
///
/// # Errors
///
/// What the kernel answers.
pub fn read(path: impl AsRef<[u8]>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a whole file as text.
///
/// # Errors
///
/// What the kernel answers; [`io::Error::NotUtf8`].
pub fn read_to_string(path: impl AsRef<[u8]>) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::NotUtf8)
}

/// Attributes of what `path` names, links followed.
///
/// # Errors
///
/// What the kernel answers.
pub fn metadata(path: impl AsRef<[u8]>) -> Result<Stat, Errno> {
    swos_sys::stat(Handle::CWD, path.as_ref(), OpenFlags::empty())
}

/// Attributes of what `path` names, of a link itself.
///
/// # Errors
///
/// What the kernel answers.
pub fn symlink_metadata(path: impl AsRef<[u8]>) -> Result<Stat, Errno> {
    swos_sys::stat(Handle::CWD, path.as_ref(), OpenFlags::NO_FOLLOW)
}

/// One entry of a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DirEntry {
    /// Its name.
    pub name: Vec<u8>,
    /// Its kind.
    pub kind: Node,
    /// Identifies it within its file system.
    pub inode: u64,
}

/// The entries of a directory, read in portions.
#[derive(Debug)]
pub struct ReadDir {
    /// Closed after an error, which is reported once.
    handle: Option<OwnedHandle>,
    buffer: Vec<u8>,
    filled: usize,
    next: usize,
}

/// Lists a directory.
///
/// # Errors
///
/// What the kernel answers.
pub fn read_dir(path: impl AsRef<[u8]>) -> Result<ReadDir, Errno> {
    read_dir_at(Handle::CWD, path)
}

/// Lists a directory relative to an open one.
///
/// # Errors
///
/// What the kernel answers.
pub fn read_dir_at(directory: Handle, path: impl AsRef<[u8]>) -> Result<ReadDir, Errno> {
    let handle = swos_sys::open(directory, path.as_ref(), OpenFlags::READ | OpenFlags::DIRECTORY, 0)?;
    Ok(ReadDir { handle: Some(OwnedHandle::new(handle)), buffer: alloc::vec![0; 2048], filled: 0, next: 0 })
}

impl Iterator for ReadDir {
    type Item = Result<DirEntry, Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.filled {
            match swos_sys::readdir(self.handle.as_ref()?.get(), &mut self.buffer) {
                Ok(0) => return None,
                Ok(count) => (self.filled, self.next) = (count, 0),
                Err(errno) => {
                    self.handle = None;
                    return Some(Err(errno));
                }
            }
        }
        let (entry, length) = entry(self.buffer.get(self.next..self.filled)?)?;
        self.next += length;
        Some(Ok(entry))
    }
}

/// The first entry in `bytes` and how much of them it takes.
fn entry(bytes: &[u8]) -> Option<(DirEntry, usize)> {
    let (header, _) = DirentHeader::read_from_prefix(bytes).ok()?;
    let name = bytes.get(DIRENT_HEADER..)?.get(..usize::from(header.name_len))?;
    let length = usize::from(header.record_len).max(DIRENT_HEADER);
    let kind = Node(header.mode_type);
    Some((DirEntry { name: name.to_vec(), kind, inode: header.inode }, length))
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::*;

    #[test]
    fn entries_are_read_one_after_the_other() {
        let mut bytes = Vec::new();
        for (inode, name, kind) in [(1, "a", Node::DIRECTORY), (2, "index.html", Node::REGULAR)] {
            let record_len = u16::try_from((DIRENT_HEADER + name.len()).next_multiple_of(8)).unwrap();
            let name_len = u16::try_from(name.len()).unwrap();
            bytes.extend_from_slice(
                DirentHeader { inode, next: 0, record_len, name_len, mode_type: kind.0 }.as_bytes(),
            );
            bytes.extend_from_slice(name.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        let (first, length) = entry(&bytes).unwrap();
        assert_eq!((first.name.as_slice(), first.kind, length), (b"a".as_slice(), Node::DIRECTORY, 32));
        let (second, rest) = entry(&bytes[length..]).unwrap();
        assert_eq!((second.name.as_slice(), second.inode, length + rest), (b"index.html".as_slice(), 2, 72));
        assert!((0..DIRENT_HEADER).all(|cut| entry(&bytes[..cut]).is_none()));
    }
}
