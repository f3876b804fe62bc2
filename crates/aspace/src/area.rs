//! One area: a run of pages with one access, one permission and one backing.

use swos_units::{PAGE_SHIFT, Page};
use swos_vm::{Access, PageRange};

/// Names a file or a memory object. The kernel gives it its meaning.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ObjectId(pub u64);

/// Which accesses an area may ever get: the rights of the handle that it was mapped with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Permitted(u8);

impl Permitted {
    /// No access.
    pub const NONE: Self = Self(0);
    /// Reading.
    pub const READ: Self = Self(1);
    /// Reading and writing, not at the same time executing.
    pub const READ_WRITE: Self = Self(1 | 2);
    /// Reading and executing.
    pub const READ_EXECUTE: Self = Self(1 | 4);
    /// Everything, one after the other: code that is written first and executed later.
    pub const ALL: Self = Self(1 | 2 | 4);

    /// What either allows.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `access` is within.
    #[must_use]
    pub const fn allows(self, access: Access) -> bool {
        let wanted = match access {
            Access::None => 0,
            Access::ReadOnly => Self::READ.0,
            Access::ReadWrite => Self::READ_WRITE.0,
            Access::ReadExecute => Self::READ_EXECUTE.0,
        };
        wanted & !self.0 == 0
    }
}

/// Private pages of a file: they start as the file's, a write makes a copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileWindow {
    /// The file.
    pub object: ObjectId,
    /// The page of the file that the area's first page shows.
    pub first: u64,
    /// How many bytes from the area's start are the file's; the rest is zero. The data segment of a program ends like
    /// that, within a page. `u64::MAX` for all.
    pub bytes: u64,
}

/// Pages of a memory object or file, shared with all who map it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ObjectWindow {
    /// The object.
    pub object: ObjectId,
    /// The page of the object that the area's first page shows.
    pub first: u64,
}

/// Where the content of an area comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backing {
    /// Memory that starts as zero.
    Anonymous,
    /// A file, privately.
    File(FileWindow),
    /// An object, shared.
    Shared(ObjectWindow),
    /// Nothing yet: the range is kept free for a later fixed mapping, or until an access is given to it; then it is anonymous memory.
    /// Only what the area is permitted can be given; [`Permitted::NONE`] keeps it as it is.
    Reserved,
    /// Nothing, ever: running into it is an error worth naming.
    Guard,
}

impl Backing {
    /// The backing of what starts `pages` pages further on.
    pub(crate) fn advanced(self, pages: u64) -> Self {
        match self {
            Self::File(window) => Self::File(FileWindow {
                first: window.first.wrapping_add(pages),
                bytes: window.bytes.saturating_sub(pages << PAGE_SHIFT),
                ..window
            }),
            Self::Shared(window) => {
                Self::Shared(ObjectWindow { first: window.first.wrapping_add(pages), ..window })
            }
            Self::Anonymous | Self::Reserved | Self::Guard => self,
        }
    }

    /// The same for an area of `pages` pages: no more file bytes than fit.
    pub(crate) fn clipped(self, pages: u64) -> Self {
        match self {
            Self::File(window) => {
                Self::File(FileWindow { bytes: window.bytes.min(pages << PAGE_SHIFT), ..window })
            }
            Self::Anonymous | Self::Shared(_) | Self::Reserved | Self::Guard => self,
        }
    }

    /// The backing of an area of `pages` pages with this backing and of `next` right after it, if one can say both.
    fn joined(self, pages: u64, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::File(window), Self::File(next)) => {
                let length = pages << PAGE_SHIFT;
                let continues = window.object == next.object
                    && window.first.checked_add(pages) == Some(next.first)
                    && (window.bytes == length || next.bytes == 0);
                continues.then_some(Self::File(FileWindow { bytes: window.bytes + next.bytes, ..window }))
            }
            (Self::Shared(window), Self::Shared(next)) => {
                let continues =
                    window.object == next.object && window.first.checked_add(pages) == Some(next.first);
                continues.then_some(self)
            }
            (Self::Anonymous, Self::Anonymous)
            | (Self::Reserved, Self::Reserved)
            | (Self::Guard, Self::Guard) => Some(self),
            _ => None,
        }
    }

    /// The object whose pages these are.
    #[must_use]
    pub const fn object(self) -> Option<ObjectId> {
        match self {
            Self::File(window) => Some(window.object),
            Self::Shared(window) => Some(window.object),
            Self::Anonymous | Self::Reserved | Self::Guard => None,
        }
    }

    /// How many pages from the start on show pages of `object` before its page `page`; `None` = it shows another object or
    /// none.
    #[must_use]
    pub fn pages_before(self, object: ObjectId, page: u64) -> Option<u64> {
        let first = match self {
            Self::File(window) if window.object == object => window.first,
            Self::Shared(window) if window.object == object => window.first,
            _ => return None,
        };
        Some(page.saturating_sub(first))
    }

    /// Whether pages of it can exist.
    pub(crate) const fn has_pages(self) -> bool {
        match self {
            Self::Anonymous | Self::File(_) | Self::Shared(_) => true,
            Self::Reserved | Self::Guard => false,
        }
    }
}

/// A run of pages of one kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Area {
    /// Where it lies. Never empty.
    pub pages: PageRange,
    /// What may be done with it now.
    pub access: Access,
    /// What it may be changed to.
    pub permitted: Permitted,
    /// Where its content comes from.
    pub backing: Backing,
}

impl Area {
    /// The parts before and from `at` on, which lies strictly inside.
    pub(crate) fn split(self, at: Page) -> Option<(Self, Self)> {
        let left = PageRange::new(self.pages.start(), at)?;
        let right = PageRange::new(at, self.pages.end())?;
        Some((
            Self { pages: left, backing: self.backing.clipped(left.count()), ..self },
            Self { pages: right, backing: self.backing.advanced(left.count()), ..self },
        ))
    }

    /// The part of it in `range`.
    pub(crate) fn part(self, range: PageRange) -> Option<Self> {
        let pages = self.pages.intersection(range)?;
        let skipped = pages.start().number() - self.pages.start().number();
        Some(Self { pages, backing: self.backing.advanced(skipped).clipped(pages.count()), ..self })
    }

    /// This area and `next` as one, if they are neighbours and alike.
    pub(crate) fn joined(self, next: Self) -> Option<Self> {
        if self.pages.end() != next.pages.start()
            || self.access != next.access
            || self.permitted != next.permitted
        {
            return None;
        }
        let backing = self.backing.joined(self.pages.count(), next.backing)?;
        Some(Self { pages: PageRange::new(self.pages.start(), next.pages.end())?, backing, ..self })
    }
}
