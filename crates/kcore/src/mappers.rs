//! Who maps an object that can shrink, and how far the pages beyond its new end have left them.
//!
//! A cut goes through the address spaces in the order of their ids, a step of bounded work at a time, whoever does it. Who maps
//! the object meanwhile finds no page beyond the end, so nobody is to be visited twice. A copy of a space that is made meanwhile
//! has a higher id than the space itself, and gets its pages before it is visited: a space that is being copied is waited for.

use alloc::{
    sync::{Arc, Weak},
    vec::Vec,
};
use core::sync::atomic::Ordering;

use swos_abi::Errno;
use swos_aspace::ObjectId;
use swos_units::Page;
use swos_vm::{PageRange, Progress};

use crate::{
    Kernel, Machine,
    space::{Inner, Space, Translation},
    thread::Thread,
    wait::{Stop, WaitKey},
};

/// Table entries and areas looked at in one step.
pub(crate) const PAGES_PER_STEP: usize = 128;

/// The address spaces that map an object.
#[derive(Debug)]
pub(crate) struct Mappers {
    /// By their ids.
    spaces: Vec<(u64, Weak<Space>)>,
    /// A cut that is under way.
    cut: Option<Cut>,
}

/// Pages of the object from `end` on are to go; below this place they left the tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Cut {
    end: u64,
    space: u64,
    page: u64,
}

/// What a cut does next.
pub(crate) enum Next {
    /// Nothing: there is none.
    Nothing,
    /// It goes through this space.
    Space(Visit),
    /// Every space is done. What is left is the object's own.
    Rest {
        /// The first page that is to go.
        end: u64,
    },
}

/// A step in one space.
pub(crate) struct Visit {
    cut: Cut,
    id: u64,
    space: Option<Arc<Space>>,
}

impl Mappers {
    pub(crate) const fn new() -> Self {
        Self { spaces: Vec::new(), cut: None }
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.spaces.is_empty()
    }

    /// Notes that a space maps the object, once however often it does.
    pub(crate) fn add(&mut self, space: &Arc<Space>) -> Result<(), Errno> {
        let Err(at) = self.spaces.binary_search_by_key(&space.id, |mapper| mapper.0) else { return Ok(()) };
        self.spaces.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        self.spaces.insert(at, (space.id, Arc::downgrade(space)));
        space.shares.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// A space maps the object no more. Whether it did.
    pub(crate) fn remove(&mut self, space: &Space) -> bool {
        let Ok(at) = self.spaces.binary_search_by_key(&space.id, |mapper| mapper.0) else { return false };
        self.spaces.remove(at);
        space.shares.fetch_sub(1, Ordering::Release);
        true
    }

    /// Whether a cut is under way.
    pub(crate) const fn is_cutting(&self) -> bool {
        self.cut.is_some()
    }

    /// Begins a cut; none is under way.
    pub(crate) const fn cut_from(&mut self, end: u64) {
        self.cut = Some(Cut { end, space: 0, page: 0 });
    }

    /// What is to be done next for the cut.
    pub(crate) fn next(&self) -> Next {
        let Some(cut) = self.cut else { return Next::Nothing };
        let at = self.spaces.partition_point(|mapper| mapper.0 < cut.space);
        match self.spaces.get(at) {
            Some((id, space)) => Next::Space(Visit { cut, id: *id, space: space.upgrade() }),
            None => Next::Rest { end: cut.end },
        }
    }

    /// A step was done, up to this page or to the end of its space.
    pub(crate) fn went(&mut self, visit: &Visit, next: Option<u64>) {
        // Another thread may have been there as well; then its place counts, and this step was for nothing.
        if self.cut == Some(visit.cut) {
            self.cut = Some(match next {
                Some(page) => Cut { space: visit.id, page, ..visit.cut },
                None => Cut { space: visit.id + 1, page: 0, ..visit.cut },
            });
        }
    }

    /// The cut is over.
    pub(crate) const fn end_cut(&mut self) {
        self.cut = None;
    }
}

impl<M: Machine> Kernel<M> {
    /// Does a step of a cut of `object`, without the lock of its mappers. Returns how far it went, for [`Mappers::went`]. While
    /// the space is being copied nothing is done: `waiter` is registered for the end of that.
    pub(crate) fn visit(
        &self,
        waiter: Option<&Arc<Thread<M>>>,
        object: ObjectId,
        visit: &Visit,
    ) -> Result<Option<u64>, Stop> {
        let Some(space) = &visit.space else { return Ok(None) };
        let mut inner = space.inner.lock();
        if inner.copying && matches!(inner.tables, Translation::Live(_)) {
            let waits = waiter.map(|thread| self.wait_for(thread, WaitKey::Space { space: space.id }));
            return Err(waits.filter(|stop| *stop == Stop::WAIT).unwrap_or(Stop::AGAIN));
        }
        let from = if visit.cut.space == visit.id { visit.cut.page } else { 0 };
        Ok(self.cut_space(object, visit.cut.end, (space, &mut inner), from))
    }

    /// Takes pages of an object from page `end` on out of a space, beginning at page `from` of the space. Returns where to go
    /// on.
    fn cut_space(
        &self,
        object: ObjectId,
        end: u64,
        (space, inner): (&Space, &mut Inner),
        from: u64,
    ) -> Option<u64> {
        let mut at = Page::from_number(from)?;
        for _ in 0..PAGES_PER_STEP {
            let (pages, backing) =
                inner.areas.areas_from(at).next().map(|area| (area.pages, area.backing))?;
            let beyond = backing.pages_before(object, end).and_then(|skipped| {
                let start = Page::from_number(pages.start().number().checked_add(skipped)?)?;
                PageRange::new(start.max(at), pages.end()).filter(|range| !range.is_empty())
            });
            if let Some(range) = beyond
                && let Some(none) = PageRange::with_len(range.start(), 0)
            {
                let next = match self.free_pages(space, inner, range, none, PAGES_PER_STEP) {
                    Ok(Progress::More(next)) => next,
                    Ok(Progress::Done) | Err(_) => pages.end(),
                };
                return Some(next.number());
            }
            at = pages.end();
        }
        Some(at.number())
    }
}
