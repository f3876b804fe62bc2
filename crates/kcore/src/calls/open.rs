//! Opening: from a path to an object, whatever is there.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use swos_abi::{Capabilities, Errno, Handle, OpenFlags, Rights};
use swos_blockio::ReadAhead;
use swos_devfs::Device;
use swos_pipe::End;
use swos_sync::Lock;
use swos_vfs::{Access, Error, Garbage, Kind, LastLink, NewNode, OpenFile, Resolved, VnodeId};

use super::{
    on_exec,
    paths::{PathRoom, Route, Which},
};
use crate::{
    Kernel, Machine,
    files::Names,
    object::{Console, File, Lasting, Object, OpenCount, OpenDevice, OpenState},
    ranks,
    thread::Thread,
    wait::{CallResult, Stop},
};

/// Pages read ahead of a sequential reader.
const READ_AHEAD_MAX: u32 = 32;

impl<M: Machine> Kernel<M> {
    pub(super) fn open(
        &self,
        thread: &Arc<Thread<M>>,
        directory: Handle,
        at: (u64, u64),
        flags: u32,
        mode: u32,
    ) -> CallResult {
        let flags = OpenFlags::from_bits(flags).ok_or(Errno::INVAL)?;
        if mode & !0o777 != 0 || !flags.intersects(OpenFlags::READ | OpenFlags::WRITE | OpenFlags::EXECUTE) {
            return Err(Errno::INVAL.into());
        }
        // What is made is a file, and no program.
        if flags.contains(OpenFlags::CREATE) && flags.intersects(OpenFlags::DIRECTORY | OpenFlags::EXECUTE) {
            return Err(Errno::INVAL.into());
        }
        let writes = flags.intersects(OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE);
        let reads = flags.intersects(OpenFlags::READ | OpenFlags::EXECUTE);
        let needed = [(reads, Capabilities::FS_READ), (writes, Capabilities::TMP_WRITE)];
        if needed.iter().any(|&(asked, capability)| asked && !thread.process.has(capability)) {
            return Err(Errno::ACCES.into());
        }
        if flags.contains(OpenFlags::TRUNCATE) && self.is_cutting() {
            // Perhaps by this call.
            return Err(self.go_on_losing(thread));
        }
        let mut room = PathRoom::new();
        // Where it is: it is large.
        let mut route = self.route(thread, Which::First, directory, at, &mut room);
        let route = route.as_mut().map_err(|stop| *stop)?;
        let found = {
            let mut names = self.files.names.lock();
            let names = names.as_mut().ok_or(Errno::NOENT)?;
            let found = self.find_or_make(names, thread, route, flags, mode)?;
            if self.is_counted(found.vnode) {
                // It stays from here on, also when its name goes.
                names.vfs.file_system_mut(found.vnode.mount).map_err(Errno::from)?.retain(found.vnode.node);
            }
            found
        };
        let object = self.object_of(thread, found, flags).inspect_err(|_| self.release_node(found.vnode))?;
        let mut rights = Rights::DUPLICATE | Rights::TRANSFER | Rights::GETATTR;
        rights.set(Rights::READ | Rights::MAP, flags.contains(OpenFlags::READ));
        rights.set(Rights::WRITE | Rights::SETATTR, flags.contains(OpenFlags::WRITE));
        rights.set(Rights::EXECUTE, flags.contains(OpenFlags::EXECUTE));
        self.install_as(thread, object, rights, route.lease.take(), on_exec(flags))
    }

    /// What the path names, opened in these ways by its permissions; made, if that is asked for and nothing is there.
    fn find_or_make(
        &self,
        names: &mut Names,
        thread: &Thread<M>,
        route: &Route<'_>,
        flags: OpenFlags,
        mode: u32,
    ) -> Result<Resolved, Stop> {
        let who = Self::who(thread);
        let exclusive = flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        let keep = exclusive || flags.contains(OpenFlags::NO_FOLLOW);
        let last = if keep { LastLink::Keep } else { LastLink::Follow };
        let found = Self::follow(names, thread, route, last)?;
        if found == Err(Error::NotFound) && flags.contains(OpenFlags::CREATE) {
            // A name in a directory that is there, or nothing.
            let spot = Self::spot(names, thread, route, last)?.map_err(Errno::from)?;
            if spot.directory_wanted {
                return Err(Errno::ISDIR.into());
            }
            let (directory, name) = (spot.directory, spot.name()?);
            let mut node = directory.node;
            self.change(names, directory.mount, &mut |file_system, _, now| {
                node = file_system.create(who, directory.node, name, NewNode::File, mode, now)?;
                Ok(())
            })?;
            // Whoever makes a file has it as it was asked for, whatever mode it gets.
            return Ok(Resolved { vnode: VnodeId { mount: directory.mount, node }, kind: Kind::File });
        }
        let found = found.map_err(Errno::from)?;
        if exclusive {
            return Err(Errno::EXIST.into());
        }
        let changes = flags.intersects(OpenFlags::WRITE | OpenFlags::TRUNCATE);
        match found.kind {
            Kind::Symlink => return Err(Errno::LOOP.into()),
            Kind::Directory if changes || flags.contains(OpenFlags::CREATE) => {
                return Err(Errno::ISDIR.into());
            }
            Kind::File | Kind::Fifo | Kind::Character if flags.contains(OpenFlags::DIRECTORY) => {
                return Err(Errno::NOTDIR.into());
            }
            Kind::Directory | Kind::File | Kind::Fifo | Kind::Character => {}
        }
        let vnode = found.vnode;
        let file_system = names.vfs.file_system(vnode.mount).map_err(Errno::from)?;
        for (asked, access) in [
            (flags.contains(OpenFlags::READ), Access::Read),
            (flags.contains(OpenFlags::EXECUTE), Access::Execute),
            (changes, Access::Write),
        ] {
            if asked {
                file_system.access(who, vnode.node, access).map_err(Errno::from)?;
            }
        }
        if flags.contains(OpenFlags::TRUNCATE) && found.kind == Kind::File {
            self.resize(names, vnode, 0)?;
            // All that is cut off goes back first, and leaves whoever maps it; until then this starts over.
            self.change(
                names,
                vnode.mount,
                &mut |file_system, frames, _| match file_system.reclaim(1, frames) {
                    Garbage::Left => Err(Error::Again),
                    Garbage::None => Ok(()),
                },
            )?;
            if Self::is_losing(names, vnode) {
                return Err(Stop::AGAIN);
            }
        }
        Ok(found)
    }

    /// The object for a node that was found.
    fn object_of(
        &self,
        thread: &Arc<Thread<M>>,
        found: Resolved,
        flags: OpenFlags,
    ) -> Result<Object<M>, Stop> {
        let vnode = found.vnode;
        let nonblock = flags.contains(OpenFlags::NONBLOCK);
        let object = match found.kind {
            Kind::Fifo => {
                let end = match (flags.contains(OpenFlags::READ), flags.contains(OpenFlags::WRITE)) {
                    (true, false) => End::Reader,
                    (false, true) => End::Writer,
                    _ => return Err(Errno::INVAL.into()),
                };
                // It counts itself.
                return Ok(Object::Pipe(self.open_fifo(thread, vnode, end, nonblock)?));
            }
            Kind::Character => match self.device(vnode)? {
                Device::Console | Device::Tty => Object::Console(Arc::new(Console {
                    nonblock: AtomicBool::new(nonblock),
                    vnode: Some(vnode),
                    count: OpenCount::one(),
                })),
                device => Object::Device(Arc::new(OpenDevice { device, vnode, count: OpenCount::one() })),
            },
            Kind::File | Kind::Directory | Kind::Symlink => {
                let open = OpenFile::new(vnode, flags);
                let made = self.made(thread, vnode)?;
                let lasting = Lasting::NotAsked;
                let state = OpenState { open, read_ahead: ReadAhead::new(READ_AHEAD_MAX), made, lasting };
                Object::File(Arc::new(File { open: Lock::new(ranks::FILE, state), count: OpenCount::one() }))
            }
        };
        self.objects_open.fetch_add(1, Ordering::Relaxed);
        Ok(object)
    }

    fn device(&self, vnode: VnodeId) -> Result<Device, Errno> {
        let names = self.files.names.lock();
        let names = names.as_ref().ok_or(Errno::NOENT)?;
        let number = names.vfs.file_system(vnode.mount)?.device(vnode.node)?;
        Device::from_number(number).ok_or(Errno::NODEV)
    }
}
