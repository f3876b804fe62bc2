//! What a fault means.

use swos_units::{PAGE_SIZE, Page, VirtAddr};
use swos_vm::Access;

use crate::area::{Area, Backing, ObjectId};

/// What the program tried.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AccessKind {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// What the hardware found. Source: Arm DDI 0487 L.a §D24.2.40 (`ESR_EL1`, fault status codes).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// A translation fault: no valid entry.
    Absent,
    /// A permission fault: a valid entry that does not allow it.
    Forbidden,
}

/// Why a fault can't be resolved: the program is at fault.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Denied {
    /// Nothing is mapped there.
    Unmapped,
    /// A guard page, most often a stack overflow.
    Guard,
    /// The area does not allow this access.
    Access,
}

/// What the kernel does about a fault.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Map a fresh frame of zeroes, private.
    MapZero {
        /// With this access.
        access: Access,
    },
    /// Map the page cache's own frame, `Sharing::CopyOnWrite`.
    MapFile {
        /// The file.
        object: ObjectId,
        /// Its page.
        page: u64,
        /// With this access; a copy-on-write entry is not writable whatever it says.
        access: Access,
    },
    /// Map a fresh frame, private: the first `bytes` bytes from the file's page, the rest zero.
    CopyFile {
        /// The file.
        object: ObjectId,
        /// Its page.
        page: u64,
        /// How many bytes, 1 to 4096.
        bytes: usize,
        /// With this access.
        access: Access,
    },
    /// Map the object's own frame, `Sharing::Shared`.
    MapShared {
        /// The object.
        object: ObjectId,
        /// Its page.
        page: u64,
        /// With this access.
        access: Access,
    },
    /// The page is present and private but not writable: if others hold its frame, replace it by a copy, else make it
    /// writable as it is.
    CopyOnWrite {
        /// With this access.
        access: Access,
    },
    /// The access is allowed and nothing is left to do: another CPU was faster, or the TLB is behind. Invalidate the page
    /// and let the program try again.
    Stale,
    /// End the program, or give it the news.
    Deny(Denied),
}

/// Decides about a fault at `address` in `area`.
pub(crate) fn decide(area: &Area, address: VirtAddr, kind: AccessKind, cause: Cause) -> Decision {
    if area.backing == Backing::Guard {
        return Decision::Deny(Denied::Guard);
    }
    if !allows(area.access, kind) {
        return Decision::Deny(Denied::Access);
    }
    let access = area.access;
    if cause == Cause::Forbidden {
        return match (kind, area.backing) {
            (AccessKind::Write, Backing::Anonymous | Backing::File(_)) => Decision::CopyOnWrite { access },
            _ => Decision::Stale,
        };
    }
    let offset = Page::containing(address).number() - area.pages.start().number();
    match area.backing.advanced(offset) {
        Backing::Anonymous => Decision::MapZero { access },
        Backing::Shared(window) => Decision::MapShared { object: window.object, page: window.first, access },
        Backing::File(window) => {
            let bytes = usize::try_from(window.bytes).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
            let (object, page) = (window.object, window.first);
            if bytes == 0 {
                Decision::MapZero { access }
            } else if bytes < PAGE_SIZE || kind == AccessKind::Write {
                Decision::CopyFile { object, page, bytes, access }
            } else {
                Decision::MapFile { object, page, access }
            }
        }
        Backing::Reserved | Backing::Guard => Decision::Deny(Denied::Access),
    }
}

const fn allows(access: Access, kind: AccessKind) -> bool {
    match (access, kind) {
        (Access::None, _) => false,
        (_, AccessKind::Read) => true,
        (Access::ReadWrite, AccessKind::Write) | (Access::ReadExecute, AccessKind::Execute) => true,
        (_, AccessKind::Write | AccessKind::Execute) => false,
    }
}
