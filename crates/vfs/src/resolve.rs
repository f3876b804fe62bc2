//! From a path to a vnode.

use alloc::vec::Vec;

use arrayvec::ArrayVec;
use swos_path::{Component, Components, Name, Path};

use crate::{
    Error, Kind, Namespace, Principal, Remembered, Vfs, VnodeId,
    ascent::{Ascent, Climbed, LEVELS_MAX},
};

/// Most symbolic links in one resolution.
pub const LINKS_MAX: usize = 40;

/// Most bytes of path and link targets in one resolution: bounds its work.
pub const WALK_BYTES_MAX: usize = 2 * swos_path::PATH_MAX;

/// Where a process may look, and who it is.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// What is mounted where.
    pub namespace: &'a Namespace,
    /// `/` for this process.
    pub root: VnodeId,
    /// Where a relative path starts: the current directory, or the directory of a handle. It may lie outside of
    /// `root` (a handle that was passed on); then what is below it can be named, but `..` leads nowhere.
    pub start: VnodeId,
    /// Who asks.
    pub who: Principal,
}

/// What happens to a symbolic link in the last component. One followed by `/` is always followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastLink {
    /// It is followed.
    Follow,
    /// It is the result.
    Keep,
}

/// What a path led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resolved {
    /// The node.
    pub vnode: VnodeId,
    /// What it is.
    pub kind: Kind,
}

/// A directory and a name in it, taken or free: what creating, removing and renaming need.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntryAt<'a> {
    /// The directory.
    pub directory: VnodeId,
    /// The name.
    pub name: Name<'a>,
    /// What has the name now, seen through mounts.
    pub existing: Option<Resolved>,
    /// The path ended in `/`, so only a directory may get or lose the name.
    pub directory_wanted: bool,
}

/// A resolution that stopped half way: the directory that it reached, and what is still to go.
///
/// It holds nothing, so it may be forgotten, and what it names may change: the directory is looked up in anew, and if a directory
/// was moved meanwhile, whether it lies below the root is found out anew before a `..` leads out of it. So whoever goes on
/// finds what somebody would who had that directory as the current one. Only the root and who asks must be as before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unfinished {
    at: VnodeId,
    /// How far it is known whether that lies below the root.
    way: Ascent,
    /// Remainders of checked paths, one after another. At least one component.
    rest: Vec<u8>,
    links: usize,
    bytes: usize,
    directory_wanted: bool,
}

/// What a resolution starts with.
#[derive(Clone, Copy, Debug)]
pub enum Route<'a> {
    /// A path.
    Whole(Path<'a>),
    /// What an earlier one left.
    Rest(&'a Unfinished),
}

/// Why a resolution has no result.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Halt {
    /// It failed.
    Failed(Error),
    /// The steps that it was allowed are done: this is left.
    Unfinished(Unfinished),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a step costs of the steps that a resolution is allowed: one is some forty instructions.
mod cost {
    pub(super) const CURRENT: u32 = 1;
    pub(super) const PARENT: u32 = 3;
    pub(super) const NAME: u32 = 6;
    /// A link, with its target.
    pub(super) const LINK: u32 = 12;
    /// As many bytes of a name that are compared are one step. A level that is climbed is one.
    pub(super) const PER_STEP: u32 = 4;
}

struct Walked<'a> {
    /// The last name, and the directory that it was looked up in; `None` if the path ended in `.`, `..` or `/` alone.
    entry: Option<(VnodeId, Name<'a>)>,
    found: Option<Resolved>,
    directory_wanted: bool,
    /// All names on the way are of file systems in which none ever changes.
    settled: bool,
}

impl<'a> Walked<'a> {
    fn into_entry(self) -> Result<EntryAt<'a>, Error> {
        let (directory, name) = self.entry.ok_or(Error::Invalid)?;
        Ok(EntryAt { directory, name, existing: self.found, directory_wanted: self.directory_wanted })
    }
}

impl Vfs {
    /// Finds what `path` names, however long it takes.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotDirectory`], [`Error::AccessDenied`], [`Error::TooManyLinks`],
    /// [`Error::NameTooLong`] if links make the path too long, [`Error::Unmounted`], [`Error::Corrupt`] if a link holds no
    /// path.
    pub fn resolve(&self, scope: &Scope<'_>, path: Path<'_>, last: LastLink) -> Result<Resolved, Error> {
        self.walk(scope, Route::Whole(path), last, None).map_err(whole)?.found.ok_or(Error::NotFound)
    }

    /// Finds what a route leads to, in at most so many steps of some forty instructions. It takes more only to get on at
    /// all: for one component.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve), [`Error::OutOfMemory`] if what is left can't be noted, and
    /// [`Halt::Unfinished`].
    pub fn resolve_some(
        &self,
        scope: &Scope<'_>,
        route: Route<'_>,
        last: LastLink,
        steps: u32,
    ) -> Result<Resolved, Halt> {
        Ok(self.walk(scope, route, last, Some(steps.max(1)))?.found.ok_or(Error::NotFound)?)
    }

    /// The same for bytes that are to be a path and that [`Remembered::find`] does not know. What is found that can't change is
    /// remembered.
    ///
    /// # Errors
    ///
    /// Those of [`resolve_some`](Self::resolve_some), and those of [`Path::new`].
    #[inline(never)]
    pub fn resolve_and_keep(
        &self,
        remembered: &mut Remembered,
        scope: &Scope<'_>,
        path: &[u8],
        last: LastLink,
        steps: u32,
    ) -> Result<Resolved, Halt> {
        let route = Route::Whole(Path::new(path).map_err(Error::from)?);
        let walked = self.walk(scope, route, last, Some(steps.max(1)))?;
        let found = walked.found.ok_or(Error::NotFound)?;
        if walked.settled {
            remembered.keep(scope, path, last, found);
        }
        Ok(found)
    }

    /// Finds the directory and the name that `path` ends with, whether the name is taken or not.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve) for all but the last component, and [`Error::Invalid`] if the path ends in
    /// `.`, `..` or is `/`.
    pub fn resolve_entry<'a>(
        &'a self,
        scope: &Scope<'_>,
        path: Path<'a>,
        last: LastLink,
    ) -> Result<EntryAt<'a>, Error> {
        self.walk(scope, Route::Whole(path), last, None).map_err(whole)?.into_entry()
    }

    /// The same for a route, as [`resolve_some`](Self::resolve_some).
    ///
    /// # Errors
    ///
    /// Those of [`resolve_entry`](Self::resolve_entry), [`Error::OutOfMemory`], [`Halt::Unfinished`].
    pub fn resolve_entry_some<'a>(
        &'a self,
        scope: &Scope<'_>,
        route: Route<'a>,
        last: LastLink,
        steps: u32,
    ) -> Result<EntryAt<'a>, Halt> {
        Ok(self.walk(scope, route, last, Some(steps.max(1)))?.into_entry()?)
    }

    fn walk<'a>(
        &'a self,
        scope: &Scope<'_>,
        route: Route<'a>,
        last: LastLink,
        steps: Option<u32>,
    ) -> Result<Walked<'a>, Halt> {
        // Remainders of the paths that links interrupted, innermost last. Empty ones are not kept.
        let mut pending: ArrayVec<Components<'a>, LINKS_MAX> = ArrayVec::new();
        let (mut at, mut rest, mut links, mut bytes, mut directory_wanted) = match route {
            Route::Whole(path) => {
                let at = if path.is_absolute() { scope.root } else { scope.start };
                (at, path.components(), 0, path.as_bytes().len(), false)
            }
            Route::Rest(left) => {
                (left.at, Components::resume(&left.rest), left.links, left.bytes, left.directory_wanted)
            }
        };
        let mut kind = Kind::Directory;
        let mut entry = None;
        // Whether `at` is known to lie below the root. Checked at the first `..` only: most paths have none.
        let mut confined = at == scope.root;
        // The way there from some directory: what was gone of it counts as long as that is `at`.
        let mut way = None;
        if let Route::Rest(left) = route {
            confined |= left.way.holds(at, scope.root, self.changes(scope.namespace));
            way = Some(left.way);
        }
        let mut left = steps.unwrap_or(u32::MAX);
        let mut settled = true;

        loop {
            let before = rest;
            let Some(step) = rest.next() else {
                let Some(interrupted) = pending.pop() else { break };
                rest = interrupted;
                continue;
            };
            if kind != Kind::Directory {
                return Err(Error::NotDirectory.into());
            }
            let mut pause = steps.is_some_and(|_| left == 0);
            if step == Component::Parent && !confined && !pause {
                let known = way.unwrap_or_else(|| self.ascent(scope.namespace, at));
                let mut ascent = if known.from() == at { known } else { known.elsewhere(at) };
                let allowed = steps.map_or(LEVELS_MAX, |_| left);
                let mut levels = allowed;
                match self.ascend(scope.namespace, &mut ascent, scope.root, &mut levels) {
                    Climbed::There => confined = true,
                    Climbed::NotYet => pause = true,
                    Climbed::Elsewhere => return Err(Error::NotFound.into()),
                }
                left = left.saturating_sub(allowed - levels);
                way = Some(ascent);
            }
            if pause {
                let changes = self.changes(scope.namespace);
                let known = way.unwrap_or_else(|| self.ascent(scope.namespace, at));
                let way = if confined { known.arrived(at, scope.root, changes) } else { known };
                let rest = joined(before, &pending)?;
                return Err(Halt::Unfinished(Unfinished { at, way, rest, links, bytes, directory_wanted }));
            }
            let is_last = pending.is_empty() && rest.is_empty();
            let name = match step {
                Component::Current => {
                    left = left.saturating_sub(cost::CURRENT);
                    entry = None;
                    continue;
                }
                Component::Parent => {
                    left = left.saturating_sub(cost::PARENT);
                    // Where it leads may depend on what was moved where.
                    settled = false;
                    if at != scope.root {
                        at = self.above(scope.namespace, at)?.ok_or(Error::NotFound)?;
                    }
                    entry = None;
                    continue;
                }
                Component::Name(name) => name,
            };
            let length = u32::try_from(name.as_bytes().len()).unwrap_or(u32::MAX);
            left = left.saturating_sub(cost::NAME + length / cost::PER_STEP);
            directory_wanted |= is_last && rest.requires_directory();
            entry = Some((at, name));
            let file_system = self.file_system(at.mount)?;
            settled = settled && file_system.names_never_change();
            let child = match file_system.lookup(scope.who, at.node, name) {
                Err(Error::NotFound) if is_last => {
                    return Ok(Walked { entry, found: None, directory_wanted, settled });
                }
                other => other?,
            };
            let follow = !is_last || last == LastLink::Follow || directory_wanted;
            if child.kind == Kind::Symlink && follow {
                left = left.saturating_sub(cost::LINK);
                let target = Path::new(file_system.read_link(child.node)?).map_err(|_| Error::Corrupt)?;
                links += 1;
                bytes += target.as_bytes().len();
                if links > LINKS_MAX {
                    return Err(Error::TooManyLinks.into());
                }
                if bytes > WALK_BYTES_MAX {
                    return Err(Error::NameTooLong.into());
                }
                if !rest.is_empty() {
                    pending.try_push(rest).map_err(|_| Error::TooManyLinks)?;
                }
                rest = target.components();
                if target.is_absolute() {
                    at = scope.root;
                    confined = true;
                }
                entry = None;
                continue;
            }
            at = VnodeId { mount: at.mount, node: child.node };
            kind = child.kind;
            if kind == Kind::Directory {
                at = scope.namespace.topmost(at);
            }
        }
        if directory_wanted && kind != Kind::Directory {
            return Err(Error::NotDirectory.into());
        }
        Ok(Walked { entry, found: Some(Resolved { vnode: at, kind }), directory_wanted, settled })
    }
}

/// What is still to go, in one piece. Each remainder but the first starts with `/`.
#[cold]
fn joined(first: Components<'_>, pending: &[Components<'_>]) -> Result<Vec<u8>, Error> {
    let parts = || [first].into_iter().chain(pending.iter().rev().copied()).map(|part| part.as_bytes());
    let mut rest = Vec::new();
    rest.try_reserve_exact(parts().map(<[u8]>::len).sum()).map_err(|_| Error::OutOfMemory)?;
    parts().for_each(|part| rest.extend_from_slice(part));
    Ok(rest)
}

/// Of a resolution whose steps are not counted.
fn whole(halt: Halt) -> Error {
    match halt {
        Halt::Failed(error) => error,
        Halt::Unfinished(_) => unreachable!("no path takes so many steps"),
    }
}
