//! Time, random numbers, the log, figures, authority, power.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use swos_abi::{
    CLOCK_MONOTONIC, CLOCK_REALTIME, Capabilities, Errno, POWER_OFF, POWER_RESET, ProcessInfo, SecurityInfo,
    SystemInfo,
};
use swos_sched::Weight;

use crate::{
    Kernel, Machine,
    family::Life,
    log::Level,
    machine::Power,
    process::Process,
    thread::Thread,
    wait::{CallResult, Stop},
};

/// Random bytes given by one call at most.
const RANDOM_MAX: usize = 256;

/// Priority of a new thread, and what its weight is measured from.
const PRIORITY_NORMAL: u32 = swos_abi::THREAD_PRIORITY_NORMAL;

impl<M: Machine> Kernel<M> {
    pub(super) fn clock_get(&self, clock: u32) -> CallResult {
        let now = self.machine.now().as_nanos();
        match clock {
            CLOCK_MONOTONIC => Ok(now),
            CLOCK_REALTIME => match self.realtime_at_boot_ns {
                0 => Err(Errno::NODEV.into()),
                at_boot => Ok(at_boot.saturating_add(now)),
            },
            _ => Err(Errno::INVAL.into()),
        }
    }

    pub(super) fn sleep(&self, thread: &Thread<M>, duration_ns: u64) -> CallResult {
        if self.time_is_up(thread, duration_ns) { Ok(0) } else { Err(Stop::WAIT) }
    }

    pub(super) fn thread_priority(thread: &Thread<M>, priority: u32) -> CallResult {
        if priority > PRIORITY_NORMAL {
            return Err(if priority > 31 { Errno::INVAL } else { Errno::ACCES }.into());
        }
        let nice = i32::try_from(PRIORITY_NORMAL - priority).unwrap_or(0);
        let mut state = thread.state.lock();
        let old = PRIORITY_NORMAL
            - (0..=PRIORITY_NORMAL)
                .find(|&step| Weight::from_nice(i32::try_from(step).unwrap_or(0)) == state.entity.weight())
                .unwrap_or(0);
        state.entity.set_weight(Weight::from_nice(nice));
        Ok(u64::from(old))
    }

    pub(super) fn random_bytes(&self, buffer: u64, length: u64) -> CallResult {
        let mut bytes = [0; RANDOM_MAX];
        let len = length.min(RANDOM_MAX as u64);
        let part = bytes.get_mut(..usize::try_from(len).unwrap_or(0)).unwrap_or(&mut []);
        if !self.random(part) {
            return Err(Errno::AGAIN.into());
        }
        self.copy_out(buffer, part)?;
        Ok(len)
    }

    pub(super) fn system_info(&self, record: u64, size: u64) -> CallResult {
        let frames = self.machine.frames();
        let cached = self.cached_pages();
        let sum = |pick: fn(&crate::Flags) -> u64| self.cpus.iter().map(|cpu| pick(&cpu.flags)).sum::<u64>();
        let info = SystemInfo {
            size: u32::try_from(size_of::<SystemInfo>()).unwrap_or(0),
            cpus: u32::try_from(self.cpus.len()).unwrap_or(u32::MAX),
            uptime_ns: self.machine.now().as_nanos(),
            memory_total: frames.total * 4096,
            memory_free: frames.free * 4096,
            memory_cached: cached * 4096,
            memory_kernel: frames.kernel * 4096,
            processes: u32::try_from(self.processes.lock().table.len()).unwrap_or(u32::MAX),
            threads: self.threads_alive.load(Ordering::Relaxed),
            sockets: self.socket_count(),
            objects: self.objects_open.load(Ordering::Relaxed),
            idle_ns: self.idle_ns(),
            calls: sum(|flags| flags.calls.load(Ordering::Relaxed)),
            frames_received: self.counters.frames_received.load(Ordering::Relaxed),
            frames_sent: self.counters.frames_sent.load(Ordering::Relaxed),
            blocks_verified: self.counters.blocks_verified.load(Ordering::Relaxed),
            blocks_refused: self.counters.blocks_refused.load(Ordering::Relaxed),
        };
        self.write_record(record, size, &info)
    }

    /// Time that all CPUs together were idle, those included that are now.
    fn idle_ns(&self) -> u64 {
        let now = self.machine.now().as_nanos();
        self.cpus.iter().map(|cpu| cpu.flags.idle_until(now)).sum()
    }

    pub(super) fn process_info(&self, thread: &Thread<M>, pid: u64, record: u64, size: u64) -> CallResult {
        let own = u64::from(thread.process.pid);
        if pid != own && !thread.process.has(Capabilities::PROCESS_INSPECT) {
            return Err(Errno::ACCES.into());
        }
        let Ok(from) = u32::try_from(pid) else { return Ok(0) };
        let found = {
            let processes = self.processes.lock();
            processes.table.range(from..).next().map(|(&pid, entry)| {
                let alive = match &entry.life {
                    Life::Alive(process) => Some(process.clone()),
                    Life::Ended(..) => None,
                };
                (pid, entry.parent, alive)
            })
        };
        let Some((pid, parent, alive)) = found else { return Ok(0) };
        let info = match alive {
            Some(process) => describe(&process, parent),
            None => ProcessInfo { pid, parent, state: 2, ..ProcessInfo::default() },
        };
        self.write_record(record, size, &info)?;
        Ok(u64::from(pid))
    }

    pub(super) fn security_info(&self, thread: &Thread<M>, record: u64, size: u64) -> CallResult {
        let process = &thread.process;
        let identity = process.identity();
        let info = SecurityInfo {
            principal: identity.principal,
            session: identity.session,
            capabilities: process.capabilities().bits(),
        };
        self.write_record(record, size, &info)
    }

    pub(super) fn capabilities_drop(thread: &Arc<Thread<M>>, keep: u64) -> CallResult {
        Ok(thread.process.drop_capabilities(Capabilities::from_bits_retain(keep)).bits())
    }

    pub(super) fn power(&self, thread: &Thread<M>, action: u32) -> CallResult {
        if !thread.process.has(Capabilities::CONSOLE) {
            return Err(Errno::ACCES.into());
        }
        let (action, text) = match action {
            POWER_OFF => (Power::Off { code: 0 }, "power off"),
            POWER_RESET => (Power::Reset, "reset"),
            _ => return Err(Errno::INVAL.into()),
        };
        let sound = self.audit_and_log();
        let action = if sound { action } else { Power::Off { code: 1 } };
        self.log(Level::Info, "power", format_args!("{text}"));
        self.machine.power(action);
        Ok(0)
    }
}

fn describe<M: Machine>(process: &Process<M>, parent: u32) -> ProcessInfo {
    let threads = process.threads.lock().list.len();
    let handles = process.handles.lock().len();
    ProcessInfo {
        pid: process.pid,
        parent,
        principal: process.identity().principal,
        state: if process.is_stopped() { 3 } else { 1 },
        threads: u32::try_from(threads).unwrap_or(u32::MAX),
        handles: u32::try_from(handles).unwrap_or(u32::MAX),
        cpu_ns: process.usage.cpu_ns(),
        started_ns: process.started.as_nanos(),
        resident: process.space.inner.lock().resident * 4096,
        name: process.name,
    }
}
