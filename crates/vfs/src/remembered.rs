//! What paths led to, where that can't change.

use alloc::vec::Vec;

use crate::{Kind, LastLink, MountId, NodeId, Resolved, Scope, VnodeId};

/// Longest path that is remembered, in bytes.
const PATH_MAX: usize = 47;
/// Paths that are remembered at most. A power of two.
const PLACES: usize = 64;

/// Paths that were resolved within file systems whose names never change ([`crate::FileSystem::names_never_change`]), and what they
/// led to: found again by one look. A path has one place; who comes to it later has it.
///
/// **Invariant:** what is found is what a walk would find. A walk of such a path depends on nothing but where it starts, the root,
/// what happens to a link at its end, and what is mounted where; the last is compared by the namespace's version.
#[derive(Debug, Default)]
pub struct Remembered {
    version: u64,
    /// Empty until something is remembered.
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    /// Of a relative path.
    start: VnodeId,
    root: VnodeId,
    found: Resolved,
    last: LastLink,
    /// 0 = the place is free: no path is empty.
    length: u8,
    bytes: [u8; PATH_MAX],
}

impl Place {
    const FREE: Self = {
        let nowhere = VnodeId { mount: MountId { index: 0, generation: 0 }, node: NodeId(0) };
        let found = Resolved { vnode: nowhere, kind: Kind::Directory };
        Self { start: nowhere, root: nowhere, found, last: LastLink::Keep, length: 0, bytes: [0; PATH_MAX] }
    };

    fn path(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

impl Remembered {
    /// Nothing is.
    #[must_use]
    pub const fn new() -> Self {
        Self { version: 0, places: Vec::new() }
    }

    /// What `path` is known to lead to. Bytes that are no path are not known.
    #[must_use]
    #[inline]
    pub fn find(&self, scope: &Scope<'_>, path: &[u8], last: LastLink) -> Option<Resolved> {
        let place = self.places.get(slot(path))?;
        let known = place.path() == path
            && place.root == scope.root
            && (path.first() == Some(&b'/') || place.start == scope.start)
            && place.last == last
            && self.version == scope.namespace.version();
        known.then_some(place.found)
    }

    /// Keeps what a walk found that can't change. Without memory it is not kept.
    #[inline(never)]
    pub(crate) fn keep(&mut self, scope: &Scope<'_>, path: &[u8], last: LastLink, found: Resolved) {
        let mut bytes = [0; PATH_MAX];
        let (Some(room), Ok(length)) = (bytes.get_mut(..path.len()), u8::try_from(path.len())) else {
            return;
        };
        room.copy_from_slice(path);
        if self.version != scope.namespace.version() {
            self.version = scope.namespace.version();
            self.places.clear();
        }
        if self.places.is_empty() {
            if self.places.try_reserve_exact(PLACES).is_err() {
                return;
            }
            self.places.resize(PLACES, Place::FREE);
        }
        if let Some(place) = self.places.get_mut(slot(path)) {
            *place = Place { start: scope.start, root: scope.root, found, last, length, bytes };
        }
    }
}

/// The place of a path. Programs may choose paths that share one: then each is walked, as without this.
#[inline]
fn slot(path: &[u8]) -> usize {
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
    let (words, rest) = path.as_chunks::<8>();
    let tail = match path.last_chunk::<8>() {
        // It covers what the whole words leave.
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(0, |tail, &byte| tail << 8 | u64::from(byte)),
    };
    let hash = words.iter().fold(tail.wrapping_mul(MIX), |hash, word| {
        (hash.rotate_left(29) ^ u64::from_le_bytes(*word)).wrapping_mul(MIX)
    });
    (hash >> 32) as usize % PLACES
}
