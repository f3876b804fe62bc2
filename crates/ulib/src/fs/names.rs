//! Making, moving and removing what has names.

use alloc::vec::Vec;

use swos_abi::{Errno, FileSystemInfo, FileTimes, Handle, Node, OpenFlags, PATH_MAX};

use super::{File, OpenOptions, metadata, read_dir_at};
use crate::{
    handle::OwnedHandle,
    io::{self, Write as _},
};

/// Writes a whole file, in place of what was in it.
///
/// # Errors
///
/// What the kernel answers.
pub fn write(path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    File::create(path)?.write_all(bytes.as_ref())
}

/// Copies the bytes of a file and its permissions; returns how many bytes.
///
/// # Errors
///
/// What the kernel answers.
pub fn copy(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> io::Result<u64> {
    let from = File::open(from)?;
    let mode = from.metadata()?.mode & 0o777;
    let to = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(to)?;
    let mut done = 0;
    loop {
        match swos_sys::sendfile(to.handle(), from.handle(), done, u64::MAX, &[])? {
            0 => return Ok(done),
            count => done += count as u64,
        }
    }
}

/// Makes an empty directory.
///
/// # Errors
///
/// What the kernel answers.
pub fn create_dir(path: impl AsRef<[u8]>) -> Result<(), Errno> {
    swos_sys::mkdir(Handle::CWD, path.as_ref(), 0o755)
}

/// Makes a directory, and those on the way to it that are missing.
///
/// # Errors
///
/// What the kernel answers.
pub fn create_dir_all(path: impl AsRef<[u8]>) -> Result<(), Errno> {
    let path = path.as_ref();
    let ends = (1..path.len()).filter(|&at| path.get(at) == Some(&b'/')).chain([path.len()]);
    for end in ends {
        match create_dir(path.get(..end).unwrap_or(path)) {
            Ok(()) => {}
            // Whatever the reason is: a directory that is there is not to be made.
            Err(errno) => match metadata(path.get(..end).unwrap_or(path)) {
                Ok(found) if Node::of_mode(found.mode) == Node::DIRECTORY => {}
                _ => return Err(errno),
            },
        }
    }
    Ok(())
}

/// Removes the name of what is no directory.
///
/// # Errors
///
/// What the kernel answers.
pub fn remove_file(path: impl AsRef<[u8]>) -> Result<(), Errno> {
    swos_sys::unlink(Handle::CWD, path.as_ref())
}

/// Removes an empty directory.
///
/// # Errors
///
/// What the kernel answers.
pub fn remove_dir(path: impl AsRef<[u8]>) -> Result<(), Errno> {
    swos_sys::rmdir(Handle::CWD, path.as_ref())
}

/// Removes a directory with all that is in it. Links are removed, not followed.
///
/// # Errors
///
/// What the kernel answers; what was removed before is gone.
pub fn remove_dir_all(path: impl AsRef<[u8]>) -> Result<(), Errno> {
    remove_below(Handle::CWD, path.as_ref())?;
    remove_dir(path)
}

fn remove_below(directory: Handle, path: &[u8]) -> Result<(), Errno> {
    let flags = OpenFlags::READ | OpenFlags::DIRECTORY | OpenFlags::NO_FOLLOW;
    let inside = OwnedHandle::new(swos_sys::open(directory, path, flags, 0)?);
    for entry in read_dir_at(inside.get(), ".")? {
        let entry = entry?;
        if entry.kind == Node::DIRECTORY {
            remove_below(inside.get(), &entry.name)?;
            swos_sys::rmdir(inside.get(), &entry.name)?;
        } else {
            swos_sys::unlink(inside.get(), &entry.name)?;
        }
    }
    Ok(())
}

/// Gives something another name, in place of what has that name.
///
/// # Errors
///
/// What the kernel answers.
pub fn rename(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<(), Errno> {
    swos_sys::rename((Handle::CWD, from.as_ref()), (Handle::CWD, to.as_ref()))
}

/// Gives a file a further name.
///
/// # Errors
///
/// What the kernel answers.
pub fn hard_link(original: impl AsRef<[u8]>, link: impl AsRef<[u8]>) -> Result<(), Errno> {
    swos_sys::link((Handle::CWD, original.as_ref()), (Handle::CWD, link.as_ref()))
}

/// Makes a symbolic link that leads to `original`.
///
/// # Errors
///
/// What the kernel answers.
pub fn symlink(original: impl AsRef<[u8]>, link: impl AsRef<[u8]>) -> Result<(), Errno> {
    swos_sys::symlink(original.as_ref(), Handle::CWD, link.as_ref())
}

/// Where a symbolic link leads.
///
/// # Errors
///
/// What the kernel answers.
pub fn read_link(path: impl AsRef<[u8]>) -> Result<Vec<u8>, Errno> {
    let mut target = alloc::vec![0; PATH_MAX];
    let length = swos_sys::readlink(Handle::CWD, path.as_ref(), &mut target)?;
    target.truncate(length);
    Ok(target)
}

/// Makes a name at which programs that open it find one pipe.
///
/// # Errors
///
/// What the kernel answers.
pub fn mkfifo(path: impl AsRef<[u8]>, mode: u32) -> Result<(), Errno> {
    swos_sys::mkfifo(Handle::CWD, path.as_ref(), mode)
}

/// Changes permission bits.
///
/// # Errors
///
/// What the kernel answers.
pub fn set_permissions(path: impl AsRef<[u8]>, mode: u32) -> Result<(), Errno> {
    by_name(path.as_ref(), |path| swos_sys::set_mode(Handle::CWD, path, OpenFlags::empty(), mode))
}

/// Gives a file to another principal.
///
/// # Errors
///
/// What the kernel answers.
pub fn chown(path: impl AsRef<[u8]>, owner: u32) -> Result<(), Errno> {
    by_name(path.as_ref(), |path| swos_sys::set_owner(Handle::CWD, path, OpenFlags::empty(), owner))
}

/// Sets the times of a file.
///
/// # Errors
///
/// What the kernel answers.
pub fn set_times(path: impl AsRef<[u8]>, times: FileTimes) -> Result<(), Errno> {
    by_name(path.as_ref(), |path| swos_sys::set_times(Handle::CWD, path, OpenFlags::empty(), times))
}

/// An empty path names nothing, though the calls below take it for the handle itself.
fn by_name(path: &[u8], act: impl FnOnce(&[u8]) -> Result<(), Errno>) -> Result<(), Errno> {
    if path.is_empty() { Err(Errno::NOENT) } else { act(path) }
}

/// Whether `path` names something, links followed.
///
/// # Errors
///
/// What the kernel answers, if it is not that there is nothing.
pub fn exists(path: impl AsRef<[u8]>) -> Result<bool, Errno> {
    match metadata(path) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Room in the file system that holds `path`.
///
/// # Errors
///
/// What the kernel answers.
pub fn file_system_info(path: impl AsRef<[u8]>) -> Result<FileSystemInfo, Errno> {
    swos_sys::file_system_info(Handle::CWD, path.as_ref())
}
