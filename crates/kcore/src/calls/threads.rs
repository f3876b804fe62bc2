//! Threads: their names, and who there is.

use alloc::sync::Arc;

use swos_abi::{
    Capabilities, Errno, THREAD_NAME_LEN, THREAD_READY, THREAD_RUNNING, THREAD_WAITING, ThreadInfo,
};

use crate::{
    Kernel, Machine,
    thread::{Phase, Thread},
    wait::CallResult,
};

impl<M: Machine> Kernel<M> {
    pub(super) fn thread_name(&self, thread: &Thread<M>, name: u64, length: u64) -> CallResult {
        let mut bytes = [0; THREAD_NAME_LEN];
        let part = usize::try_from(length).ok().and_then(|length| bytes.get_mut(..length));
        self.copy_in(name, part.ok_or(Errno::NAMETOOLONG)?)?;
        *thread.name.lock() = bytes;
        Ok(0)
    }

    pub(super) fn thread_info(
        &self,
        thread: &Thread<M>,
        pid: u64,
        tid: u32,
        record: u64,
        size: u64,
    ) -> CallResult {
        let own = &thread.process;
        let process = if pid == u64::from(own.pid) {
            own.clone()
        } else if own.has(Capabilities::PROCESS_INSPECT) {
            let pid = u32::try_from(pid).map_err(|_| Errno::SRCH)?;
            self.processes.lock().alive(pid).cloned().ok_or(Errno::SRCH)?
        } else {
            return Err(Errno::ACCES.into());
        };
        let found = {
            let threads = process.threads.lock();
            let at = threads.list.partition_point(|thread| thread.tid < tid);
            threads.list.get(at).cloned()
        };
        let Some(found) = found else { return Ok(0) };
        self.write_record(record, size, &describe(&found))?;
        Ok(u64::from(found.tid))
    }
}

fn describe<M: Machine>(thread: &Arc<Thread<M>>) -> ThreadInfo {
    let name = *thread.name.lock();
    let state = thread.state.lock();
    ThreadInfo {
        tid: thread.tid,
        pid: thread.process.pid,
        state: match state.phase {
            Phase::Running { .. } => THREAD_RUNNING,
            Phase::Ready => THREAD_READY,
            Phase::Waiting | Phase::Ended => THREAD_WAITING,
        },
        cpu: u32::try_from(state.cpu).unwrap_or(u32::MAX),
        cpu_ns: state.cpu_ns,
        name,
    }
}
