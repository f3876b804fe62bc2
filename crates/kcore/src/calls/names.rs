//! Calls that make, move and remove names, and change what is known of a file.

use swos_abi::{
    Capabilities, Errno, FileSystemInfo, FileTimes, Handle, OpenFlags, Rights, TIME_NOW, TIME_OMIT,
    UNLINK_DIRECTORY,
};
use swos_vfs::{FileSystem, Kind, LastLink, NewNode, NodeId, Principal, Times};

use super::paths::{PathRoom, Which, check};
use crate::{
    Kernel, Machine,
    object::Object,
    thread::Thread,
    user::PathBytes,
    wait::{CallResult, Stop},
};

/// Permission bits that can be set. There is no other identity to run under, so no bit that asks for one.
const MODE_BITS: u32 = 0o1777;

/// What is changed of a node, by whom and when.
type Change<'a> = &'a dyn Fn(&mut dyn FileSystem, Principal, NodeId, u64) -> Result<(), swos_vfs::Error>;

impl<M: Machine> Kernel<M> {
    fn may_write(thread: &Thread<M>) -> Result<(), Stop> {
        if thread.process.has(Capabilities::TMP_WRITE) { Ok(()) } else { Err(Errno::ACCES.into()) }
    }

    /// Makes a node under a name that is free.
    fn make(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: (u64, u64),
        new: NewNode<'_>,
        mode: u32,
    ) -> CallResult {
        Self::may_write(thread)?;
        let mut room = PathRoom::new();
        let route = self.route(thread, Which::First, directory, path, &mut room)?;
        route.check()?;
        let mut names = self.files.names.lock();
        let names = names.as_mut().ok_or(Errno::NOENT)?;
        let spot = Self::spot(names, thread, &route, LastLink::Keep)?.map_err(Self::taken)?;
        if spot.existing.is_some() {
            return Err(Errno::EXIST.into());
        }
        if spot.directory_wanted && new != NewNode::Directory {
            return Err(Errno::NOENT.into());
        }
        let name = spot.name()?;
        let who = Self::who(thread);
        self.change(names, spot.directory.mount, &mut |file_system, _, now| {
            file_system.create(who, spot.directory.node, name, new, mode, now).map(drop)
        })?;
        Ok(0)
    }

    /// A path that ends in no name (`/`, `..`) names what is there.
    pub(super) const fn taken(error: swos_vfs::Error) -> Errno {
        match error {
            swos_vfs::Error::Invalid => Errno::EXIST,
            other => other.errno(),
        }
    }

    pub(super) fn mkdir(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: (u64, u64),
        mode: u32,
    ) -> CallResult {
        if mode & !MODE_BITS != 0 {
            return Err(Errno::INVAL.into());
        }
        self.make(thread, directory, path, NewNode::Directory, mode)
    }

    pub(super) fn mkfifo(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: (u64, u64),
        mode: u32,
    ) -> CallResult {
        if mode & !0o777 != 0 {
            return Err(Errno::INVAL.into());
        }
        self.make(thread, directory, path, NewNode::Fifo, mode)
    }

    pub(super) fn symlink(
        &self,
        thread: &Thread<M>,
        target: (u64, u64),
        directory: Handle,
        link: (u64, u64),
    ) -> CallResult {
        let mut room = PathBytes::new();
        let target = self.read_path(target, &mut room)?;
        check(target)?;
        self.make(thread, directory, link, NewNode::Symlink(target), 0o777)
    }

    pub(super) fn link(
        &self,
        thread: &Thread<M>,
        (from, from_path): (Handle, (u64, u64)),
        (to, to_path): (Handle, (u64, u64)),
    ) -> CallResult {
        Self::may_write(thread)?;
        let (mut from_room, mut to_room) = (PathRoom::new(), PathRoom::new());
        let from = self.route(thread, Which::First, from, from_path, &mut from_room)?;
        let to = self.route(thread, Which::Second, to, to_path, &mut to_room)?;
        to.check()?;
        let mut names = self.files.names.lock();
        let names = names.as_mut().ok_or(Errno::NOENT)?;
        let found = Self::follow(names, thread, &from, LastLink::Keep)?.map_err(Errno::from)?;
        let spot = Self::spot(names, thread, &to, LastLink::Keep)?.map_err(Self::taken)?;
        if spot.existing.is_some() {
            return Err(Errno::EXIST.into());
        }
        if spot.directory_wanted {
            return Err(Errno::NOENT.into());
        }
        if found.vnode.mount != spot.directory.mount {
            return Err(Errno::XDEV.into());
        }
        let (who, name) = (Self::who(thread), spot.name()?);
        self.change(names, found.vnode.mount, &mut |file_system, _, now| {
            file_system.link(who, found.vnode.node, spot.directory.node, name, now)
        })?;
        Ok(0)
    }

    pub(super) fn unlink(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: (u64, u64),
        flags: u32,
    ) -> CallResult {
        if Self::is_settling(thread) {
            return self.settle(thread);
        }
        let kind = match flags {
            0 => Kind::File,
            UNLINK_DIRECTORY => Kind::Directory,
            _ => return Err(Errno::INVAL.into()),
        };
        Self::may_write(thread)?;
        let mut room = PathRoom::new();
        let route = self.route(thread, Which::First, directory, path, &mut room)?;
        {
            let mut names = self.files.names.lock();
            let names = names.as_mut().ok_or(Errno::NOENT)?;
            let spot = Self::spot(names, thread, &route, LastLink::Keep)?.map_err(Errno::from)?;
            if spot.unmounted()?.existing.is_none() {
                return Err(Errno::NOENT.into());
            }
            if spot.directory_wanted && kind != Kind::Directory {
                return Err(Errno::ISDIR.into());
            }
            let (who, name) = (Self::who(thread), spot.name()?);
            self.change(names, spot.directory.mount, &mut |file_system, _, now| {
                file_system.unlink(who, spot.directory.node, name, kind, now)
            })?;
        }
        self.litter();
        self.settle(thread)
    }

    pub(super) fn rename(
        &self,
        thread: &Thread<M>,
        (from, from_path): (Handle, (u64, u64)),
        (to, to_path): (Handle, (u64, u64)),
    ) -> CallResult {
        if Self::is_settling(thread) {
            return self.settle(thread);
        }
        Self::may_write(thread)?;
        let (mut from_room, mut to_room) = (PathRoom::new(), PathRoom::new());
        let from = self.route(thread, Which::First, from, from_path, &mut from_room)?;
        let to = self.route(thread, Which::Second, to, to_path, &mut to_room)?;
        {
            let mut names = self.files.names.lock();
            let names = names.as_mut().ok_or(Errno::NOENT)?;
            let from = Self::spot(names, thread, &from, LastLink::Keep)?.map_err(Errno::from)?;
            let to = Self::spot(names, thread, &to, LastLink::Keep)?.map_err(Errno::from)?;
            let moved = from.unmounted()?.existing.ok_or(Errno::NOENT)?;
            to.unmounted()?;
            if (from.directory_wanted || to.directory_wanted) && moved.kind != Kind::Directory {
                return Err(Errno::NOTDIR.into());
            }
            if from.directory.mount != to.directory.mount {
                return Err(Errno::XDEV.into());
            }
            let (who, old, new) = (Self::who(thread), from.name()?, to.name()?);
            self.change(names, from.directory.mount, &mut |file_system, _, now| {
                file_system.rename(who, (from.directory.node, old), (to.directory.node, new), now)
            })?;
        }
        self.litter();
        self.settle(thread)
    }

    /// Changes what is known of a node: of what a path names, or, for an empty path, of what the handle is open on.
    fn set(
        &self,
        thread: &Thread<M>,
        handle: Handle,
        path: (u64, u64),
        flags: u32,
        deed: Change<'_>,
    ) -> CallResult {
        let flags = OpenFlags::from_bits(flags).filter(|flags| OpenFlags::NO_FOLLOW.contains(*flags));
        let last = if flags.ok_or(Errno::INVAL)?.is_empty() { LastLink::Follow } else { LastLink::Keep };
        Self::may_write(thread)?;
        let mut room = PathRoom::new();
        let named = match path.1 {
            0 => None,
            _ => Some(self.route(thread, Which::First, handle, path, &mut room)?),
        };
        let open = match (&named, handle) {
            (Some(_), _) => None,
            (None, Handle::CWD) => Some(thread.process.view.lock().directory),
            (None, _) => match Self::object(thread, handle, Rights::SETATTR)? {
                Object::File(file) => Some(file.open.lock().open.vnode),
                _ => return Err(Errno::NOTTY.into()),
            },
        };
        let mut names = self.files.names.lock();
        let names = names.as_mut().ok_or(Errno::NOENT)?;
        let vnode = match (&named, open) {
            (Some(route), _) => Self::follow(names, thread, route, last)?.map_err(Errno::from)?.vnode,
            (None, Some(vnode)) => vnode,
            (None, None) => return Err(Errno::NOENT.into()),
        };
        let who = Self::who(thread);
        self.change(names, vnode.mount, &mut |file_system, _, now| deed(file_system, who, vnode.node, now))?;
        Ok(0)
    }

    pub(super) fn set_mode(
        &self,
        thread: &Thread<M>,
        handle: Handle,
        path: (u64, u64),
        flags: u32,
        mode: u32,
    ) -> CallResult {
        if mode & !MODE_BITS != 0 {
            return Err(Errno::INVAL.into());
        }
        self.set(thread, handle, path, flags, &|file_system, who, node, now| {
            file_system.set_mode(who, node, mode, now)
        })
    }

    /// Who may take on another identity could make the file as that one, so may give it away as well. Anybody else could only
    /// fill another's quota.
    pub(super) fn set_owner(
        &self,
        thread: &Thread<M>,
        handle: Handle,
        path: (u64, u64),
        flags: u32,
        owner: u32,
    ) -> CallResult {
        let owner = Principal(owner);
        if owner != Self::who(thread) && !thread.process.has(Capabilities::LOGIN) {
            return Err(Errno::ACCES.into());
        }
        self.set(thread, handle, path, flags, &|file_system, who, node, now| {
            file_system.set_owner(who, node, owner, now)
        })
    }

    pub(super) fn set_times(
        &self,
        thread: &Thread<M>,
        handle: Handle,
        path: (u64, u64),
        flags: u32,
        times: (u64, u64),
    ) -> CallResult {
        let times: FileTimes = self.read_record(times.0, times.1)?;
        let chosen = |time, now| match time {
            TIME_OMIT => None,
            TIME_NOW => Some(now),
            other => Some(other),
        };
        self.set(thread, handle, path, flags, &|file_system, who, node, now| {
            let accessed_ns = chosen(times.accessed_ns, now);
            let modified_ns = chosen(times.modified_ns, now);
            file_system.set_times(who, node, Times { accessed_ns, modified_ns }, now)
        })
    }

    pub(super) fn file_system_info(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: (u64, u64),
        record: u64,
        size: u64,
    ) -> CallResult {
        let (found, _) = self.look_up_path(thread, directory, path, LastLink::Follow)?;
        let usage = {
            let names = self.files.names.lock();
            let names = names.as_ref().ok_or(Errno::NOENT)?;
            names.vfs.file_system(found.vnode.mount).map_err(Errno::from)?.usage()
        };
        let answer = FileSystemInfo {
            device: u64::from(found.vnode.mount.get()),
            page_size: swos_units::PAGE_SIZE as u64,
            pages: usage.pages,
            pages_used: usage.pages_used,
            nodes: usage.nodes,
            nodes_used: usage.nodes_used,
        };
        self.write_record(record, size, &answer)
    }
}
