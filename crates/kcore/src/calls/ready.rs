//! Readiness sets.
use crate::{Kernel, Machine, thread::Thread, wait::CallResult};
use alloc::sync::Arc;
use swos_abi::{Errno, Handle};
impl<M: Machine> Kernel<M> {
    pub(super) fn ready_create(&self, _t: &Thread<M>) -> CallResult {
        Err(Errno::NOSYS.into())
    }
    pub(super) fn ready_control(
        &self,
        _t: &Thread<M>,
        _s: Handle,
        _o: u32,
        _h: Handle,
        _e: u64,
    ) -> CallResult {
        Err(Errno::NOSYS.into())
    }
    pub(super) fn ready_wait(
        &self,
        _t: &Arc<Thread<M>>,
        _s: Handle,
        _e: u64,
        _c: u64,
        _to: u64,
    ) -> CallResult {
        Err(Errno::NOSYS.into())
    }
}
