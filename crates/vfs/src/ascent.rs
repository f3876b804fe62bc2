//! The way up from a directory: to see that it lies below a root, and what its path is.
//!
//! A tree may be deeper than any path is long, so a way up may be gone a part at a time. The parts are one way only as long as no
//! directory is moved or renamed anywhere in between ([`FileSystem::changes`](crate::FileSystem::changes)); if one was, the
//! way begins anew. Somebody who moves directories without end could keep another from ever arriving; so after
//! [`RESTARTS_MAX`] times it leads nowhere, which is the answer that lets nobody out of a root.

use crate::{Error, Namespace, Scope, Vfs, VnodeId};

/// Most levels that a directory lies below a root: no path is as deep.
pub(crate) const LEVELS_MAX: u32 = 8192;
const _: () = assert!(LEVELS_MAX as usize == crate::WALK_BYTES_MAX);

/// How often a way up begins anew because a directory was moved or renamed meanwhile.
pub const RESTARTS_MAX: u8 = 250;

/// How far the way up from a directory to a root was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ascent {
    from: VnodeId,
    /// The directory that was reached.
    at: VnodeId,
    /// Levels that it may have still.
    left: u32,
    /// What [`Vfs::changes`] was.
    changes: u64,
    restarts: u8,
}

impl Ascent {
    /// Where it starts.
    #[must_use]
    pub const fn from(&self) -> VnodeId {
        self.from
    }

    /// The way up from another directory, which begins anew no oftener than the rest of this one.
    pub(crate) const fn elsewhere(self, from: VnodeId) -> Self {
        Self { from, at: from, left: LEVELS_MAX, ..self }
    }

    /// One that has arrived: `from` is known to lie below `root` now.
    pub(crate) const fn arrived(self, from: VnodeId, root: VnodeId, changes: u64) -> Self {
        Self { at: root, changes, ..self.elsewhere(from) }
    }

    /// Whether it has arrived from `from` at `root`, and nothing has changed since.
    pub(crate) fn holds(&self, from: VnodeId, root: VnodeId, changes: u64) -> bool {
        self.from == from && self.at == root && self.changes == changes
    }

    /// Begins anew if something has changed. Whether it may go on.
    fn renew(&mut self, changes: u64) -> bool {
        if self.changes == changes {
            return true;
        }
        let restarts = self.restarts.saturating_add(1);
        *self = Self { restarts, changes, ..self.elsewhere(self.from) };
        restarts <= RESTARTS_MAX
    }
}

/// Where the way up from a directory led.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Climbed {
    /// To the root.
    There,
    /// Not to its end yet: go on.
    NotYet,
    /// Past it, or nowhere.
    Elsewhere,
}

/// How much of a directory's path was found, from its end on. The bytes are with whoever asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trail {
    way: Ascent,
    start: usize,
}

impl Trail {
    /// Where in the buffer the bytes that were found start.
    #[must_use]
    pub const fn start(&self) -> usize {
        self.start
    }

    /// The directory whose path it is.
    #[must_use]
    pub const fn directory(&self) -> VnodeId {
        self.way.from
    }
}

impl Vfs {
    /// The way up from a directory, no step of it gone.
    #[must_use]
    pub fn ascent(&self, namespace: &Namespace, from: VnodeId) -> Ascent {
        Ascent { from, at: from, left: LEVELS_MAX, changes: self.changes(namespace), restarts: 0 }
    }

    /// Goes on with a way up to `root`, the same each time, for at most so many levels, and takes off those that it went. A
    /// directory deeper than any path could name does not lie below a root.
    pub fn ascend(
        &self,
        namespace: &Namespace,
        ascent: &mut Ascent,
        root: VnodeId,
        levels: &mut u32,
    ) -> Climbed {
        if !ascent.renew(self.changes(namespace)) {
            return Climbed::Elsewhere;
        }
        while ascent.at != root {
            while let Some(covered) = namespace.beneath(ascent.at) {
                ascent.at = covered;
            }
            let at = ascent.at;
            let end = namespace.end_of(at.mount);
            if end == Some(at.node) || ascent.left == 0 {
                return Climbed::Elsewhere;
            }
            let most = ascent.left.min(*levels);
            if most == 0 {
                return Climbed::NotYet;
            }
            let mut left = most;
            let ends = [end, (at.mount == root.mount).then_some(root.node)];
            let reached = self
                .file_system(at.mount)
                .and_then(|file_system| file_system.climb(at.node, ends, &mut left));
            let climbed = most.saturating_sub(left);
            (ascent.left, *levels) = (ascent.left - climbed, *levels - climbed);
            match reached {
                Ok(node) if node != at.node => ascent.at.node = node,
                Ok(_) | Err(_) => return Climbed::Elsewhere,
            }
        }
        Climbed::There
    }

    /// Whether the directory `at` is `root` or lies below it. A directory deeper than any path could name does not.
    #[must_use]
    pub fn is_within(&self, namespace: &Namespace, at: VnodeId, root: VnodeId) -> bool {
        let mut ascent = self.ascent(namespace, at);
        self.ascend(namespace, &mut ascent, root, &mut { LEVELS_MAX }) == Climbed::There
    }

    /// The directory above `at`, through mounts; `None` at the top of everything.
    pub(crate) fn above(&self, namespace: &Namespace, mut at: VnodeId) -> Result<Option<VnodeId>, Error> {
        while let Some(covered) = namespace.beneath(at) {
            at = covered;
        }
        let parent = self.file_system(at.mount)?.parent(at.node)?;
        if parent == at.node || namespace.is_bottom(at) {
            return Ok(None);
        }
        Ok(Some(VnodeId { mount: at.mount, node: parent }))
    }

    /// The path of a directory, no byte of it found.
    #[must_use]
    pub fn trail(&self, namespace: &Namespace, directory: VnodeId) -> Trail {
        Trail { way: self.ascent(namespace, directory), start: swos_path::PATH_MAX }
    }

    /// Goes on with the absolute path of a directory, for at most so many levels. It is written to the end of `buffer`, which a
    /// path of any length fits into, and which is as it was left, from [`Trail::start`] on. Returns whether the path is whole.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if it was removed or lies outside of the root, or if other directories are moved or renamed all the
    /// time, [`Error::NameTooLong`] if its path is.
    pub fn follow_trail(
        &self,
        scope: &Scope<'_>,
        trail: &mut Trail,
        buffer: &mut [u8; swos_path::PATH_MAX],
        levels: u32,
    ) -> Result<bool, Error> {
        let namespace = scope.namespace;
        let changes = self.changes(namespace);
        if trail.way.changes != changes {
            trail.start = buffer.len();
        }
        if !trail.way.renew(changes) {
            return Err(Error::NotFound);
        }
        let mut start = trail.start;
        let mut put = |bytes: &[u8]| {
            let at = start.checked_sub(bytes.len()).ok_or(Error::NameTooLong)?;
            buffer[at..start].copy_from_slice(bytes);
            start = at;
            Ok::<(), Error>(())
        };
        if trail.way.from == scope.root {
            put(b"/")?;
        }
        let mut at = trail.way.at;
        for _ in 0..levels {
            if at == scope.root {
                break;
            }
            while let Some(covered) = namespace.beneath(at) {
                at = covered;
            }
            let name = self.file_system(at.mount)?.name(at.node)?.ok_or(Error::NotFound)?;
            put(name.as_bytes())?;
            put(b"/")?;
            at = self.above(namespace, at)?.ok_or(Error::NotFound)?;
        }
        (trail.start, trail.way.at) = (start, at);
        Ok(at == scope.root)
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
        directory: VnodeId,
        buffer: &mut [u8; swos_path::PATH_MAX],
    ) -> Result<usize, Error> {
        let mut trail = self.trail(scope.namespace, directory);
        // A path that fits has fewer levels than that.
        while !self.follow_trail(scope, &mut trail, buffer, LEVELS_MAX)? {}
        Ok(trail.start)
    }
}
