//! Readiness sets: many handles watched at once.

use alloc::{
    sync::{Arc, Weak},
    vec::Vec,
};
use core::fmt;

use swos_sync::Lock;

use crate::{Kernel, Machine, object::OpenCount};

/// A readiness set.
pub(crate) struct ReadySet<M: Machine> {
    pub(crate) id: u64,
    pub(crate) count: OpenCount,
    _m: core::marker::PhantomData<fn() -> M>,
}

/// Who watches an object.
pub(crate) struct Watchers<M: Machine>(Vec<(Weak<ReadySet<M>>, u32)>);

impl<M: Machine> Watchers<M> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<M: Machine> ReadySet<M> {
    pub(crate) fn close(&self) {}
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn set_is_ready(&self, _set: &ReadySet<M>) -> bool {
        false
    }
    pub(crate) fn notify(&self, _watchers: &Lock<Watchers<M>>, _bits: u16) {}
    pub(crate) fn notify_console(&self) {}
}
impl<M: Machine> fmt::Debug for ReadySet<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadySet")
    }
}
