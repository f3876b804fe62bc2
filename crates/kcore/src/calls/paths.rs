//! Paths: from what a call gives to what they name, a slice at a time.
//!
//! Between two slices no lock is held and nothing is kept alive: the thread's progress has the directory that was reached and
//! what is still to go. The slices belong together only as long as the process has the same root, starts at the same
//! directory and acts for the same principal; otherwise the path is looked at from its beginning.

use alloc::{sync::Arc, vec::Vec};

use arrayvec::ArrayVec;
use swos_abi::{Capabilities, Errno, Handle, Rights, Stat};
use swos_handles::Lease;
use swos_path::{NAME_MAX, Name, PATH_MAX, Path};
use swos_vfs::{
    Ascent, Climbed, Error, Halt, Kind, LastLink, Namespace, Principal, Resolved, Scope, Trail, Unfinished,
    VnodeId,
};

use crate::{
    Kernel, Machine,
    files::Names,
    object::Object,
    process::View,
    thread::Thread,
    user::PathBytes,
    wait::{CallResult, Stop},
};

/// Steps of one resolution before interrupts get their turn. A call makes two at most.
const STEPS_AT_ONCE: u32 = 250;

/// Levels that one try of a call goes up, at some twenty instructions each: to see that a directory lies below a root.
const LEVELS_AT_ONCE: u32 = 1000;
/// The same with the names of the directories, at some hundred and fifty.
const NAMES_AT_ONCE: u32 = 200;

/// How far a call is with ways up in the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Climbing {
    /// Ways to roots.
    ways: [Option<(Ascent, VnodeId)>; 2],
    /// The path of the current directory, with its root and the bytes of it that were found.
    path: Option<(Trail, VnodeId, Vec<u8>)>,
}

/// Which of the paths of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Which {
    /// The only one, or the one from which something is renamed or linked.
    First,
    /// The one to which it is.
    Second,
}

/// What the slices of a path's resolution have done.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    start: View,
    who: Principal,
    left: Arc<Unfinished>,
}

/// Where a call keeps one of its paths, or what is left of it.
pub(super) struct PathRoom {
    bytes: PathBytes,
    left: Option<Arc<Unfinished>>,
}

impl PathRoom {
    #[inline]
    pub(super) const fn new() -> Self {
        Self { bytes: PathBytes::new(), left: None }
    }
}

/// A path, and where it starts.
pub(super) struct Route<'a> {
    pub(super) start: View,
    /// The loan by which the process has the handle where it starts.
    pub(super) lease: Option<Lease>,
    who: Principal,
    which: Which,
    steps: Steps<'a>,
}

/// What is to be gone of a path.
#[derive(Clone, Copy)]
enum Steps<'a> {
    /// All of it, if it is one: that is found out when it is gone.
    All(&'a [u8]),
    Left(&'a Unfinished),
}

impl Route<'_> {
    /// Refuses one that is no path.
    pub(super) fn check(&self) -> Result<(), Errno> {
        match self.steps {
            Steps::All(bytes) => check(bytes),
            Steps::Left(_) => Ok(()),
        }
    }

    fn scope<'a>(&self, namespace: &'a Namespace) -> Scope<'a> {
        let View { root, directory } = self.start;
        Scope { namespace, root, start: directory, who: self.who }
    }
}

/// A directory and a name in it, out of the lock's reach.
pub(super) struct Spot {
    pub(super) directory: VnodeId,
    name: ArrayVec<u8, NAME_MAX>,
    pub(super) existing: Option<Resolved>,
    pub(super) directory_wanted: bool,
}

impl Spot {
    pub(super) fn name(&self) -> Result<Name<'_>, Errno> {
        Name::new(&self.name).map_err(|_| Errno::INVAL)
    }

    /// Refuses a name at which something is mounted.
    pub(super) fn unmounted(&self) -> Result<&Self, Errno> {
        match self.existing {
            Some(found) if found.vnode.mount != self.directory.mount => Err(Errno::BUSY),
            _ => Ok(self),
        }
    }
}

/// Refuses bytes that are no path.
pub(super) fn check(bytes: &[u8]) -> Result<(), Errno> {
    Path::new(bytes).map(drop).map_err(|error| Error::from(error).errno())
}

impl<M: Machine> Kernel<M> {
    pub(super) fn who(thread: &Thread<M>) -> Principal {
        Principal(thread.process.identity().principal)
    }

    /// Where paths start: the root of the process, and a directory handle or the current directory; and the loan by which
    /// the process has that handle.
    #[inline]
    pub(super) fn start_of(thread: &Thread<M>, directory: Handle) -> Result<(View, Option<Lease>), Stop> {
        let view = *thread.process.view.lock();
        if directory == Handle::CWD { Ok((view, None)) } else { Self::start_at(thread, view, directory) }
    }

    #[inline(never)]
    fn start_at(thread: &Thread<M>, view: View, directory: Handle) -> Result<(View, Option<Lease>), Stop> {
        let (object, lease) = Self::leased_object(thread, directory, Rights::READ)?;
        match object {
            Object::File(file) => {
                let directory = file.open.lock().open.vnode;
                Ok((View { directory, ..view }, lease))
            }
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    /// A path of a call: as the program has it, or what earlier slices left of it.
    #[inline(never)]
    pub(super) fn route<'a>(
        &self,
        thread: &Thread<M>,
        which: Which,
        directory: Handle,
        path: (u64, u64),
        room: &'a mut PathRoom,
    ) -> Result<Route<'a>, Stop> {
        let who = Self::who(thread);
        if let Some(passed) = thread.progress.passed(which) {
            let (start, lease) = Self::start_of(thread, directory)?;
            if (passed.start, passed.who) == (start, who) {
                let steps = Steps::Left(room.left.insert(passed.left));
                return Ok(Route { start, lease, who, which, steps });
            }
        }
        let steps = Steps::All(self.read_path(path, &mut room.bytes)?);
        let (start, lease) = Self::start_of(thread, directory)?;
        Ok(Route { start, lease, who, which, steps })
    }

    /// What a route leads to.
    #[inline]
    pub(super) fn follow(
        names: &mut Names,
        thread: &Thread<M>,
        route: &Route<'_>,
        last: LastLink,
    ) -> Result<Result<Resolved, Error>, Stop> {
        let Names { vfs, namespace, remembered, .. } = names;
        let scope = route.scope(namespace);
        let found = match route.steps {
            Steps::All(path) => match remembered.find(&scope, path, last) {
                Some(found) => return Ok(Ok(found)),
                None => vfs.resolve_and_keep(remembered, &scope, path, last, STEPS_AT_ONCE),
            },
            Steps::Left(left) => vfs.resolve_some(&scope, swos_vfs::Route::Rest(left), last, STEPS_AT_ONCE),
        };
        Self::unless_halted(thread, route, found)
    }

    /// Where a route ends: the directory, and the name in it.
    pub(super) fn spot(
        names: &Names,
        thread: &Thread<M>,
        route: &Route<'_>,
        last: LastLink,
    ) -> Result<Result<Spot, Error>, Stop> {
        let steps = match route.steps {
            Steps::All(path) => match Path::new(path) {
                Ok(path) => swos_vfs::Route::Whole(path),
                Err(error) => return Ok(Err(error.into())),
            },
            Steps::Left(left) => swos_vfs::Route::Rest(left),
        };
        let found = names.vfs.resolve_entry_some(&route.scope(&names.namespace), steps, last, STEPS_AT_ONCE);
        let spot = found.map(|found| {
            let mut name = ArrayVec::new();
            // A name fits.
            let _ = name.try_extend_from_slice(found.name.as_bytes());
            let (existing, directory_wanted) = (found.existing, found.directory_wanted);
            Spot { directory: found.directory, name, existing, directory_wanted }
        });
        Self::unless_halted(thread, route, spot)
    }

    /// Keeps what a slice left, and lets interrupts in before the next one.
    #[inline(never)]
    fn unless_halted<T>(
        thread: &Thread<M>,
        route: &Route<'_>,
        found: Result<T, Halt>,
    ) -> Result<Result<T, Error>, Stop> {
        match found {
            Ok(found) => Ok(Ok(found)),
            Err(Halt::Failed(error)) => Ok(Err(error)),
            Err(Halt::Unfinished(left)) => {
                let passed = Passed { start: route.start, who: route.who, left: Arc::new(left) };
                thread.progress.pass(route.which, passed);
                Err(Stop::AGAIN)
            }
        }
    }

    /// What a route leads to, if the process may see that, and what `look` finds of it with the names still locked.
    fn find<T>(
        &self,
        thread: &Thread<M>,
        route: &Route<'_>,
        last: LastLink,
        look: impl FnOnce(&Names, VnodeId) -> Result<T, Error>,
    ) -> Result<(Resolved, T), Stop> {
        let (found, seen) = {
            let mut names = self.files.names.lock();
            let names = names.as_mut().ok_or(Errno::NOENT)?;
            let found = Self::follow(names, thread, route, last)?.map_err(Errno::from)?;
            (found, look(names, found.vnode).map_err(Errno::from)?)
        };
        self.check_visible(thread, found.vnode)?;
        Ok((found, seen))
    }

    /// Finds what a path names; and from where, and by which loan.
    pub(super) fn look_up_path(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: (u64, u64),
        last: LastLink,
    ) -> Result<(Resolved, (View, Option<Lease>)), Stop> {
        if !thread.process.has(Capabilities::FS_READ) {
            return Err(Errno::ACCES.into());
        }
        let mut room = PathRoom::new();
        let route = self.route(thread, Which::First, directory, path, &mut room)?;
        let (found, ()) = self.find(thread, &route, last, |_, _| Ok(()))?;
        Ok((found, (route.start, route.lease)))
    }

    /// The record of what a path names.
    pub(super) fn stat_path(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: (u64, u64),
        last: LastLink,
        record: &mut Stat,
    ) -> Result<(), Stop> {
        if !thread.process.has(Capabilities::FS_READ) {
            return Err(Errno::ACCES.into());
        }
        let mut room = PathRoom::new();
        let route = self.route(thread, Which::First, directory, path, &mut room)?;
        let stat = |names: &Names, at: VnodeId| names.vfs.file_system(at.mount)?.stat(at, record);
        self.find(thread, &route, last, stat).map(drop)
    }

    /// The file of a program that is named by a path from the current directory.
    pub(super) fn resolve_program(&self, thread: &Thread<M>, path: &[u8]) -> Result<VnodeId, Stop> {
        let (start, who) = (*thread.process.view.lock(), Self::who(thread));
        let passed = thread.progress.passed(Which::First);
        let steps = match &passed {
            Some(passed) if (passed.start, passed.who) == (start, who) => Steps::Left(&passed.left),
            _ => Steps::All(path),
        };
        let route = Route { start, lease: None, who, which: Which::First, steps };
        let (found, ()) = self.find(thread, &route, LastLink::Follow, |_, _| Ok(()))?;
        if found.kind == Kind::File { Ok(found.vnode) } else { Err(Errno::ACCES.into()) }
    }

    /// Whether a directory is `root` or lies below it; the `which`-th time that this call asks.
    #[cold]
    pub(super) fn check_within(
        &self,
        thread: &Thread<M>,
        which: Which,
        directory: VnodeId,
        root: VnodeId,
    ) -> Result<(), Stop> {
        if directory == root {
            return Ok(());
        }
        let names = self.files.names.lock();
        let names = names.as_ref().ok_or(Errno::NOENT)?;
        let kept = thread.progress.climbing().and_then(|climbing| climbing.ways[which as usize]);
        let mut ascent = match kept {
            Some((ascent, to)) if (ascent.from(), to) == (directory, root) => ascent,
            _ => names.vfs.ascent(&names.namespace, directory),
        };
        match names.vfs.ascend(&names.namespace, &mut ascent, root, &mut { LEVELS_AT_ONCE }) {
            Climbed::There if kept.is_none() => Ok(()),
            Climbed::There => {
                // A try that comes back for another reason finds it here.
                thread.progress.climb(|climbing| climbing.ways[which as usize] = Some((ascent, root)));
                Ok(())
            }
            Climbed::Elsewhere => Err(Errno::NOENT.into()),
            Climbed::NotYet => {
                thread.progress.climb(|climbing| climbing.ways[which as usize] = Some((ascent, root)));
                Err(Stop::AGAIN)
            }
        }
    }

    #[inline(never)]
    pub(super) fn getcwd(&self, thread: &Thread<M>, buffer: u64, length: u64) -> CallResult {
        let View { root, directory } = *thread.process.view.lock();
        let mut bytes = [0; PATH_MAX];
        let kept = thread.progress.climbing().and_then(|climbing| climbing.path);
        let (trail, whole) = {
            let names = self.files.names.lock();
            let names = names.as_ref().ok_or(Errno::NOENT)?;
            let scope = Scope { namespace: &names.namespace, root, start: directory, who: Self::who(thread) };
            let mut trail = match kept {
                Some((trail, from, found)) if (trail.directory(), from) == (directory, root) => {
                    if let Some(end) = bytes.get_mut(trail.start()..) {
                        end.copy_from_slice(&found);
                    }
                    trail
                }
                _ => names.vfs.trail(&names.namespace, directory),
            };
            let whole = names.vfs.follow_trail(&scope, &mut trail, &mut bytes, NAMES_AT_ONCE);
            (trail, whole.map_err(Errno::from)?)
        };
        let path = bytes.get(trail.start()..).unwrap_or(&[]);
        if !whole {
            let found = path.to_vec();
            thread.progress.climb(|climbing| climbing.path = Some((trail, root, found)));
            return Err(Stop::AGAIN);
        }
        if path.len() as u64 > length {
            return Err(Errno::RANGE.into());
        }
        self.copy_out(buffer, path)?;
        Ok(path.len() as u64)
    }
}
