//! Readiness sets: many handles watched at once.

use alloc::{
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{fmt, sync::atomic::Ordering};

use swos_abi::{Errno, POLL_ERR, POLL_HUP};
use swos_handles::Lease;
use swos_readiness::{ReadinessSet, SourceId, Watch};
use swos_sync::Lock;

use crate::{
    Kernel, Machine,
    object::{Object, OpenCount},
    ranks,
    wait::WaitKey,
    work::Work,
};

/// A readiness set that handles name.
pub(crate) struct ReadySet<M: Machine> {
    pub(crate) id: u64,
    pub(crate) count: OpenCount,
    pub(crate) inner: Lock<ReadinessSet<Source<M>>>,
}

/// What a set watches, and the loan by which it may.
pub(crate) struct Source<M: Machine> {
    pub(crate) object: Object<M>,
    pub(crate) lease: Option<Lease>,
}

impl<M: Machine> Source<M> {
    pub(crate) fn is_revoked(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| !lease.is_alive())
    }
}

/// Sets that can watch one object: each hears of every change of it, at once.
const SETS_MAX: usize = 64;
/// Places for sources that a set which is gone gives up in one slice.
const SOURCES_PER_SLICE: usize = 64;

/// Which sets watch an object.
pub(crate) struct Watchers<M: Machine>(Vec<(Weak<ReadySet<M>>, SourceId)>);

impl<M: Machine> Watchers<M> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether telling them, or forgetting them, is more than little work.
    pub(crate) const fn are_many(&self) -> bool {
        self.0.len() > 4
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// As what `set` watches the object.
    pub(crate) fn find(&self, set: &Arc<ReadySet<M>>) -> Option<SourceId> {
        self.0.iter().find(|(other, _)| other.as_ptr() == Arc::as_ptr(set)).map(|(_, id)| *id)
    }

    fn add(&mut self, set: &Arc<ReadySet<M>>, id: SourceId) -> Result<(), Errno> {
        if self.0.len() >= SETS_MAX {
            return Err(Errno::NOSPC);
        }
        self.0.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        self.0.push((Arc::downgrade(set), id));
        Ok(())
    }

    pub(crate) fn remove(&mut self, set: *const ReadySet<M>) {
        self.0.retain(|(other, _)| other.as_ptr() != set);
    }

    fn nth(&self, index: usize) -> Option<(Option<Arc<ReadySet<M>>>, SourceId)> {
        self.0.get(index).map(|(set, id)| (set.upgrade(), *id))
    }
}

impl<M: Machine> ReadySet<M> {
    pub(crate) fn new(id: u64) -> Arc<Self> {
        Arc::new(Self {
            id,
            count: OpenCount::one(),
            inner: Lock::new(ranks::READY_SET, ReadinessSet::new()),
        })
    }
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn new_ready_set(&self) -> Arc<ReadySet<M>> {
        ReadySet::new(self.last_set.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The list of sets that watch an object; `None` = its readiness never changes, or it is a set itself.
    pub(crate) fn watchers<'a>(&'a self, object: &'a Object<M>) -> Option<&'a Lock<Watchers<M>>> {
        match object {
            Object::Console(_) => Some(&self.console_watchers),
            Object::Socket(socket) => Some(&socket.watchers),
            Object::Pipe(end) => Some(end.watchers()),
            Object::Pair(end) => Some(end.incoming.watchers()),
            Object::Counter(counter) => Some(&counter.watchers),
            Object::Endpoint(end) => Some(&end.watchers),
            Object::File(_) | Object::Device(_) | Object::Ready(_) | Object::Memory(_) => None,
        }
    }

    /// Starts to watch an object.
    pub(crate) fn watch(
        &self,
        set: &Arc<ReadySet<M>>,
        object: &Object<M>,
        lease: Option<Lease>,
        watch: Watch,
    ) -> Result<(), Errno> {
        let watchers = self.watchers(object).ok_or(Errno::PERM)?;
        let source = Source { object: object.clone(), lease: lease.clone() };
        if let Object::Endpoint(end) = object {
            end.on_watched();
        }
        let id = {
            let mut inner = set.inner.lock();
            let mut watchers = watchers.lock();
            if watchers.find(set).is_some() {
                return Err(Errno::EXIST);
            }
            let id = inner.add(source, watch).map_err(|_| Errno::NOMEM)?;
            if let Err(errno) = watchers.add(set, id) {
                inner.remove(id);
                return Err(errno);
            }
            id
        };
        // Looked at after it is watched: who revokes or makes it ready from here on finds it.
        self.report(set, id, self.source_readiness(&Source { object: object.clone(), lease }));
        Ok(())
    }

    /// What holds of a source now. One that was revoked is broken, whatever happens at the object.
    pub(crate) fn source_readiness(&self, source: &Source<M>) -> u16 {
        if source.is_revoked() { POLL_ERR | POLL_HUP } else { self.readiness(&source.object) }
    }

    /// Stops to watch what a set was told is revoked.
    #[cold]
    pub(crate) fn drop_revoked(
        &self,
        set: &Arc<ReadySet<M>>,
        inner: &mut ReadinessSet<Source<M>>,
        revoked: &[SourceId],
    ) {
        for source in revoked.iter().filter_map(|id| inner.remove(*id)) {
            if let Some(watchers) = self.watchers(&source.object) {
                watchers.lock().remove(Arc::as_ptr(set));
            }
        }
    }

    /// Tells a set what a source is ready for.
    pub(crate) fn report(&self, set: &ReadySet<M>, id: SourceId, bits: u16) {
        let wanted = set.inner.lock().on_ready(id, bits);
        if wanted {
            self.wake_all(WaitKey::Ready { set: set.id });
        }
    }

    /// Tells all sets that watch an object. No lock from `READY_SET` on is held.
    pub(crate) fn notify(&self, watchers: &Lock<Watchers<M>>, bits: u16) {
        let mut index = 0;
        loop {
            // One at a time, because the set's lock comes before the list's.
            let Some((set, id)) = watchers.lock().nth(index) else { break };
            if let Some(set) = set {
                self.report(&set, id, bits);
            }
            index += 1;
        }
    }

    pub(crate) fn notify_console(&self) {
        self.notify(&self.console_watchers, swos_abi::POLL_IN);
    }

    /// The object is gone: no set watches it any more.
    pub(crate) fn unwatch(&self, watchers: &Lock<Watchers<M>>) {
        let gone = core::mem::replace(&mut *watchers.lock(), Watchers::new());
        for (set, id) in gone.0 {
            if let Some(set) = set.upgrade() {
                let source = set.inner.lock().remove(id);
                drop(source);
            }
        }
    }

    /// The last handle to a set is gone.
    pub(crate) fn close_set(&self, set: &Arc<ReadySet<M>>) {
        if let Some(rest) = self.give_up_sources(set.clone()) {
            self.do_later(rest);
        }
    }

    /// Lets a set that is gone watch a few sources less; returns what is left to do.
    pub(crate) fn give_up_sources(&self, set: Arc<ReadySet<M>>) -> Option<Work<M>> {
        for _ in 0..SOURCES_PER_SLICE {
            let place = set.inner.lock().pop();
            let Some(place) = place else {
                // The memory of all of them.
                let _empty = core::mem::take(&mut *set.inner.lock());
                return None;
            };
            if let Some(source) = place
                && let Some(watchers) = self.watchers(&source.object)
            {
                watchers.lock().remove(Arc::as_ptr(&set));
            }
        }
        Some(Work::GiveUp { set })
    }
}

impl<M: Machine> fmt::Debug for ReadySet<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadySet").field("id", &self.id).finish_non_exhaustive()
    }
}
