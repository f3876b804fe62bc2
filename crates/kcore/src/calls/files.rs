//! Files and directories, the console, handles, poll.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};

use swos_abi::{DIRENT_HEADER, DirentHeader, Errno, Handle, MemoryPiece, OpenFlags, Rights, Stat};
use swos_devfs::Effect;
use swos_pagecache::Key;
use swos_sysfs::Entry;
use swos_units::PAGE_SIZE;
use swos_vfs::{Access, Child, Cursor, Kind, LastLink, VnodeId, Whence};
use zerocopy::IntoBytes as _;

use super::{handle_errno, writes::FEW};
use crate::{
    Kernel, Machine,
    files::PageWanted,
    object::{Console, File, Lasting, Object, OpenCount},
    thread::Thread,
    user::CHUNK,
    wait::{CallResult, Stop, WaitKey},
};

/// Bytes that one call moves at most; the caller asks again for more.
pub(super) const TRANSFER_MAX: u64 = 1 << 20;
/// Of these, before interrupts get their turn.
const READ_AT_ONCE: u64 = 5 * PAGE_SIZE as u64;
/// Entries of a directory that one call tells at most.
pub(crate) const ENTRIES_MAX: usize = 96;

impl<M: Machine> Kernel<M> {
    /// Whether the process's principal may use a node in this way.
    pub(super) fn check_access(
        &self,
        thread: &Thread<M>,
        vnode: VnodeId,
        access: Access,
    ) -> Result<(), Stop> {
        let names = self.files.names.lock();
        let names = names.as_ref().ok_or(Errno::NOENT)?;
        let file_system = names.vfs.file_system(vnode.mount).map_err(Errno::from)?;
        Ok(file_system.access(Self::who(thread), vnode.node, access).map_err(Errno::from)?)
    }

    pub(super) fn read(
        &self,
        thread: &Arc<Thread<M>>,
        handle: Handle,
        buffer: u64,
        length: u64,
    ) -> CallResult {
        let handles = thread.process.handles.lock();
        let (object, lease) = handles.get_leased(handle, Rights::READ).map_err(handle_errno)?;
        // What never waits needs neither a count of its object nor the loan by which it is had.
        if let Object::Device(open) = object {
            let device = open.device;
            drop(handles);
            return if length <= FEW as u64 && device.on_read() == Effect::Zeros {
                self.copy_zeros(buffer, length)
            } else {
                self.read_device(thread, device, buffer, length)
            };
        }
        let object = Self::counted(thread, object, lease)?;
        drop(handles);
        match object {
            Object::File(file) => {
                let position = file.open.lock().open.position();
                let count = self.read_file(thread, &file, buffer, length, position)?;
                file.open.lock().open.set_position(position + count);
                Ok(count)
            }
            Object::Console(console) => self.read_console(thread, &console, buffer, length),
            Object::Socket(socket) => self.receive(thread, &socket, buffer, length),
            Object::Pipe(end) => self.read_pipe(thread, &end, buffer, length),
            Object::Pair(end) => self.read_pair(thread, &end, buffer, length),
            Object::Device(open) => self.read_device(thread, open.device, buffer, length),
            Object::Counter(_) | Object::Endpoint(_) | Object::Ready(_) | Object::Memory(_) => {
                Err(Errno::NOTTY.into())
            }
        }
    }

    pub(super) fn pread(
        &self,
        thread: &Arc<Thread<M>>,
        handle: Handle,
        buffer: u64,
        length: u64,
        offset: u64,
    ) -> CallResult {
        if let Some(count) = self.pread_at_hand(thread, handle, buffer, length, offset)? {
            return Ok(count);
        }
        match Self::object(thread, handle, Rights::READ)? {
            Object::File(file) => self.read_file(thread, &file, buffer, length, offset),
            Object::Memory(memory) => self.read_memory(thread, &memory, buffer, length, offset),
            _ => Err(Errno::SPIPE.into()),
        }
    }

    /// Reads what lies in one page that is in memory, of a file that never changes: such a read never waits, so it needs neither a count
    /// of the file nor the loan by which it is had. `None` = it is to be read as others are.
    fn pread_at_hand(
        &self,
        thread: &Thread<M>,
        handle: Handle,
        buffer: u64,
        length: u64,
        offset: u64,
    ) -> Result<Option<u64>, Stop> {
        const PAGE: u64 = PAGE_SIZE as u64;
        if thread.progress.is_used() {
            return Ok(None);
        }
        let (index, within) = (offset / PAGE, offset % PAGE);
        let (extent, length, range) = {
            let handles = thread.process.handles.lock();
            let Ok(Object::File(file)) = handles.get_with(handle, Rights::READ) else { return Ok(None) };
            let mut state = file.open.lock();
            let Lasting::Yes(extent) = state.lasting else { return Ok(None) };
            let length = length.min(extent.size.saturating_sub(offset));
            if length == 0 || within + length > PAGE {
                return Ok(None);
            }
            (extent, length, state.read_ahead.on_read(index, 1, extent.size.div_ceil(PAGE)))
        };
        if let Some(range) = range {
            self.prefetch_extent(extent, range);
        }
        let key = Key { page: extent.first.page + index, ..extent.first };
        // Both are at most a page.
        #[expect(clippy::cast_possible_truncation, reason = "a page at most")]
        let copied = self.copy_cached(key, buffer, within as usize, length as usize)?;
        Ok(copied.then_some(length))
    }

    /// Copies bytes of a file out, page by page. What was done before a wait is kept in the thread's progress.
    fn read_file(
        &self,
        thread: &Arc<Thread<M>>,
        file: &File,
        buffer: u64,
        length: u64,
        offset: u64,
    ) -> CallResult {
        let (vnode, made) = {
            let state = file.open.lock();
            (state.open.vnode, state.made.is_some())
        };
        let lasting = self.lasting(file, vnode);
        let size = match lasting {
            Some(extent) => extent.size,
            None => {
                let attributes = self.attributes(vnode)?;
                if attributes.kind == Kind::Directory {
                    return Err(Errno::ISDIR.into());
                }
                attributes.size
            }
        };
        if made {
            return self.read_made(file, buffer, length, offset);
        }
        let length = length.min(TRANSFER_MAX).min(size.saturating_sub(offset));
        let mut done = thread.progress.done();
        if done == 0 && length > 0 {
            self.read_ahead(file, vnode, offset, length, size);
        }
        // Reading ahead was much already.
        let pause = done + if done == 0 { PAGE_SIZE as u64 } else { READ_AT_ONCE };
        while done < length {
            if done >= pause {
                return Err(Stop::AGAIN);
            }
            let at = offset + done;
            let index = at / PAGE_SIZE as u64;
            let within = usize::try_from(at % PAGE_SIZE as u64).unwrap_or(0);
            let count = (PAGE_SIZE - within).min(usize::try_from(length - done).unwrap_or(PAGE_SIZE));
            let page = match lasting {
                Some(extent) => {
                    let key = Key { page: extent.first.page + index, ..extent.first };
                    if self.copy_cached(key, buffer.saturating_add(done), within, count)? {
                        done += count as u64;
                        if done < length {
                            thread.progress.lock().done = done;
                        }
                        continue;
                    }
                    self.block_page(Some(thread), key.page)
                }
                None => self.node_page(Some(thread), vnode, index),
            };
            match page {
                PageWanted::Ready(frame) => {
                    let bytes = self.machine.adopt(frame);
                    let part = bytes.get(within..within + count).unwrap_or(&[]);
                    self.copy_out(buffer.saturating_add(done), part)?;
                }
                PageWanted::Wait => return Err(Stop::WAIT),
                PageWanted::Failed | PageWanted::NoMemory if done > 0 => break,
                // Somebody may have cut the file meanwhile: this is its end then.
                PageWanted::Failed if self.attributes(vnode)?.size <= at => break,
                PageWanted::Failed => return Err(Errno::IO.into()),
                PageWanted::NoMemory => return Err(Errno::NOMEM.into()),
            }
            done += count as u64;
            // A call that ends now leaves nothing to forget.
            if done < length {
                thread.progress.lock().done = done;
            }
        }
        Ok(done)
    }

    /// Tells the file's read-ahead where it is read, and fetches what that says.
    pub(super) fn read_ahead(&self, file: &File, vnode: VnodeId, offset: u64, length: u64, size: u64) {
        let page = PAGE_SIZE as u64;
        let first = offset / page;
        let count = u32::try_from((offset + length).div_ceil(page) - first).unwrap_or(u32::MAX);
        let (range, lasting) = {
            let mut state = file.open.lock();
            (state.read_ahead.on_read(first, count, size.div_ceil(page)), state.lasting)
        };
        match (range, lasting) {
            (None, _) => {}
            (Some(range), Lasting::Yes(extent)) => self.prefetch_extent(extent, range),
            (Some(range), Lasting::No | Lasting::NotAsked) => self.prefetch(vnode, range),
        }
    }

    fn read_console(
        &self,
        thread: &Arc<Thread<M>>,
        console: &Console,
        buffer: u64,
        length: u64,
    ) -> CallResult {
        let mut bytes = [0; CHUNK];
        let count = {
            let input = self.console.lock();
            if input.is_empty() && length > 0 {
                if console.nonblock.load(Ordering::Relaxed) {
                    return Err(Errno::AGAIN.into());
                }
                return Err(self.wait_for(thread, WaitKey::Console));
            }
            let count = input.len().min(CHUNK).min(usize::try_from(length).unwrap_or(CHUNK));
            for (to, from) in bytes.iter_mut().zip(input.iter().take(count)) {
                *to = *from;
            }
            count
        };
        self.copy_out(buffer, bytes.get(..count).unwrap_or(&[]))?;
        // Two readers at once may both see a byte; a console has one reader.
        let mut input = self.console.lock();
        let taken = count.min(input.len());
        input.drain(..taken);
        Ok(count as u64)
    }

    pub(super) fn write(
        &self,
        thread: &Arc<Thread<M>>,
        handle: Handle,
        buffer: u64,
        length: u64,
    ) -> CallResult {
        let object = match Self::object(thread, handle, Rights::WRITE) {
            Ok(object) => object,
            // What was taken before the handle went was taken.
            Err(_) if thread.progress.done() > 0 => return Ok(thread.progress.done()),
            Err(stop) => return Err(stop),
        };
        match object {
            Object::Console(_) => {
                let mut bytes = [0; CHUNK];
                let count = length.min(CHUNK as u64);
                let part = bytes.get_mut(..usize::try_from(count).unwrap_or(0)).unwrap_or(&mut []);
                self.copy_in(buffer, part)?;
                self.machine.console_write(part);
                Ok(count)
            }
            Object::Socket(socket) => self.send(thread, &socket, buffer, length, 0),
            Object::Pair(end) => {
                self.write_pair(thread, &end, &[MemoryPiece { address: buffer, length }], length)
            }
            Object::Pipe(end) => {
                self.write_pipe(thread, &end, &[MemoryPiece { address: buffer, length }], length)
            }
            Object::File(file) => {
                self.write_file(thread, &file, &[MemoryPiece { address: buffer, length }], length, None)
            }
            Object::Device(device) => Self::write_device(&device, length),
            Object::Counter(_) | Object::Endpoint(_) | Object::Ready(_) | Object::Memory(_) => {
                Err(Errno::NOTTY.into())
            }
        }
    }

    pub(super) fn pwrite(
        &self,
        thread: &Arc<Thread<M>>,
        handle: Handle,
        buffer: u64,
        length: u64,
        offset: u64,
    ) -> CallResult {
        match Self::object(thread, handle, Rights::WRITE)? {
            Object::File(file) => {
                let pieces = [MemoryPiece { address: buffer, length }];
                self.write_file(thread, &file, &pieces, length, Some(offset))
            }
            Object::Memory(memory) => self.write_memory(thread, &memory, buffer, length, offset),
            _ => Err(Errno::SPIPE.into()),
        }
    }

    pub(super) fn close(&self, thread: &Thread<M>, handle: Handle) -> CallResult {
        if Self::is_settling(thread) {
            return self.settle(thread);
        }
        let object = thread.process.handles.lock().close(handle).map_err(handle_errno)?;
        self.close_object(object);
        self.settle(thread)
    }

    pub(super) fn seek(&self, thread: &Thread<M>, handle: Handle, offset: i64, whence: u32) -> CallResult {
        let rights = thread.process.handles.lock().get(handle).map_err(handle_errno)?.1;
        if !rights.intersects(Rights::READ | Rights::WRITE) {
            return Err(Errno::ACCES.into());
        }
        let Object::File(file) = Self::object(thread, handle, Rights::empty())? else {
            return Err(Errno::SPIPE.into());
        };
        let whence = Whence::from_raw(whence).map_err(Errno::from)?;
        let vnode = file.open.lock().open.vnode;
        let size = self.attributes(vnode)?.size;
        Ok(file.open.lock().open.seek(whence, offset, size).map_err(Errno::from)?)
    }

    pub(super) fn fstat(&self, thread: &Thread<M>, handle: Handle, record: u64, size: u64) -> CallResult {
        let stat = match Self::object(thread, handle, Rights::GETATTR)? {
            Object::File(file) => {
                let vnode = file.open.lock().open.vnode;
                self.attributes(vnode)?.to_stat(vnode)
            }
            Object::Device(device) => self.attributes(device.vnode)?.to_stat(device.vnode),
            Object::Console(console) => match console.vnode {
                Some(vnode) => self.attributes(vnode)?.to_stat(vnode),
                None => Stat { mode: swos_abi::Node::CHARACTER.0 | 0o600, links: 1, ..Stat::default() },
            },
            Object::Socket(_) | Object::Pair(_) => {
                Stat { mode: swos_abi::Node::SOCKET.0 | 0o600, links: 1, ..Stat::default() }
            }
            Object::Pipe(_) => Stat { mode: swos_abi::Node::FIFO.0 | 0o600, links: 1, ..Stat::default() },
            Object::Memory(memory) => Stat { mode: 0o600, size: memory.size(), links: 1, ..Stat::default() },
            Object::Counter(_) | Object::Endpoint(_) | Object::Ready(_) => {
                return Err(Errno::NOTTY.into());
            }
        };
        self.write_record(record, size, &stat)
    }

    #[expect(clippy::too_many_arguments, reason = "the call has six")]
    pub(super) fn stat(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: u64,
        path_len: u64,
        flags: u32,
        record: u64,
        size: u64,
    ) -> CallResult {
        let last = match OpenFlags::from_bits_retain(flags) {
            OpenFlags::NO_FOLLOW => LastLink::Keep,
            none if none.is_empty() => LastLink::Follow,
            _ => return Err(Errno::INVAL.into()),
        };
        let mut stat = Stat::default();
        self.stat_path(thread, directory, (path, path_len), last, &mut stat)?;
        self.write_record(record, size, &stat)
    }

    pub(super) fn readlink(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: u64,
        path_len: u64,
        buffer: u64,
        length: u64,
    ) -> CallResult {
        let (found, _) = self.look_up_path(thread, directory, (path, path_len), LastLink::Keep)?;
        if found.kind != Kind::Symlink {
            return Err(Errno::INVAL.into());
        }
        let target: Vec<u8> = {
            let names = self.files.names.lock();
            let names = names.as_ref().ok_or(Errno::NOENT)?;
            let file_system = names.vfs.file_system(found.vnode.mount).map_err(Errno::from)?;
            file_system.read_link(found.vnode.node).map_err(Errno::from)?.to_vec()
        };
        if target.len() as u64 > length {
            return Err(Errno::RANGE.into());
        }
        self.copy_out(buffer, &target)?;
        Ok(target.len() as u64)
    }

    pub(super) fn readdir(&self, thread: &Thread<M>, handle: Handle, buffer: u64, length: u64) -> CallResult {
        let Object::File(file) = Self::object(thread, handle, Rights::READ)? else {
            return Err(Errno::NOTDIR.into());
        };
        let (vnode, mut cursor) = {
            let state = file.open.lock();
            (state.open.vnode, state.open.cursor())
        };
        let room = usize::try_from(length).unwrap_or(usize::MAX).min(8 * CHUNK);
        let mut entries: Vec<u8> = Vec::new();
        entries.try_reserve_exact(room).map_err(|_| Errno::NOMEM)?;
        let mut cut = false;
        if self.sys_entry(vnode) == Some(Entry::Processes) {
            cut = self.list_processes(thread, &mut entries, room, &mut cursor);
        } else {
            let names = self.files.names.lock();
            let names = names.as_ref().ok_or(Errno::NOENT)?;
            for _ in 0..ENTRIES_MAX {
                let Some(entry) = names.vfs.read_directory(vnode, cursor).map_err(Errno::from)? else {
                    break;
                };
                if !push_entry(&mut entries, room, entry.name.as_bytes(), entry.child, entry.next) {
                    cut = true;
                    break;
                }
                cursor = entry.next;
            }
        }
        if entries.is_empty() && cut {
            return Err(Errno::RANGE.into());
        }
        self.copy_out(buffer, &entries)?;
        file.open.lock().open.set_cursor(cursor);
        Ok(entries.len() as u64)
    }

    /// A handle's worth of the console, for init.
    pub(crate) fn console_object() -> Object<M> {
        let nonblock = AtomicBool::new(false);
        Object::Console(Arc::new(Console { nonblock, vnode: None, count: OpenCount::one() }))
    }
}

/// Adds an entry to those of a directory, if there is room for it.
pub(crate) fn push_entry(
    entries: &mut Vec<u8>,
    room: usize,
    name: &[u8],
    child: Child,
    next: Cursor,
) -> bool {
    let record_len = (DIRENT_HEADER + name.len()).next_multiple_of(8);
    let end = entries.len() + record_len;
    if end > room {
        return false;
    }
    let header = DirentHeader {
        inode: child.node.0,
        next: next.0,
        record_len: u16::try_from(record_len).unwrap_or(0),
        name_len: u16::try_from(name.len()).unwrap_or(0),
        mode_type: child.kind.mode_type(),
    };
    entries.extend_from_slice(header.as_bytes());
    entries.extend_from_slice(name);
    entries.resize(end, 0);
    true
}
