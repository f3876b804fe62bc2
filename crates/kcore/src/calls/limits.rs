//! Limits, which only become lower, and what was used.

use alloc::sync::Arc;

use swos_abi::{Errno, ProcessLimits, ProcessUsage};
use swos_sync::CpuToken;

use crate::{Kernel, Machine, process::Limits, thread::Thread, wait::CallResult};

/// A figure for a field of 32 bits.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

impl<M: Machine> Kernel<M> {
    pub(super) fn limits_get(&self, thread: &Thread<M>, record: u64, size: u64) -> CallResult {
        let process = &thread.process;
        let limits = *process.limits.lock();
        let info = ProcessLimits {
            size: narrow(size_of::<ProcessLimits>()),
            processes: self.account_of(process.pid)?.limit(),
            memory: limits.memory,
            handles: narrow(limits.handles),
            threads: narrow(limits.threads),
            cpu_ns: limits.cpu_ns,
        };
        self.write_record(record, size, &info)
    }

    pub(super) fn limits_set(&self, thread: &Thread<M>, record: u64, size: u64) -> CallResult {
        let process = &thread.process;
        let wanted: ProcessLimits = self.read_record(record, size)?;
        if u64::from(wanted.size) != size {
            return Err(Errno::INVAL.into());
        }
        if wanted.processes != 0 {
            // An account of its own.
            self.room_for_objects()?;
        }
        {
            let mut processes = self.processes.lock();
            let entry = processes.table.get_mut(&process.pid).ok_or(Errno::SRCH)?;
            entry.charge.limit(wanted.processes)?;
        }
        let or_all = |limit: u64| if limit == 0 { u64::MAX } else { limit };
        process.lower(Limits {
            memory: or_all(wanted.memory),
            handles: usize::try_from(or_all(wanted.handles.into())).unwrap_or(usize::MAX),
            threads: usize::try_from(or_all(wanted.threads.into())).unwrap_or(usize::MAX),
            cpu_ns: or_all(wanted.cpu_ns),
        });
        Ok(0)
    }

    pub(super) fn usage(
        &self,
        cpu: &CpuToken,
        thread: &Arc<Thread<M>>,
        record: u64,
        size: u64,
    ) -> CallResult {
        let process = &thread.process;
        self.charge(self.shared(cpu.index()), &mut thread.state.lock(), thread);
        let processes = self.account_of(process.pid)?.used();
        let (children_cpu_ns, children_faults) = process.usage.of_children();
        let (threads, handles) = (process.threads.lock().list.len(), process.handles.lock().len());
        let (memory, resident, faults) = {
            let inner = process.space.inner.lock();
            (inner.areas.pages() * 4096, inner.resident * 4096, inner.faults)
        };
        let info = ProcessUsage {
            size: narrow(size_of::<ProcessUsage>()),
            processes,
            handles: narrow(handles),
            threads: narrow(threads),
            memory,
            resident,
            cpu_ns: process.usage.cpu_ns(),
            faults: process.usage.faults() + faults,
            children_cpu_ns,
            children_faults,
        };
        self.write_record(record, size, &info)
    }
}
