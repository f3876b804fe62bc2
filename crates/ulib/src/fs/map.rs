//! Files as memory.

use swos_abi::Errno;

use super::File;
use crate::memory::{FileMapping, SharedMapping, Use};

impl File {
    /// Maps a file of the image, as a whole: its bytes as a slice, since nobody can change them.
    ///
    /// # Errors
    ///
    /// [`Errno::OPNOTSUPP`] for a file that can change: see [`map_part`](Self::map_part). [`Errno::INVAL`] for an empty one,
    /// [`Errno::NOMEM`].
    pub fn map(&self) -> Result<FileMapping, Errno> {
        FileMapping::new(self.handle())
    }

    /// Maps `length` bytes from `offset` on, which begins a page, for reading them, for writing them, or as one's own copy. Others may
    /// change the file, so bytes are copied out and in. Whoever touches a page beyond the end of the file, or one that was cut off, is ended by
    /// signal 7.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] if the handle lacks the right, [`Errno::INVAL`], [`Errno::NODEV`] for what has no pages, [`Errno::NOMEM`].
    pub fn map_part(&self, offset: u64, length: usize, purpose: Use) -> Result<SharedMapping, Errno> {
        SharedMapping::new(self.handle(), offset, length, purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swos_abi::Handle;

    #[test]
    fn without_a_kernel_there_is_no_file_to_map() {
        let file = File::from_handle(Handle(3));
        assert_eq!(file.map().map(drop), Err(Errno::NOSYS));
        assert_eq!(file.map_part(0, 4096, Use::Own).map(drop), Err(Errno::NOSYS));
    }
}
