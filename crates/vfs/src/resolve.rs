//! From a path to a vnode.

use arrayvec::ArrayVec;
use swos_path::{Component, Components, Name, Path};

use crate::{Error, Kind, Namespace, Principal, Vfs, VnodeId};

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

struct Walked<'a> {
    /// The last name, and the directory that it was looked up in; `None` if the path ended in `.`, `..` or `/` alone.
    entry: Option<(VnodeId, Name<'a>)>,
    found: Option<Resolved>,
    directory_wanted: bool,
}

impl Vfs {
    /// Finds what `path` names.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotDirectory`], [`Error::AccessDenied`], [`Error::TooManyLinks`],
    /// [`Error::NameTooLong`] if links make the path too long, [`Error::Unmounted`], [`Error::Corrupt`] if a link holds no
    /// path.
    pub fn resolve(&self, scope: &Scope<'_>, path: Path<'_>, last: LastLink) -> Result<Resolved, Error> {
        self.walk(scope, path, last)?.found.ok_or(Error::NotFound)
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
        let walked = self.walk(scope, path, last)?;
        let (directory, name) = walked.entry.ok_or(Error::Invalid)?;
        Ok(EntryAt { directory, name, existing: walked.found, directory_wanted: walked.directory_wanted })
    }

    fn walk<'a>(&'a self, scope: &Scope<'_>, path: Path<'a>, last: LastLink) -> Result<Walked<'a>, Error> {
        // Remainders of the paths that links interrupted, innermost last. Empty ones are not kept.
        let mut pending: ArrayVec<Components<'a>, LINKS_MAX> = ArrayVec::new();
        let mut links = 0;
        let mut bytes = path.as_bytes().len();
        let mut rest = path.components();
        let mut directory_wanted = false;
        let mut at = if path.is_absolute() { scope.root } else { scope.start };
        let mut kind = Kind::Directory;
        let mut entry = None;
        // Whether `at` is known to lie below the root. Checked at the first `..` only: most paths have none.
        let mut confined = at == scope.root;

        loop {
            let Some(step) = rest.next() else {
                let Some(interrupted) = pending.pop() else { break };
                rest = interrupted;
                continue;
            };
            if kind != Kind::Directory {
                return Err(Error::NotDirectory);
            }
            let is_last = pending.is_empty() && rest.is_empty();
            let name = match step {
                Component::Current => {
                    entry = None;
                    continue;
                }
                Component::Parent => {
                    if !confined {
                        self.check_confined(scope, at)?;
                        confined = true;
                    }
                    if at != scope.root {
                        at = self.above(scope.namespace, at)?.ok_or(Error::NotFound)?;
                    }
                    entry = None;
                    continue;
                }
                Component::Name(name) => name,
            };
            directory_wanted |= is_last && rest.requires_directory();
            entry = Some((at, name));
            let file_system = self.file_system(at.mount)?;
            let child = match file_system.lookup(scope.who, at.node, name) {
                Err(Error::NotFound) if is_last => {
                    return Ok(Walked { entry, found: None, directory_wanted });
                }
                other => other?,
            };
            let follow = !is_last || last == LastLink::Follow || directory_wanted;
            if child.kind == Kind::Symlink && follow {
                let target = Path::new(file_system.read_link(child.node)?).map_err(|_| Error::Corrupt)?;
                links += 1;
                bytes += target.as_bytes().len();
                if links > LINKS_MAX {
                    return Err(Error::TooManyLinks);
                }
                if bytes > WALK_BYTES_MAX {
                    return Err(Error::NameTooLong);
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
            return Err(Error::NotDirectory);
        }
        Ok(Walked { entry, found: Some(Resolved { vnode: at, kind }), directory_wanted })
    }

    /// The directory above `at`, through mounts; `None` at the top of everything.
    fn above(&self, namespace: &Namespace, mut at: VnodeId) -> Result<Option<VnodeId>, Error> {
        while let Some(covered) = namespace.beneath(at) {
            at = covered;
        }
        let parent = self.file_system(at.mount)?.parent(at.node)?;
        if parent == at.node || namespace.is_bottom(at) {
            return Ok(None);
        }
        Ok(Some(VnodeId { mount: at.mount, node: parent }))
    }

    /// The absolute path of a directory, written to the end of `buffer`, which a path of any length fits into; returns where
    /// it starts.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if it was removed or lies outside of the root, [`Error::NameTooLong`] if its path is.
    pub fn path_of(
        &self,
        scope: &Scope<'_>,
        mut directory: VnodeId,
        buffer: &mut [u8; swos_path::PATH_MAX],
    ) -> Result<usize, Error> {
        let mut start = buffer.len();
        let mut put = |bytes: &[u8]| {
            let at = start.checked_sub(bytes.len()).ok_or(Error::NameTooLong)?;
            buffer[at..start].copy_from_slice(bytes);
            start = at;
            Ok::<(), Error>(())
        };
        if directory == scope.root {
            put(b"/")?;
        }
        while directory != scope.root {
            while let Some(covered) = scope.namespace.beneath(directory) {
                directory = covered;
            }
            let file_system = self.file_system(directory.mount)?;
            let name = file_system.name(directory.node)?.ok_or(Error::NotFound)?;
            put(name.as_bytes())?;
            put(b"/")?;
            directory = self.above(scope.namespace, directory)?.ok_or(Error::NotFound)?;
        }
        Ok(start)
    }

    fn check_confined(&self, scope: &Scope<'_>, at: VnodeId) -> Result<(), Error> {
        if self.is_within(scope.namespace, at, scope.root) { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Whether the directory `at` is `root` or lies below it. A directory deeper than any path could name does not.
    #[must_use]
    pub fn is_within(&self, namespace: &Namespace, mut at: VnodeId, root: VnodeId) -> bool {
        for _ in 0..WALK_BYTES_MAX {
            if at == root {
                return true;
            }
            match self.above(namespace, at) {
                Ok(Some(above)) => at = above,
                Ok(None) | Err(_) => return false,
            }
        }
        false
    }
}
