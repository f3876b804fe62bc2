//! How to open a file.

use swos_abi::{Errno, Handle, OpenFlags};

use super::File;

/// Ways to open a file, chosen one by one; none at first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenOptions {
    flags: OpenFlags,
    mode: u32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident = $flags:expr;)*) => {
        $($(#[$doc])*
        pub const fn $name(&mut self, on: bool) -> &mut Self {
            self.set($flags, on)
        })*
    };
}

impl OpenOptions {
    /// Nothing chosen; files that are made are readable by all and writable by their owner.
    #[must_use]
    pub const fn new() -> Self {
        Self { flags: OpenFlags::empty(), mode: 0o644 }
    }

    const fn set(&mut self, flags: OpenFlags, on: bool) -> &mut Self {
        self.flags = if on { self.flags.union(flags) } else { self.flags.difference(flags) };
        self
    }

    options! {
        /// For reading.
        read = OpenFlags::READ;
        /// For writing.
        write = OpenFlags::WRITE;
        /// For writing at the end, wherever that is then.
        append = OpenFlags::WRITE.union(OpenFlags::APPEND);
        /// Cut to no bytes.
        truncate = OpenFlags::TRUNCATE;
        /// Made if it is not there.
        create = OpenFlags::CREATE;
        /// Made, and refused if it is there.
        create_new = OpenFlags::CREATE.union(OpenFlags::EXCLUSIVE);
        /// Closed when the process starts another program in its own place.
        close_on_exec = OpenFlags::CLOSE_ON_EXEC;
    }

    /// Permission bits of a file that is made.
    pub const fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// Further flags.
    pub const fn custom_flags(&mut self, flags: OpenFlags) -> &mut Self {
        self.set(flags, true)
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] if neither reading nor writing was chosen; what the kernel answers.
    pub fn open(&self, path: impl AsRef<[u8]>) -> Result<File, Errno> {
        self.open_at(Handle::CWD, path)
    }

    /// Opens a file relative to an open directory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_at(&self, directory: Handle, path: impl AsRef<[u8]>) -> Result<File, Errno> {
        swos_sys::open(directory, path.as_ref(), self.flags, self.mode).map(File::from_handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_last_holds() {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).read(false);
        let expected = OpenFlags::WRITE | OpenFlags::APPEND | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        assert_eq!((options.flags, options.mode), (expected, 0o644));
        options.create_new(false).truncate(true).mode(0o600);
        assert_eq!(options.flags, OpenFlags::WRITE | OpenFlags::APPEND | OpenFlags::TRUNCATE);
        assert_eq!((options.mode, options.open(b"x").unwrap_err()), (0o600, Errno::NOSYS));
    }
}
