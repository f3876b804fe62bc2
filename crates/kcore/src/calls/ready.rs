//! Readiness sets: the calls.

use alloc::sync::Arc;

use arrayvec::ArrayVec;
use swos_abi::{Errno, Handle, READY_ADD, READY_EDGE, READY_MODIFY, READY_REMOVE, ReadyEvent, Rights};
use swos_readiness::{Mode, SourceId, Watch};
use swos_units::PAGE_SIZE;
use zerocopy::IntoBytes as _;

use super::only_on_exec;
use crate::{
    Kernel, Machine,
    object::Object,
    ready::ReadySet,
    thread::Thread,
    wait::{ANY_BITS, CallResult, Stop, WaitKey},
};

/// Events that one call tells at most; more wait for the next.
const EVENTS_MAX: usize = 64;
/// Sources that one try looks at: those that are no longer ready count as well.
const LOOKS_MAX: usize = 128;

impl<M: Machine> Kernel<M> {
    pub(super) fn ready_create(&self, thread: &Thread<M>, flags: u32) -> CallResult {
        let on_exec = only_on_exec(flags)?;
        let rights = Rights::READ | Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER;
        self.install_as(thread, Object::Ready(self.new_ready_set()), rights, None, on_exec)
    }

    fn set_of(thread: &Thread<M>, handle: Handle, needed: Rights) -> Result<Arc<ReadySet<M>>, Stop> {
        match Self::object(thread, handle, needed)? {
            Object::Ready(set) => Ok(set),
            Object::File(_)
            | Object::Console(_)
            | Object::Socket(_)
            | Object::Pipe(_)
            | Object::Pair(_)
            | Object::Counter(_)
            | Object::Endpoint(_)
            | Object::Memory(_)
            | Object::Device(_) => Err(Errno::NOTTY.into()),
        }
    }

    pub(super) fn ready_control(
        &self,
        thread: &Thread<M>,
        set: Handle,
        operation: u32,
        handle: Handle,
        event: u64,
    ) -> CallResult {
        let set = Self::set_of(thread, set, Rights::WRITE)?;
        let (object, lease) = Self::leased_object(thread, handle, Rights::empty())?;
        let watch = if operation == READY_REMOVE {
            None
        } else {
            let event: ReadyEvent = self.read_record(event, size_of::<ReadyEvent>() as u64)?;
            let interest = u16::try_from(event.events & !READY_EDGE).map_err(|_| Errno::INVAL)?;
            if event.reserved != 0 {
                return Err(Errno::INVAL.into());
            }
            let mode = if event.events & READY_EDGE == 0 { Mode::Level } else { Mode::Edge };
            Some(Watch { interest, mode, token: event.token })
        };
        if operation == READY_ADD {
            self.room_for_objects()?;
        }
        let watchers = self.watchers(&object).ok_or(Errno::PERM)?;
        match (operation, watch) {
            (READY_ADD, Some(watch)) => self.watch(&set, &object, lease, watch)?,
            (READY_MODIFY, Some(watch)) => {
                let id = watchers.lock().find(&set).ok_or(Errno::NOENT)?;
                set.inner.lock().modify(id, watch).map_err(|_| Errno::NOENT)?;
                self.report(&set, id, self.readiness(&object));
            }
            (READY_REMOVE, None) => {
                let removed = {
                    let mut inner = set.inner.lock();
                    let mut watchers = watchers.lock();
                    let id = watchers.find(&set).ok_or(Errno::NOENT)?;
                    watchers.remove(Arc::as_ptr(&set));
                    inner.remove(id)
                };
                drop(removed);
            }
            _ => return Err(Errno::INVAL.into()),
        }
        Ok(0)
    }

    pub(super) fn ready_wait(
        &self,
        thread: &Arc<Thread<M>>,
        set: Handle,
        events: u64,
        capacity: u64,
        timeout_ns: u64,
    ) -> CallResult {
        let set = Self::set_of(thread, set, Rights::READ)?;
        let capacity = usize::try_from(capacity).unwrap_or(EVENTS_MAX).min(EVENTS_MAX);
        if capacity == 0 {
            return Err(Errno::INVAL.into());
        }
        // Both ends are tried before an edge is taken that could not be told.
        let last = events.saturating_add((capacity * size_of::<ReadyEvent>()) as u64 - 1);
        self.copy_out(events, &[0])?;
        if last / PAGE_SIZE as u64 != events / PAGE_SIZE as u64 {
            self.copy_out(last, &[0])?;
        }
        let mut told = ArrayVec::<ReadyEvent, EVENTS_MAX>::new();
        let count = {
            let mut inner = set.inner.lock();
            let mut revoked = ArrayVec::<SourceId, LOOKS_MAX>::new();
            let count = inner.collect(
                capacity,
                LOOKS_MAX,
                |id, source| {
                    if source.is_revoked() {
                        // No more are looked at than there is room for.
                        let _ = revoked.try_push(id);
                    }
                    self.source_readiness(source)
                },
                |event| {
                    // No more are told than there is capacity for.
                    let _ = told.try_push(ReadyEvent {
                        token: event.token,
                        events: u32::from(event.bits),
                        reserved: 0,
                    });
                },
            );
            if !revoked.is_empty() {
                self.drop_revoked(&set, &mut inner, &revoked);
            }
            if count == 0 && inner.has_reports() {
                return Err(Stop::AGAIN);
            }
            if count == 0 {
                if self.time_is_up(thread, timeout_ns) {
                    return Ok(0);
                }
                self.register(thread, WaitKey::Ready { set: set.id }, ANY_BITS)?;
                return Err(Stop::WAIT);
            }
            count
        };
        self.copy_out(events, told.as_slice().as_bytes())?;
        Ok(count as u64)
    }
}
